"""A step of the methods that make images on one device and on two, in a process of its own: the
devices are two logical ones of the one processor, which has to be said before TensorFlow starts.

``python -m tests.integration.training.generative_on_two_devices DATASET FOLDER`` prints as JSON, by
method, how far the losses, the gradients and what follows the weights are apart.

Each device draws random numbers of its own; here they follow from the images instead, so that a
row has the same ones wherever it is computed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.integration.training.generative import METHODS, spec_of
from tests.integration.training.runs import Steps
from training.engine.devices import configure
from training.spec import DeviceSpec


def main(dataset: Path, folder: Path) -> dict[str, Any]:
    two = configure(DeviceSpec(kind="cpu", count=2), (1, 1)).strategy
    import tensorflow as tf

    from training.methods.task_related import cgan_task, cvae_task

    def quiet(_seed: Any, count: Any, width: int) -> Any:
        return tf.zeros([count, width])

    class Quiet:
        """TensorFlow without its noise."""

        def __getattr__(self, name: str) -> Any:
            return getattr(tf, name)

        class random:
            @staticmethod
            def stateless_normal(shape: Any, _seed: Any) -> Any:
                return tf.zeros(shape)

    cgan_task.drawn = quiet
    cvae_task.tf = Quiet()  # type: ignore[assignment]
    return {method: difference(method, dataset, folder, two) for method in METHODS}


def difference(method: str, dataset: Path, folder: Path, two: Any) -> dict[str, float]:
    """Two steps of two accumulated batches, on one device and on two."""
    training = {"accumulation": 2, "clip_norm": None, "learning_rate": 1e-4, "beta_1": 0.9}
    spec = spec_of(method, dataset, training=training)
    if method == "cgan":
        spec["model"] = spec["model"] | {"spectral_norm": True}
    one = Steps(spec, folder / f"{method}-1").take(2)
    with_two = spec | {"devices": {"kind": "cpu", "count": 2}}
    other = Steps(with_two, folder / f"{method}-2", two).take(2)
    slots, others = (steps.loop.optimizer.named() for steps in (one, other))
    averages = [name for name in slots if name.endswith(".m")]
    scale = max(np.abs(slots[name]).max() for name in averages)
    losses = np.array([one.losses, other.losses])
    found = {
        "loss": np.abs(losses[0] - losses[1]).max() / np.abs(losses).max(),
        "gradient": max(np.abs(slots[n] - others[n]).max() for n in averages) / scale,
    }
    for part, ends in (("average", ""), ("discriminator", ".u")):
        names = [n for n in one.weights[2] if n.startswith(part) and n.endswith(ends)]
        apart = [np.abs(one.weights[2][n] - other.weights[2][n]).max() for n in names]
        if apart and method == "cgan":
            found[f"{part}{ends}"] = max(apart)
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
