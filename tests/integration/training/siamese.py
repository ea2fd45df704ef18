"""Runs on two views of tiny images, so small that a test can afford several trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.training.runs import with_parts
from training.backbones.resnet.config import ResNetConfig
from training.backbones.vit.config import ViTConfig

METHODS = ("simclr", "byol", "simsiam", "moco")
RESNET = ResNetConfig(depths=[1], group_width=8, num_classes=0)
#: It has no batch norms.
VIT = ViTConfig(image_size=16, patch_size=8, width=16, depth=1, heads=2, inner=32, num_classes=0)
OBJECTIVES: dict[str, dict[str, Any]] = {
    "simclr": {"hidden": 24, "projection": 16},
    "byol": {"hidden": 24, "projection": 16, "momentum": 0.6},
    "simsiam": {"hidden": 24, "projection": 16, "bottleneck": 8},
    "moco": {"hidden": 24, "projection": 16, "queue": 24, "norm_parts": 2, "momentum": 0.8},
}


def spec_of(method: str, dataset: Path, **parts: Any) -> dict[str, Any]:
    """A spec as JSON; ``parts`` override section by section. A source takes the model's place."""
    spec: dict[str, Any] = {
        "method": method,
        "seed": 3,
        "data": {"path": str(dataset)},
        "model": RESNET.model_dump(),
        "views": {"image_px": 16, "normalisation": "unit", "blur": 0.5},
        "objective": OBJECTIVES[method],
        "training": {"steps": 5, "batch_size": 8, "warmup_steps": 2, "learning_rate": 3e-3},
        "evaluation": {"every": 3, "batches": 2, "checkpoint_every": 3, "examples": 40},
        "devices": {"kind": "cpu"},
    }
    if "source" in parts:
        del spec["model"]
    return with_parts(spec, parts)


def without_labels(dataset: Path) -> None:
    """Make a data set one of images that have no labels."""
    about = json.loads((dataset / "dataset.json").read_text())
    (dataset / "dataset.json").write_text(json.dumps(about | {"labels": None}))
    for path in dataset.glob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(
            "".join(
                json.dumps({k: v for k, v in row.items() if k != "label"}) + "\n" for row in rows
            )
        )
