"""Jobs in any state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.factories.accounts import Cast
from webapp.jobs.models import Job, State


def make_job(cast: Cast, **fields: Any) -> Job:
    """A queued job of Alice's; a running one has a lease."""
    values: dict[str, Any] = {
        "kind": "train",
        "queue": "cpu",
        "state": State.QUEUED,
        "spec": {},
        "code_version": "test",
        "team": cast.team,
        "owner": cast.alice,
    }
    if fields.get("state") == State.RUNNING:
        values |= {
            "attempt": 1,
            "worker": "test",
            "lease_expires_at": timezone.now() + timedelta(minutes=1),
        }
    after = fields.pop("after", [])
    job = Job.objects.create(**values | fields)
    job.after.set(after)
    return job
