"""A job kind's owner for tests: keeps the metrics among the job's events, and nothing else.

Everything that an owner may do, done in the smallest way, so that tests of the machinery need no
data sets and checkpoints.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.utils import timezone

from webapp import storage
from webapp.jobs.models import Job, JobEvent


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    return spec


def ingest(job: Job, events: list[dict[str, Any]]) -> None:
    for event in events:
        if event["kind"] == "resumed":
            JobEvent.objects.filter(job=job, kind="metric", step__gt=event["step"]).delete()
        elif event["kind"] == "metric":
            JobEvent.objects.get_or_create(
                job=job,
                seq=event["seq"],
                defaults={
                    "at": timezone.now(),
                    "kind": "metric",
                    "step": event["step"],
                    "data": event["values"],
                },
            )


def curve(job: Job) -> dict[str, Any]:
    """The metrics by step, as stored."""
    found: dict[str, Any] = {}
    for step, data in JobEvent.objects.filter(job=job, kind="metric").values_list("step", "data"):
        found.setdefault(str(step), {}).update(data)
    return found


def collect(job: Job, out: Path) -> dict[str, Any]:
    stored = storage.store_file(out / "report.json")
    return {"stored": stored.blake3, "result": json.loads((out / "report.json").read_text())}


def finish(job: Job, collected: dict[str, Any]) -> None:
    done = {"finished": job.report.get("finished", 0) + 1}
    Job.objects.filter(pk=job.pk).update(report=job.report | done | collected)


def stream(job: Job, text: str, tokens: int) -> None:
    Job.objects.filter(pk=job.pk).update(report={"text": text, "tokens": tokens})


def ended(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(report=job.report | {"ended": job.state})
