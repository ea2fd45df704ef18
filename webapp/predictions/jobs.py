"""What the job of a prediction means to the portal: its inputs, and what comes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp import storage
from webapp.jobs.models import Job
from webapp.predictions.models import Prediction
from webapp.runs.inputs import place_files


@dataclass(frozen=True)
class Collected:
    """What a job made.

    Attributes:
        manifest: The files of ``predictions/``, stored.
        examples: That were predicted.
        accuracy: Of the main target; None: it is a number, or nothing could be scored.
        rmse: The same of a number.
    """

    manifest: storage.Manifest
    examples: int
    accuracy: float | None
    rmse: float | None


def name(job: Job) -> str:
    return Prediction.objects.filter(job=job).values_list("name", flat=True).first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put data, checkpoint, head, and what these learned from into the folder."""
    spec["data"]["path"] = place_files(spec["data"]["path"], folder / "data")
    spec["checkpoint"] = place_files(spec["checkpoint"], folder / "checkpoint")
    if spec["head"]:
        spec["head"] = place_files(spec["head"], folder / "head")
    spec["trained_on"] = [
        place_files(reference, folder / f"learned-{number}")
        for number, reference in enumerate(spec["trained_on"])
    ]
    return spec


def collect(job: Job, out: Path) -> Collected:
    """Put the predictions into the store."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    mine = (report["targets"][0].get("scores") or {}).get("model") or {}
    return Collected(
        storage.store_folder(out / "predictions"),
        int(report["examples"]),
        mine.get("accuracy"),
        mine.get("rmse"),
    )


def finish(job: Job, collected: Collected) -> None:
    """Fill in the row, in the transaction that marks the job as succeeded."""
    row = Prediction.objects.get(job=job)
    row.manifest, row.examples = collected.manifest, collected.examples
    row.accuracy, row.rmse = collected.accuracy, collected.rmse
    row.save(update_fields=["manifest", "examples", "accuracy", "rmse", "updated_at"])
