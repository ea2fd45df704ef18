"""After a copy: does the new model compute what its source does? See :mod:`webapp.jobs.kinds`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from webapp import storage
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job
from webapp.runs.inputs import place_files

#: Fields of the report that the checkpoint keeps.
KEPT = ("largest", "mean", "scale", "divergence", "agreement", "inputs")


def name(job: Job) -> str:
    """The copy's."""
    names = CheckpointImport.objects.filter(probe_job=job).values_list("name", flat=True)
    return names.first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put both checkpoints into the folder."""
    row = _row(job)
    if row.checkpoint is None:
        raise JobRefused("input_missing", detail=row.name)
    storage.materialise(row.checkpoint.manifest, folder / "other")
    return spec | {
        "one": place_files(spec["one"], folder / "one"),
        "other": str(folder / "other"),
    }


def finish(job: Job, _collected: Any) -> None:
    """Keep the outcome beside the copy's proof."""
    found = {name: job.report[name] for name in KEPT}
    Checkpoint.objects.filter(imports__probe_job=job).update(probe=found)


def _row(job: Job) -> CheckpointImport:
    return CheckpointImport.objects.select_related("checkpoint").get(probe_job=job)
