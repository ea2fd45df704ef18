"""What people do with jobs: make them, pause, resume, cancel and try them again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from training.version import code_version
from webapp.accounts import audit
from webapp.accounts.models import Team, User
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.kinds import KINDS
from webapp.jobs.models import Job, Request, State, Worker
from webapp.jobs.transitions import call_owner, dispatch_on_commit, end, job_transition, settle


@transaction.atomic
def job_create(
    *,
    kind: str,
    spec: dict[str, Any],
    team: Team,
    owner: User,
    after: Job | Iterable[Job] | None = None,
    queue: str | None = None,
) -> Job:
    """Make a job from a finished spec and queue it when the caller's transaction commits.

    Args:
        kind: Key of :data:`webapp.jobs.kinds.KINDS`.
        spec: The frozen spec; files as ``store:…``, put in place by the owner's ``inputs``.
        team: Whose it is.
        owner: Who asked.
        after: The job, or the jobs, whose success this one waits for.
        queue: Another than the kind's own, in the words of :class:`webapp.jobs.kinds.Kind`.
    """
    before = [after] if isinstance(after, Job) else list(after or ())
    job = Job.objects.create(
        kind=kind,
        queue=_queue_for(queue or KINDS[kind].queue, spec),
        state=State.WAITING if before else State.QUEUED,
        spec=spec,
        code_version=code_version(),
        team=team,
        owner=owner,
    )
    Job.objects.filter(pk=job.pk, state=State.QUEUED).update(queued_at=Now())
    if before:
        job.after.set(before)
        # They may have ended since the caller read them; locked, so that none ends meanwhile.
        list(Job.objects.select_for_update().filter(pk__in=[one.pk for one in before]))
        settle(job)
    else:
        dispatch_on_commit(job.pk)
    job.refresh_from_db()
    return job


@transaction.atomic
def job_pause(*, job: Job, actor: User | None) -> None:
    """Pause: at once when it only waits in the queue, else as soon as its state is saved.

    Raises:
        IllegalTransition: It is neither queued nor running.
    """
    state = _locked(job)
    if state == State.QUEUED:
        _move(job, State.PAUSED, "pause", sources=[State.QUEUED], dispatched_at=None)
    elif state == State.RUNNING:
        _ask(job, Request.PAUSE, "pause")
    else:
        raise IllegalTransition("pause", state)
    audit.record("job.pause", actor=actor, instance=job, name=called(job))


@transaction.atomic
def job_resume(*, job: Job, actor: User | None) -> None:
    """Go on after a pause; a pause that was asked for and not yet made is taken back.

    Raises:
        IllegalTransition: It is not paused.
    """
    state = _locked(job)
    if state == State.PAUSED:
        _move(
            job, State.QUEUED, "resume", sources=[State.PAUSED], queued_at=Now(), dispatched_at=None
        )
        dispatch_on_commit(job.pk)
    elif state == State.RUNNING and job.requested == Request.PAUSE:
        _ask(job, Request.NONE, "resume")
    else:
        raise IllegalTransition("resume", state)
    audit.record("job.resume", actor=actor, instance=job, name=called(job))


@transaction.atomic
def job_cancel(*, job: Job, actor: User | None) -> None:
    """Cancel: at once when nothing runs, else the supervisor stops the process within seconds.

    Raises:
        IllegalTransition: It has ended already.
    """
    state = _locked(job)
    if state == State.RUNNING:
        _ask(job, Request.CANCEL, "cancel")
    elif not end(job, State.CANCELLED):
        raise IllegalTransition("cancel", state)
    job.refresh_from_db()
    audit.record("job.cancel", actor=actor, instance=job, name=called(job))


@transaction.atomic
def job_retry(*, job: Job, actor: User | None) -> None:
    """Try a failed or cancelled job again, from its last saved state where there is one.

    Jobs that failed only because this one did wait for it again.

    Raises:
        IllegalTransition: It has not failed and was not cancelled, or the job it follows has.
    """
    state = _locked(job)
    if state not in {State.FAILED, State.CANCELLED}:
        raise IllegalTransition("retry", state)
    if job.after.filter(state__in=[State.FAILED, State.CANCELLED]).exists():
        raise IllegalTransition("retry", state)
    _revive(job)
    audit.record("job.retry", actor=actor, instance=job, name=called(job))


def _revive(job: Job) -> None:
    fresh: dict[str, Any] = {
        "error_code": "",
        "error_params": {},
        "error_field": "",
        "crashes": 0,
        "finished_at": None,
        "dispatched_at": None,
        "requested": Request.NONE,
    }
    if job.after.exclude(state=State.SUCCEEDED).exists():
        _move(job, State.WAITING, "retry", **fresh)
    else:
        _move(job, State.QUEUED, "retry", queued_at=Now(), **fresh)
        dispatch_on_commit(job.pk)
    for follower in job.followers.filter(state=State.FAILED, error_code="predecessor_failed"):
        _revive(follower)


def called(job: Job) -> str:
    """What people call it: the name of the run, the data, the model that it makes."""
    return str(call_owner(job, "name") or job)


def _locked(job: Job) -> State:
    """The job's state as it is now, held until the transaction ends."""
    Job.objects.select_for_update().get(pk=job.pk)
    job.refresh_from_db()
    return State(job.state)


def _move(job: Job, to: State, action: str, **fields: Any) -> None:
    if not job_transition(job.pk, to, **fields):
        raise IllegalTransition(action, job.state)
    job.refresh_from_db()


def _ask(job: Job, request: Request, action: str) -> None:
    """Leave a request for the supervisor; a cancel is never weakened to a pause."""
    rows = Job.objects.filter(pk=job.pk, state=State.RUNNING)
    if request != Request.CANCEL:
        rows = rows.exclude(requested=Request.CANCEL)
    if not rows.update(requested=request, updated_at=Now()):
        raise IllegalTransition(action, job.state)
    job.refresh_from_db()


def _queue_for(queue: str, spec: dict[str, Any]) -> str:
    """``train`` → ``cpu`` or ``gpu``: what the spec wants, and what workers have."""
    if queue != "train":
        return queue
    wanted = spec.get("devices", {}).get("kind", "auto")
    if wanted != "auto":
        return str(wanted)
    return "gpu" if queue_is_served("gpu") else "cpu"


def queue_is_served(queue: str) -> bool:
    """Whether a living worker takes jobs from this queue."""
    # JSON lists are compared in Python: SQLite has no `contains` for them, and workers are few.
    living = Worker.objects.filter(
        ~Q(name=""), seen_at__gt=Now() - timedelta(seconds=4 * settings.LEASE_S)
    )
    return any(queue in worker.queues for worker in living)
