"""Ratings of film reviews from MiniLM's frozen features, beside random weights and TF-IDF.

    python -m benchmarks.experiments frozen_numbers [--seeds 0 1 2] [--examples 500]

Data, source and splits are those of the texts in the experiment ``regression``: 10,605 snippets, a
fifth for the test, a tenth that watches there and is not used here, 500 with their rating in use.
Ridge regression, a network with one hidden layer and nearest neighbours are fitted on the mean of
MiniLM's hidden states; the first also on its architecture with random weights, and ridge regression
on TF-IDF of the same 500.

Bar, set beforehand and for every seed: the RMSE of the ridge at least 8 % below random weights' and
below TF-IDF's, as there. Below it the exit code is 1.

Expected: see ``docs/methods/frozen_features.md``.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.experiments.frozen_features import rated_snippets
from benchmarks.experiments.minilm import fetch
from benchmarks.experiments.transfer import work
from tests.parity.ours import import_folder

BAR = 0.08
HEADS = ("linear", "mlp", "knn")


def main(arguments: list[str]) -> None:
    """Print a row for each seed."""
    parser = argparse.ArgumentParser(prog="frozen_numbers", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--examples", type=int, default=500)
    options = parser.parse_args(arguments)
    missed = []
    columns = ["seed", "ridge (95 % interval)", "mlp", "knn", "random weights", "TF-IDF", "mean"]
    columns += ["R² of the ridge", "seconds"]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = import_folder(fetch(folder / "package"), folder / "import").folder
        upload = write_table(folder)
        for seed in options.seeds:
            reports = run(folder, upload, source, seed, options.examples)
            print(row(seed, reports), flush=True)
            found = rmse(reports["linear"])
            if found["model"] > (1 - BAR) * min(found["random"], found["tfidf"]):
                missed.append(str(seed))
    if missed:
        sys.exit(f"Not {BAR:.0%} below random weights and TF-IDF with seed {', '.join(missed)}.")
    print("The bar is kept by every seed.")


def write_table(folder: Path) -> Path:
    """The snippets as CSV, ``text`` and ``rating``."""
    path = folder / "ratings.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "rating"])
        writer.writerows((text, rating) for rating, text in rated_snippets(folder))
    return path


def run(
    folder: Path, upload: Path, source: Path, seed: int, examples: int
) -> dict[str, dict[str, Any]]:
    """The report of each head, by the command line; features are computed for the first."""
    out = folder / f"seed-{seed}"
    out.mkdir()
    settings = {
        "path": str(upload),
        "label_field": "rating",
        "validation_percent": 10,
        "test_percent": 20,
        "seed": seed,
    }
    work("prepare", settings, out / "data")
    spec = {
        "method": "frozen_features",
        "data": {"path": str(out / "data" / "dataset")},
        "source": {"checkpoint": str(source)},
        "examples": examples,
        "cache": str(folder / "cache"),
        "map": False,
        "seed": seed,
    }
    return {
        head: work("run", spec | {"head": head, "control": head == "linear"}, out / head)
        for head in HEADS
    }


def rmse(report: dict[str, Any]) -> dict[str, float]:
    """Of the head and of what stands beside it."""
    return {name: one["rmse"] for name, one in report["scores"].items()}


def row(seed: int, reports: dict[str, dict[str, Any]]) -> str:
    """A line of the table in the method's page."""
    ridge, mine = rmse(reports["linear"]), reports["linear"]["scores"]["model"]
    low, high = mine["intervals"]["rmse"]
    cells = [
        str(seed),
        f"{ridge['model']:.3f} ({low:.3f} to {high:.3f})",
        *(f"{rmse(reports[head])['model']:.3f}" for head in ("mlp", "knn")),
        *(f"{ridge[name]:.3f}" for name in ("random", "tfidf", "mean")),
        f"{mine['r2']:.3f}",
        " / ".join(f"{report['duration_s']:.0f}" for report in reports.values()),
    ]
    return "| " + " | ".join(cells) + " |"
