"""A frozen network's features: found in the cache beside computed anew.

    python -m benchmarks feature_cache

Three hundred images, EfficientNet-Lite0's shape with random weights at 224 pixels, by the code of
the method ``frozen_features``. Timed is what it takes to have the features of every split in
memory, without TensorFlow's start and the making of the model; each round computes into an empty
cache, and then finds. That both give the same head, to the bit, is checked.

Expected: found at least 50 times as fast; else the exit code is 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.pictures import archive, class_folders
from training.backbones.efficientnet_lite.config import PRESETS
from training.backbones.registry import model_class
from training.data.prepare import run as prepare
from training.data.prepare_spec import PrepareSpec
from training.events import EventLog
from training.features.cache import cached_features
from training.features.material import Material, read_material
from training.features.settings import FeatureSettings
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.initial import initial_weights

IMAGES_A_CLASS = 100
BAR = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="feature_cache", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        material = made(folder)
        config = material.source.config
        model = model_class(config.architecture)(config)
        model.load_named(material.source.tensors())
        everything(model, material, folder / "warm")  # the graph is traced
        ratios, computing, finding = [], [], []
        for number in range(options.rounds):
            began = time.perf_counter()
            computed = everything(model, material, folder / f"cache-{number}")
            between = time.perf_counter()
            found = everything(None, material, folder / f"cache-{number}")
            ended = time.perf_counter()
            computing.append(between - began)
            finding.append(ended - between)
            ratios.append(computing[-1] / finding[-1])
            one, other = (
                material.answers.fit("linear", values, material.train.labels, 0)
                for values in (computed["train"], found["train"])
            )
            scored = computed[material.split]
            assert np.array_equal(one.predict(scored), other.predict(found[material.split]))
    print("| features of 300 images | seconds, median | times as fast (lowest, highest) |")
    print("| --- | --- | --- |")
    print(f"| computed | {statistics.median(computing):.2f} | |")
    times = f"{statistics.median(ratios):,.0f} ({min(ratios):,.0f}, {max(ratios):,.0f})"
    print(f"| found | {statistics.median(finding):.4f} | {times} |")
    if statistics.median(ratios) < BAR:
        sys.exit(f"Missed: found {BAR:g} times as fast.")


def made(folder: Path) -> Material:
    """Prepared images and a checkpoint that sees them."""
    (folder / "images.zip").write_bytes(archive(class_folders(IMAGES_A_CLASS, size=(224, 224))))
    log = EventLog(folder / "events.jsonl")
    spec = PrepareSpec(path=str(folder / "images.zip"), validation_percent=1, test_percent=20)
    prepare(spec, folder / "data", log)
    log.close()
    config = PRESETS["efficientnet_lite0"]
    write_checkpoint(folder / "checkpoint", config, initial_weights(config, 0), None, {})
    source = read_checkpoint(folder / "checkpoint")
    return read_material(source, FeatureSettings(), folder / "data" / "dataset")


def everything(model: Any, material: Material, cache: Path) -> dict[str, np.ndarray]:
    """Features of every split, read through once."""
    found = {}
    for split, examples in material.splits.items():
        parts = {"weights": material.source.weights_sha256, **material.key(examples)}

        def compute(examples: Any = examples) -> np.ndarray:
            return material.features(model, examples, lambda _done: None)

        found[split] = np.array(cached_features(cache, parts, compute).values)
    return found


if __name__ == "__main__":
    main()
