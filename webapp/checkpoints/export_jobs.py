"""Exports: input files, outcome. See :mod:`webapp.jobs.kinds` for who calls what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from webapp import storage
from webapp.checkpoints.models import CheckpointExport
from webapp.jobs.models import Job


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the checkpoint into ``folder``."""
    storage.materialise(_row(job).checkpoint.manifest, folder / "checkpoint")
    return spec | {"checkpoint": str(folder / "checkpoint")}


def collect(job: Job, out: Path) -> tuple[storage.Manifest, dict[str, Any]]:
    """Put the finished export into the store; its manifest and its proof."""
    proof = json.loads((out / "export/proof.json").read_text(encoding="utf-8"))
    return storage.store_folder(out / "export"), proof


def finish(job: Job, collected: tuple[storage.Manifest, dict[str, Any]]) -> None:
    """Fill in the row, in the transaction that marks the job as succeeded."""
    row = _row(job)
    row.manifest, row.proof = collected
    row.size = sum(int(entry["size"]) for entry in row.manifest.values())
    row.save(update_fields=["manifest", "proof", "size", "updated_at"])


def _row(job: Job) -> CheckpointExport:
    return CheckpointExport.objects.select_related("checkpoint").get(job=job)
