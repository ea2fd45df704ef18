"""Imports, copies and merges: inputs and outcome. :mod:`webapp.jobs.kinds` says who calls what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from webapp import storage
from webapp.checkpoints import services
from webapp.checkpoints.folders import StoredFolder, store_checkpoint
from webapp.checkpoints.models import CheckpointImport
from webapp.datasets import uploads
from webapp.datasets.models import Upload
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job
from webapp.runs.inputs import place_files

#: Fields of a ``phase`` event that say how far a download is.
PROGRESS = ("bytes", "total_bytes", "bytes_per_s")


def name(job: Job) -> str:
    names = CheckpointImport.objects.filter(job=job).values_list("name", flat=True)
    return names.first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put uploaded files, or the checkpoints and data that are read, into ``folder``."""
    row = _row(job)
    if job.kind == "import_folder":
        _store_uploads(row)
        storage.materialise(row.manifest, folder / "upload")
        return spec | {"path": str(folder / "upload")}
    if job.kind == "copy":
        spec["source"]["checkpoint"] = place_files(spec["source"]["checkpoint"], folder / "source")
        if base := spec.get("base"):
            spec["base"] = place_files(base, folder / "base")
        if words := spec["tokenizer"]["checkpoint"]:
            spec["tokenizer"]["checkpoint"] = place_files(words, folder / "tokenizer")
        return spec
    if job.kind == "merge":
        return _merge_inputs(spec, folder)
    return spec


def _merge_inputs(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    names = (*spec["checkpoints"], *([spec["base"]] if spec["base"] else []))
    places = {name: place_files(name, folder / f"model-{n}") for n, name in enumerate(names)}
    spec |= {
        "checkpoints": [places[name] for name in spec["checkpoints"]],
        "base": places.get(spec["base"], ""),
    }
    for number, data in enumerate((spec["evaluate"] or {}).get("data", [])):
        data["path"] = place_files(data["path"], folder / f"data-{number}")
    return spec


def _store_uploads(row: CheckpointImport) -> None:
    """Move what arrived into the store; a retry finds it there."""
    for path, entry in row.manifest.items():
        if "blake3" in entry:
            continue
        upload = Upload.objects.filter(pk=entry["upload"]).first()
        try:
            if upload is None:
                raise FileNotFoundError
            entry["blake3"] = uploads.store(upload)
        except FileNotFoundError:
            raise JobRefused("input_missing", detail=path) from None
        row.save(update_fields=["manifest", "updated_at"])


def ingest(job: Job, events: list[dict[str, Any]]) -> None:
    """Keep how far a download is."""
    last = next((event for event in reversed(events) if event["kind"] == "phase"), None)
    if last is not None:
        known = {name: last[name] for name in PROGRESS if last.get(name) is not None}
        CheckpointImport.objects.filter(job=job).exclude(progress=known).update(progress=known)


def collect(job: Job, out: Path) -> StoredFolder:
    """Put the finished checkpoint into the store; no rows yet."""
    return store_checkpoint(out / "checkpoint")


def finish(job: Job, collected: StoredFolder) -> None:
    """Make the checkpoint's row, in the transaction that marks the job as succeeded."""
    row = _row(job)
    row.checkpoint = services.checkpoint_create(
        name=row.name,
        origin=row.origin,
        team=row.team,
        owner=row.owner,
        job=job,
        parents=[one for one in (row.source, row.base) if one] or list(row.merged.all()),
        **collected.fields(),
    )
    row.save(update_fields=["checkpoint", "updated_at"])


def _row(job: Job) -> CheckpointImport:
    return CheckpointImport.objects.select_related("source", "base", "team", "owner").get(job=job)
