"""Changing a job's state: compare-and-set by the one table, and what follows from an end.

Every function here runs inside a transaction. Services (people), the supervisor (workers) and the
reconciler all change states through :func:`move` and nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from webapp.jobs.kinds import KINDS
from webapp.jobs.models import TRANSITIONS, Job, Request, State

#: Ends without a verdict that a job may have in a row without getting further.
MAX_CRASHES = 5


def job_transition(
    job_id: Any,
    to: State,
    *,
    sources: Iterable[State] | None = None,
    attempt: int | None = None,
    **fields: Any,
) -> bool:
    """Move a job to a state if the table allows it from the one it is in; one UPDATE.

    Args:
        job_id: Its primary key.
        to: The new state.
        sources: States it may come from; default: all that the table allows.
        attempt: The fence: only while this attempt is the current one.
        fields: Further columns to set in the same UPDATE.

    Returns:
        Whether this call moved it.
    """
    allowed = [s for s in State if to in TRANSITIONS[s] and (sources is None or s in set(sources))]
    rows = Job.objects.filter(pk=job_id, state__in=allowed)
    if attempt is not None:
        rows = rows.filter(attempt=attempt)
    return rows.update(state=to, updated_at=Now(), **fields) == 1


def lease_end() -> Any:
    """When a lease that is taken or renewed now ends, by the database's clock."""
    return Now() + timedelta(seconds=settings.LEASE_S)


def claim(job_id: Any, attempt: int, worker: str) -> Job | None:
    """Take a queued job for its next attempt.

    Args:
        job_id: Its primary key.
        attempt: The attempt that the queue's message announced: one more than made so far.
        worker: Who takes it.

    Returns:
        The job, now running; None when somebody else was quicker or it is not wanted any more.
    """
    taken = Job.objects.filter(pk=job_id, state=State.QUEUED, attempt=attempt - 1).update(
        state=State.RUNNING,
        attempt=F("attempt") + 1,
        worker=worker[:120],
        lease_expires_at=lease_end(),
        requested=Request.NONE,
        started_at=Now(),
        finished_at=None,
        updated_at=Now(),
        phase="",
        live={},
    )
    return Job.objects.get(pk=job_id) if taken else None


@transaction.atomic
def requeue(
    job_id: Any,
    *,
    attempt: int,
    crashed: bool,
    reason: str = "",
    tail: str = "",
    error: dict[str, Any] | None = None,
) -> State | None:
    """Put a running job back into the queue, or fail it after too many crashes in a row.

    A person's request that nobody is left to obey is obeyed here.

    Args:
        job_id: Its primary key.
        attempt: The fence.
        crashed: Whether this counts as a crash (a warm stop of the worker does not).
        reason: How it ended, for the error's sentence: ``signal 9``, ``exit code 1``, ``lost``.
        tail: The end of its process log.
        error: The ``error`` event it ended with, which then says why it is given up.

    Returns:
        The state it is in now, None when the write was refused.
    """
    job = (
        Job.objects.select_for_update()
        .filter(pk=job_id, attempt=attempt, state=State.RUNNING)
        .first()
    )
    if job is None:
        return None
    free: dict[str, Any] = {
        "worker": "",
        "lease_expires_at": None,
        "requested": Request.NONE,
        "live": {},
    }
    if job.requested == Request.CANCEL:
        end(job, State.CANCELLED, attempt=attempt)
        return State.CANCELLED
    if job.requested == Request.PAUSE:
        job_transition(job_id, State.PAUSED, attempt=attempt, **free)
        return State.PAUSED
    if crashed and job.crashes + 1 >= MAX_CRASHES:
        code = "lost" if reason == "lost" else "crashed"
        params: dict[str, Any] = {"crashes": job.crashes + 1, "reason": reason, "tail": tail}
        if error is not None:
            code, params = str(error.get("code")), error.get("params") or {}
        end(
            job,
            State.FAILED,
            attempt=attempt,
            code=code,
            params=params,
            crashes=job.crashes + 1,
        )
        return State.FAILED
    job_transition(
        job_id,
        State.QUEUED,
        attempt=attempt,
        queued_at=Now(),
        dispatched_at=None,
        crashes=F("crashes") + (1 if crashed else 0),
        **free,
    )
    dispatch_on_commit(job_id)
    return State.QUEUED


def end(
    job: Job,
    to: State,
    *,
    attempt: int | None = None,
    sources: Iterable[State] | None = None,
    code: str = "",
    params: dict[str, Any] | None = None,
    field: str = "",
    **fields: Any,
) -> bool:
    """Mark a job succeeded, failed or cancelled, tell its owner, and settle its followers.

    Returns:
        Whether this call ended it.
    """
    moved = job_transition(
        job.pk,
        to,
        attempt=attempt,
        sources=sources,
        error_code=code,
        error_params=params or {},
        error_field=field[:120],
        worker="",
        lease_expires_at=None,
        requested=Request.NONE,
        finished_at=Now(),
        live={},
        **fields,
    )
    if not moved:
        return False
    job.refresh_from_db()
    if to != State.SUCCEEDED:
        call_owner(job, "ended")
    settle_followers(job)
    return True


def settle_followers(job: Job) -> None:
    """Queue what waited for this job's success, fail what waited in vain."""
    for follower in job.followers.filter(state=State.WAITING):
        settle(follower)


def settle(job: Job) -> None:
    """Queue a waiting job when all that it waits for succeeded, fail it when one did not."""
    before = set(job.after.values_list("state", flat=True))
    if before <= {State.SUCCEEDED}:
        if job_transition(job.pk, State.QUEUED, sources=[State.WAITING], queued_at=Now()):
            dispatch_on_commit(job.pk)
    elif before & {State.FAILED, State.CANCELLED}:
        end(job, State.FAILED, sources=[State.WAITING], code="predecessor_failed")


def call_owner(job: Job, function: str, *args: Any) -> Any:
    """Call a function of the app that owns this kind of job; those it does not have are skipped."""
    kind = KINDS.get(job.kind)
    if kind is None:
        return None
    found = getattr(import_module(kind.owner), function, None)
    return found(job, *args) if found is not None else None


def dispatch_on_commit(job_id: Any) -> None:
    """Tell the queue once the row is there for all to see; the reconciler mends a failure."""
    from webapp.jobs.queue import dispatch

    transaction.on_commit(lambda: dispatch(job_id), robust=True)


def database_now() -> Any:
    """The database's clock, the only one that leases are compared with."""
    with connection.cursor() as cursor:
        vendor = connection.vendor
        cursor.execute(
            "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')" if vendor == "sqlite" else "SELECT now()"
        )
        return cursor.fetchone()[0]
