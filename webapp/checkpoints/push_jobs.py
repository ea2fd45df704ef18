"""Pushes to the Hub: input files, the token, outcome. See :mod:`webapp.jobs.kinds`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from webapp.checkpoints import sealing
from webapp.checkpoints.models import CheckpointPush
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job
from webapp.runs.inputs import place_files


def name(job: Job) -> str:
    """The checkpoint's."""
    names = CheckpointPush.objects.filter(job=job).values_list("checkpoint__name", flat=True)
    return names.first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the checkpoint into ``folder``."""
    return spec | {"checkpoint": place_files(spec["checkpoint"], folder / "checkpoint")}


def secrets(job: Job) -> dict[str, str]:
    """The token, for this one process.

    Raises:
        JobRefused: There is none any more.
    """
    token = sealing.unseal(CheckpointPush.objects.get(job=job).sealed_token)
    if token is None:
        raise JobRefused("hub_token_missing", field="token")
    return {"HF_TOKEN": token}


def collect(job: Job, out: Path) -> dict[str, Any]:
    """What the engine says of the commit."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    pushed: dict[str, Any] = report["pushed"]
    return pushed


def finish(job: Job, collected: dict[str, Any]) -> None:
    """Keep where it went, and forget the token, in the transaction that ends the job."""
    CheckpointPush.objects.filter(job=job).update(result=collected, sealed_token="")


def ended(job: Job) -> None:
    """Forget the token when it failed or was cancelled."""
    CheckpointPush.objects.filter(job=job).update(sealed_token="")
