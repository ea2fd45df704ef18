"""What the kind ``prepare`` needs from its owner (see :mod:`webapp.jobs.kinds`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp import storage
from webapp.datasets import uploads
from webapp.datasets.models import DatasetVersion, Upload
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job


@dataclass(frozen=True)
class Collected:
    """What a check left in the store, and what it found out."""

    manifest: dict[str, Any]
    summary: dict[str, Any]
    preview: dict[str, Any]


def name(job: Job) -> str:
    version = DatasetVersion.objects.select_related("dataset").filter(job=job).first()
    return str(version or "")


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the raw file into ``folder``, after moving a fresh upload into the store."""
    kind, _colon, name = spec["path"].partition(":")
    try:
        digest = uploads.store(Upload.objects.get(pk=name)) if kind == "upload" else name
    except (Upload.DoesNotExist, FileNotFoundError):
        raise JobRefused("file_missing", field="path") from None
    DatasetVersion.objects.filter(job=job).update(raw_blake3=digest)
    storage.materialise({"input": {"blake3": digest}}, folder)
    return spec | {"path": str(folder / "input")}


def collect(job: Job, out: Path) -> Collected:
    """Store the prepared folder."""
    dataset = out / "dataset"
    return Collected(
        manifest=storage.store_folder(dataset, link=True),
        summary=json.loads((dataset / "dataset.json").read_text(encoding="utf-8")),
        preview=json.loads((dataset / "preview.json").read_text(encoding="utf-8")),
    )


def finish(job: Job, collected: Collected) -> None:
    """Make the version ready."""
    DatasetVersion.objects.filter(job=job).update(
        manifest=collected.manifest,
        sha256=collected.summary["sha256"],
        summary=collected.summary,
        preview=collected.preview,
    )
