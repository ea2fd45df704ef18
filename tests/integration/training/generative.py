"""Runs that make tiny images, so small that a test can afford several trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.training.runs import with_parts

METHODS = ("cvae", "cgan")
MODELS: dict[str, dict[str, Any]] = {
    "cvae": {
        "architecture": "conditional_vae",
        "in_channels": 3,
        "width": 4,
        "latent": 4,
        "embedding": 4,
        "hidden": 16,
    },
    "cgan": {
        "architecture": "conditional_gan",
        "in_channels": 3,
        "width": 4,
        "latent": 6,
        "embedding": 4,
        "discriminator_width": 4,
    },
}


def spec_of(method: str, dataset: Path, **parts: Any) -> dict[str, Any]:
    """A spec as JSON; ``parts`` override section by section. A source takes the model's place."""
    spec: dict[str, Any] = {
        "method": method,
        "seed": 3,
        "data": {"path": str(dataset)},
        "model": MODELS[method],
        "objective": {},
        "training": {"steps": 5, "batch_size": 8, "warmup_steps": 2, "learning_rate": 1e-3},
        "evaluation": {
            "every": 3,
            "checkpoint_every": 3,
            "sample_every": 3,
            "samples": 3,
            "batches": 2,
            "images": 20,
        },
        "judge": {"epochs": 2},
        "devices": {"kind": "cpu"},
    }
    if "source" in parts:
        del spec["model"]
    return with_parts(spec, parts)
