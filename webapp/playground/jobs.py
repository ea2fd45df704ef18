"""Requests on the interactive queue: input folder, text as it comes, outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils import timezone

from webapp import storage
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job
from webapp.playground.models import Generation


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the checkpoint into the folder that all requests share, named by its content.

    The warm process knows a checkpoint by its path, so the second request finds it in memory.
    """
    generation = Generation.objects.select_related("checkpoint").get(job=job)
    # Tried again, or answered by another worker: the text starts anew.
    Generation.objects.filter(job=job).update(text="", tokens=0, seconds=None, first_token_at=None)
    manifest = generation.checkpoint.manifest
    if not manifest:
        raise JobRefused("input_missing", detail=generation.checkpoint.name)
    return spec | {"checkpoint": str(storage.cached_folder(manifest, folder))}


def stream(job: Job, text: str, tokens: int) -> None:
    """Keep the whole text so far; the clock starts with the first token, not with the loading."""
    row = Generation.objects.get(job=job)
    now = timezone.now()
    if row.first_token_at is None:
        row.first_token_at = now
    row.text, row.tokens = _storable(text), tokens
    row.seconds = (now - row.first_token_at).total_seconds() or None
    row.save(update_fields=["text", "tokens", "seconds", "first_token_at", "updated_at"])


def finish(job: Job, collected: dict[str, Any]) -> None:
    """Keep the whole text and how it ended."""
    row = Generation.objects.get(job=job)
    row.text = _storable(str(collected["text"]))
    row.tokens = int(collected["tokens"])
    row.seconds = collected["seconds"]
    row.reason = str(collected["reason"])[:20]
    row.save(update_fields=["text", "tokens", "seconds", "reason", "updated_at"])


def ended(job: Job) -> None:
    """Failed or stopped: what was written stays, and says why it ends there."""
    if job.state == "cancelled":
        Generation.objects.filter(job=job).update(reason="cancelled")


def _storable(text: str) -> str:
    """PostgreSQL stores no NUL, and a byte-level model can write one."""
    return text.replace("\0", "�")
