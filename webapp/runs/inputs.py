"""The files that a spec's references name, put where a training process finds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webapp import storage
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import DatasetVersion
from webapp.heads.models import Head
from webapp.jobs.errors import JobRefused
from webapp.runs import references
from webapp.runs.models import Run


def place_files(reference: str, folder: Path) -> str:
    """Put what a ``store:`` reference names into a folder; the folder's path.

    Raises:
        JobRefused: ``input_missing``.
        storage.StoreError: The store does not have it, or not as it was.
    """
    manifest = _manifest(reference)
    if not manifest:
        raise JobRefused("input_missing", detail=reference)
    storage.materialise(manifest, folder)
    return str(folder)


def _manifest(reference: str) -> Mapping[str, Mapping[str, Any]]:
    """The files of a reference; none when they are not there."""
    kind, pk = references.read(reference)
    if kind == "dataset":
        return DatasetVersion.objects.get(pk=pk).manifest
    if kind == "checkpoint":
        return Checkpoint.objects.get(pk=pk).manifest
    if kind == "head":
        return Head.objects.get(pk=pk).manifest
    run = Run.objects.select_related("checkpoint").get(pk=pk)
    return run.checkpoint.manifest if run.checkpoint else {}
