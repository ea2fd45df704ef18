"""Conditional VAE and conditional GAN on sounds: of the right kind, and near to others of it?

    python -m benchmarks.experiments sounds [--seeds 0 1 2] [--methods cvae cgan]

The sounds are synthesised (``samples/synthesise.py``; nothing in them was recorded): 300 of each of
six kinds, a second each, pictured as 64 mel bands by 32 moments. Each method learns 1,080 of them
with their kinds; 180 others are looked at while it trains, 540 are the reference of the report.
Measured as for images (``conditional``), on the pictures.

For each seed everything random follows from it but the judge: the sounds, the split, weights,
batches, latents. Every run is a ``python -m training run``.

It also hears what of a sound is lost on the way to a picture and back: the mean distance in dB
between the picture of a held-out sound and that of the sound made from it, where it is louder than
40 dB below the loudest.

Bars, for every seed: class accuracy ≥ 0.80 of both; a Fréchet distance below half of that of the
mean picture of each kind; a distance there and back below 2 dB. Below one of them the exit code
is 1.

Expected: see ``docs/methods/sounds.md``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.conditional import LEAST_ACCURACY, laid_over, row
from benchmarks.experiments.transfer import work
from training.data.labelled import examples_split, read_about
from training.sound.inverse import sounds_of
from training.sound.mel import LEAST_POWER, SoundShape, log_mel, of_picture, shape_of

SYNTHESISE = Path(__file__).resolve().parents[2] / "samples" / "synthesise.py"
CLIPS = 300
#: Of the distance of class means.
MOST_SHARE = 0.5
#: Of a sound there and back, in dB; of what is so much below the loudest, nothing is said.
MOST_DB, HEARD_DB = 2.0, 40.0
#: What a method has other than its defaults: half of the width, and fewer steps.
OWN: dict[str, dict[str, Any]] = {
    "cvae": {
        "model": {"architecture": "conditional_vae", "width": 8},
        "training": {"steps": 1000},
    },
    "cgan": {
        "model": {"architecture": "conditional_gan", "width": 8, "discriminator_width": 16},
        "training": {"steps": 3000, "batch_size": 32},
    },
}
LOOK = {"every": 250, "sample_every": 500, "samples": 2, "checkpoint_every": 500}


def main(arguments: list[str]) -> None:
    """Run for each seed; print a row for each run."""
    parser = argparse.ArgumentParser(prog="sounds", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(OWN), choices=OWN)
    parser.add_argument("--out", type=Path, help="keep everything here, and go on from it")
    parser.add_argument("--set", default="{}", help="JSON that is laid over the spec, to try")
    options = parser.parse_args(arguments)
    missed = []
    columns = ["seed", "method", "class accuracy", "distance", "real", "class means", "noise"]
    columns += ["judge", "steps", "seconds"]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = (options.out or Path(scratch)).resolve()
        for seed in options.seeds:
            folder = out / f"seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            dataset = prepare(seed, folder)
            lost = there_and_back(dataset)
            if lost >= MOST_DB:
                missed.append(f"seed {seed}: there and back")
            for method in options.methods:
                content = laid_over(spec(method, seed, dataset), json.loads(options.set))
                report = work("run", content, folder / method)
                print(row(seed, method, report), flush=True)
                missed += [f"{method}, seed {seed}: {one}" for one in below(report)]
            print(f"\nSeed {seed}: {lost:.2f} dB lost there and back.\n", flush=True)
    if missed:
        sys.exit(f"Missed: {'; '.join(missed)}.")
    print("The bars are kept by every seed.")


def prepare(seed: int, folder: Path) -> Path:
    """The prepared sounds of a seed."""
    archive = folder / "sounds.zip"
    command = [sys.executable, str(SYNTHESISE), str(archive), "--clips", str(CLIPS)]
    subprocess.run([*command, "--seed", str(seed)], check=True)
    content = {
        "path": str(archive),
        "seed": seed,
        "hop_ms": 32,
        "validation_percent": 10,
        "test_percent": 30,
    }
    work("prepare", content, folder / "data")
    return folder / "data" / "dataset"


def spec(method: str, seed: int, dataset: Path) -> dict[str, Any]:
    """A run on the sounds."""
    about = {"seed": seed, "data": {"path": str(dataset)}, "evaluation": LOOK}
    return {"method": method, **about, **OWN[method]}


def below(report: Mapping[str, Any]) -> list[str]:
    """What misses its bar."""
    sides, missed = report["generated"]["sides"], []
    if sides["model"]["class_accuracy"] < LEAST_ACCURACY:
        missed.append("class accuracy")
    if sides["model"]["frechet"] >= MOST_SHARE * sides["means"]["frechet"]:
        missed.append("distance")
    return missed


def there_and_back(dataset: Path, count: int = 60) -> float:
    """Mean distance in dB between pictures and those of the sounds made from them."""
    about = read_about(dataset, sounds=True)
    shape, examples = shape_of(about["sound"]), examples_split(dataset, "test", about)
    assert examples is not None
    places = np.linspace(0, len(examples) - 1, count).round().astype(int)
    pictures = np.stack([examples.pixels(examples.rows[one]) for one in places]) / 255
    given = of_picture(pictures, shape.ceiling_db)
    found = heard(pictures, shape)
    return float(np.mean([_lost(*both, shape) for both in zip(given, found, strict=True)]))


def heard(pictures: Any, shape: SoundShape) -> Any:
    """Loudness in dB of the sounds made from pictures."""
    return log_mel(sounds_of(pictures, shape), shape)


def _lost(given: Any, found: Any, shape: SoundShape) -> float:
    # A sound is made as loud as it can be: both are brought to the same power.
    power = [np.mean(10 ** (one / 10)) for one in (given, found)]
    level = 10 * np.log10(max(power[0], LEAST_POWER) / max(power[1], LEAST_POWER))
    loud = given > given.max() - HEARD_DB
    return float(np.abs(given - (found + level))[loud].mean())
