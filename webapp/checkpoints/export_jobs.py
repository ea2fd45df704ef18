"""Exports: input files, outcome. See :mod:`webapp.jobs.kinds` for who calls what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from webapp import storage
from webapp.checkpoints.models import CheckpointExport
from webapp.jobs.models import Job
from webapp.runs.inputs import place_files


def name(job: Job) -> str:
    """The checkpoint's."""
    names = CheckpointExport.objects.filter(job=job).values_list("checkpoint__name", flat=True)
    return names.first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the checkpoint into ``folder``."""
    return spec | {"checkpoint": place_files(spec["checkpoint"], folder / "checkpoint")}


def collect(job: Job, out: Path) -> tuple[storage.Manifest, dict[str, Any]]:
    """Put the finished export into the store; its manifest and its proof."""
    proof = json.loads((out / "export/proof.json").read_text(encoding="utf-8"))
    return storage.store_folder(out / "export"), proof


def finish(job: Job, collected: tuple[storage.Manifest, dict[str, Any]]) -> None:
    """Fill in the row, in the transaction that marks the job as succeeded."""
    row = CheckpointExport.objects.get(job=job)
    row.manifest, row.proof = collected
    row.size = storage.manifest_size(row.manifest)
    row.save(update_fields=["manifest", "proof", "size", "updated_at"])
