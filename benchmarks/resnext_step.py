"""A training step of ResNeXt-50 32×4d: ours beside PyTorch's, in turns.

    python -m benchmarks resnext_step

Same weights, same eight images of 224 × 224 pixels and labels, float32, batch norm in training
mode, cross-entropy, SGD with momentum. Ours is the model of ``training/backbones/resnet`` in a
graph, with the engine's devices, threads and determinism; PyTorch's is timm's ``resnext50_32x4d``
in ``.venv-parity-vision``, which is made if need be, and with glibc kept from giving memory back
between steps: without that its step is slower, and erratic.

Grouped convolution is the trap: TensorFlow's own has no backward pass for the processor that is of
use. That both compute the same is checked: at a rate so low that rounding is not carried away, the
losses of every round agree within 2 %. Expected: ours takes at most twice as long as PyTorch's;
else the exit code is 1.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.turns import Side, report, serve, take_turns

MODULE = "benchmarks.resnext_step"
OURS, PEER = "ours", "PyTorch"
NAME = "resnext50_32x4d"
PYTORCH = Path(".venv-parity-vision/bin/python")
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
BATCH, PX, CLASSES, RATE, MOMENTUM = 8, 224, 10, 1e-5, 0.9
BAR = 2.0

Work = Callable[[int], tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="resnext_step", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="a round has")
    parser.add_argument("--side", choices=[OURS, PEER], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(ours() if options.side == OURS else pytorch())
        return
    subprocess.run(["scripts/venv.sh", "parity-vision"], check=True)
    peer = Side(MODULE, PEER, python=str(PYTORCH), environment=ALLOCATOR)
    sides = [Side(MODULE, OURS), peer]
    try:
        found = take_turns(sides, options.steps, options.rounds)
    finally:
        for side in sides:
            side.close()
    print(report(found, options.steps * BATCH, "images", OURS))
    pairs = list(zip(found[OURS], found[PEER], strict=True))
    apart = max(abs(our[1] - their[1]) / their[1] for our, their in pairs)
    ratio = statistics.median(our[0] / their[0] for our, their in pairs)
    print(f"\nMean losses differ by {100 * apart:.2f} % at most.")
    print(f"Our step takes {ratio:.2f} × as long.")
    assert apart < 0.02, "the sides do not compute the same thing"
    if ratio > BAR:
        sys.exit(f"Missed: at most {BAR} × PyTorch's time.")


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [batch, height, width, 3] and labels."""
    random = np.random.default_rng(0)
    images = random.standard_normal((BATCH, PX, PX, 3)).astype(np.float32)
    return images, np.arange(BATCH) % CLASSES


def ours() -> Work:
    """Our model, its gradient and update in one graph."""
    import keras
    import tensorflow as tf

    from tests.parity.images import NETWORKS, weights
    from training.backbones.registry import model_class
    from training.engine.devices import configure, default_threads
    from training.spec import DeviceSpec

    configure(DeviceSpec(), default_threads())
    network = NETWORKS[NAME]
    model = model_class(network.architecture)(network.config)
    model.load_named(weights(network))
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    optimizer.build(model.trainable_variables)
    images, labels = (tf.constant(part) for part in data())

    @tf.function
    def step() -> object:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]))
        return loss

    def work(steps: int) -> tuple[float, float]:
        began = time.perf_counter()
        losses = [float(step()) for _ in range(steps)]  # type: ignore[arg-type]
        return time.perf_counter() - began, sum(losses) / steps

    return work


def pytorch() -> Work:
    """timm's model as people train it."""
    import torch

    from tests.parity.images import NETWORKS
    from tests.parity.make_images import fill, made

    network = NETWORKS[NAME]
    model = made(network)
    fill(model, network.gain)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    pixels, labels = data()
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    images = images.contiguous(memory_format=torch.channels_last)
    wanted = torch.from_numpy(labels)
    model = model.to(memory_format=torch.channels_last)

    def work(steps: int) -> tuple[float, float]:
        began = time.perf_counter()
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), wanted)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return time.perf_counter() - began, sum(losses) / steps

    return work


if __name__ == "__main__":
    main()
