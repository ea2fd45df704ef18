"""The look at a checkpoint's values: input file, outcome. See :mod:`webapp.jobs.kinds`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.weights.card import WEIGHTS_FILE
from webapp import storage
from webapp.checkpoints.models import CheckpointStatistics
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job


@dataclass(frozen=True)
class Found:
    """``statistics.json`` as the row keeps it: see :class:`CheckpointStatistics`."""

    summary: dict[str, Any]
    values: dict[str, dict[str, Any]]
    histograms: dict[str, list[int]]


def name(job: Job) -> str:
    """The checkpoint's."""
    names = CheckpointStatistics.objects.filter(job=job).values_list("checkpoint__name", flat=True)
    return names.first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the weights, and nothing else of the checkpoint, into ``folder``."""
    row = CheckpointStatistics.objects.select_related("checkpoint").get(job=job)
    weights = row.checkpoint.manifest.get(WEIGHTS_FILE)
    if weights is None:
        raise JobRefused("input_missing", detail=WEIGHTS_FILE)
    storage.materialise({WEIGHTS_FILE: weights}, folder)
    return spec | {"checkpoint": str(folder)}


def collect(job: Job, out: Path) -> Found:
    """Read what the engine wrote."""
    payload = json.loads((out / "statistics.json").read_bytes())
    tensors: dict[str, dict[str, Any]] = payload["tensors"]
    return Found(
        summary=payload["summary"],
        histograms={name: tensor.pop("histogram") for name, tensor in tensors.items()},
        values=tensors,
    )


def finish(job: Job, collected: Found) -> None:
    """Keep it, in the transaction that marks the job as succeeded."""
    row = CheckpointStatistics.objects.get(job=job)
    row.summary = collected.summary
    row.values = collected.values
    row.histograms = collected.histograms
    row.save(update_fields=["summary", "values", "histograms", "updated_at"])
