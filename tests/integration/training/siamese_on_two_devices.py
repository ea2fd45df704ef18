"""A step of three methods on one device and on two, in a process of its own: the devices are two
logical ones of the one processor, which has to be said before TensorFlow starts.

``python -m tests.integration.training.siamese_on_two_devices DATASET FOLDER`` prints as JSON, by
method, how far the losses, the gradients and the keys of the two are apart.

What may differ is left out of it: each device draws views of its own, so the views are the images
as they are, and mirrored; batch norms look at their own device's part, so there are none.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.integration.training.runs import Steps
from tests.integration.training.siamese import VIT, spec_of
from training.engine.devices import configure
from training.methods.registry import LOOP_METHODS
from training.spec import DeviceSpec

#: SimSiam has nothing that BYOL has not.
METHODS = ("simclr", "byol", "moco")


def main(dataset: Path, folder: Path) -> dict[str, Any]:
    two = configure(DeviceSpec(kind="cpu", count=2), (1, 1)).strategy
    import tensorflow as tf

    from training.siamese import task

    def plain(pixels: Any, _seed: Any, _spec: Any) -> tuple[Any, Any]:
        images = tf.cast(pixels, tf.float32) / 255
        return images, images[:, :, ::-1]

    task.two_views = plain
    for method in METHODS:
        without_norms(LOOP_METHODS[method].settings)
    return {method: difference(method, dataset, folder, two) for method in METHODS}


def without_norms(settings: Any) -> None:
    """Take the batch norms out of a method's MLPs."""
    own = settings.mlps

    def mlps(spec: Any, width: int) -> Any:
        return {
            name: (inputs, [replace(layer, norm="none") for layer in layers])
            for name, (inputs, layers) in own(spec, width).items()
        }

    settings.mlps = mlps


def difference(method: str, dataset: Path, folder: Path, two: Any) -> dict[str, float]:
    """Two steps, on one device and on two."""
    objective = {"norm_parts": 1} if method == "moco" else {}
    # Without its norms SimCLR could not gather within the loop over accumulated batches; of the
    # others, the queue alone asks which batch of a step it is.
    accumulation = 2 if method == "moco" else 1
    spec = spec_of(
        method,
        dataset,
        model=VIT.model_dump(),
        objective=objective,
        training={"accumulation": accumulation, "clip_norm": None, "learning_rate": 1e-4},
    )
    one = Steps(spec, folder / f"{method}-1").take(2)
    with_two = spec | {"devices": {"kind": "cpu", "count": 2}}
    other = Steps(with_two, folder / f"{method}-2", two).take(2)
    slots, others = (steps.loop.optimizer.named() for steps in (one, other))
    averages = [name for name in slots if name.endswith(".m")]
    scale = max(np.abs(slots[name]).max() for name in averages)
    found = {
        "loss": max(map(abs, np.subtract(one.losses, other.losses))),
        "gradient": max(np.abs(slots[n] - others[n]).max() for n in averages) / scale,
    }
    kept = [name for name in one.weights[2] if name.startswith(("momentum", "queue"))]
    for name in kept:
        part = name.split(".")[0]
        most = np.abs(one.weights[2][name] - other.weights[2][name]).max()
        found[part] = max(found.get(part, 0.0), most)
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
