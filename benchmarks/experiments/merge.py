"""Nano GPT-2 from Brown, fine-tuned on Moby Dick, and the models between the two (WiSE-FT).

    python -m benchmarks.experiments merge

Everything goes through ``python -m training``. For each seed: 150 steps on Brown, 60 on Moby Dick
from that checkpoint, then a merge with its loss on both data sets at α = 0, 0.1 … 1.

Checked for every seed, exit code 1 on a miss: the curve's ends are the two models' own losses, as
``evaluate`` gives them, and some point in between is better on Brown than either and better on Moby
Dick than the model that was not fine-tuned. With a whole novel to learn from, no point is better on
it than the fine-tuned model: that takes few data, as in ``wise_ft``.

Seen with seed 0: Moby Dick falls all the way from 6.217 to 5.797; Brown has 6.287 at α = 0, 6.246
at 0.4 and 6.345 at 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.experiments.transfer import SAMPLES, prepare, work
from training.backbones.gpt2.config import PRESETS

PRETRAIN_STEPS, TUNE_STEPS = 150, 60


def main(arguments: list[str]) -> None:
    """Train and merge for each seed, and print its curve."""
    parser = argparse.ArgumentParser(prog="merge", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="keep everything here, and go on from it")
    options = parser.parse_args(arguments)
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = (options.out or Path(scratch)).resolve()
        data = {name: prepare(path, out / f"{name}-data") for name, path in SAMPLES.items()}
        for seed in options.seeds:
            report, ends = one_seed(seed, data, out / f"seed-{seed}")
            target, source = curves(report)
            if not print_curve(seed, report, target, source):
                missed.append(f"seed {seed}: no point in between")
            found = ((target[0], source[0]), (target[-1], source[-1]))
            pairs = zip(ends, found, strict=True)
            if any(
                abs(a - b) > 1e-5 for end, point in pairs for a, b in zip(end, point, strict=True)
            ):
                missed.append(f"seed {seed}: the ends are {found} and not {ends}")
    if missed:
        sys.exit("Missed: " + "; ".join(missed))
    print("Kept by every seed.")


def one_seed(
    seed: int, data: dict[str, Path], out: Path
) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """The merge's report, and (target, source) losses of both ends from ``evaluate``."""
    pretrained = {
        "seed": seed,
        "data": {"path": str(data["brown"])},
        "training": {"steps": PRETRAIN_STEPS},
        "evaluation": {"every": 50},
        "tokenizer": {"kind": "train", "vocabulary_size": 4096},
        "model": PRESETS["nano"].model_dump(),
    }
    work("run", pretrained, out / "pretrain")
    start, tuned = (out / name / "checkpoint" for name in ("pretrain", "tune"))
    work(
        "run",
        {
            "seed": seed,
            "data": {"path": str(data["moby"])},
            "training": {"steps": TUNE_STEPS},
            "evaluation": {"every": 20},
            "tokenizer": {"kind": "source"},
            "source": {"checkpoint": str(start)},
        },
        out / "tune",
    )
    judged = {
        "data": [
            {"path": str(data["moby"]), "role": "target"},
            {"path": str(data["brown"]), "role": "source"},
        ],
        "batches": 40,
    }
    merge = {"checkpoints": [str(start), str(tuned)], "alpha": None, "evaluate": judged}
    report = work("merge", merge, out / "merge")
    ends = []
    for name, checkpoint in (("start", start), ("tuned", tuned)):
        spec = {"checkpoint": str(checkpoint), **judged}
        scores = work("evaluate", spec, out / f"evaluate-{name}")["scores"]
        ends.append((scores[0]["loss"], scores[1]["loss"]))
    return report, ends


def curves(report: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Loss on the target and on the source, by α."""
    points = report["evaluation"]["points"]
    target, source = ([point["scores"][n]["loss"] for point in points] for n in (0, 1))
    return target, source


def print_curve(
    seed: int, report: dict[str, Any], target: list[float], source: list[float]
) -> bool:
    """The table of a seed; whether some point in between is worth having."""
    alphas = [point["alpha"] for point in report["evaluation"]["points"]]
    best = report["evaluation"]["best"]
    print(f"\nseed {seed}: best on the target at α = {alphas[best['point']]:g}, ", end="")
    print(f"{best['source_cost']:.3f} above the source model on the source\n")
    print("| α | " + " | ".join(f"{alpha:g}" for alpha in alphas) + " |")
    print("| --- |" + " --- |" * len(alphas))
    for name, losses in (("Moby Dick", target), ("Brown", source)):
        print(f"| {name} | " + " | ".join(f"{loss:.3f}" for loss in losses) + " |", flush=True)
    return any(
        source[n] < min(source[0], source[-1]) and target[n] < target[0]
        for n in range(1, len(alphas) - 1)
    )
