"""What people do with jobs, in every state."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from tests.factories import Cast, make_job
from webapp.accounts.models import AuditEvent
from webapp.jobs import services
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.models import TRANSITIONS, Job, Request, State, Worker
from webapp.jobs.transitions import end, job_transition

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_only_the_tables_edges_can_be_walked(cast: Cast, source: State, target: State) -> None:
    job = make_job(cast, state=source)
    lease = make_job(cast, state=State.RUNNING).lease_expires_at
    moved = job_transition(job.pk, target, lease_expires_at=lease)
    job.refresh_from_db()
    assert moved == (target in TRANSITIONS[source])
    assert job.state == (target if moved else source)


def test_the_database_refuses_states_that_are_not_in_the_table(cast: Cast) -> None:
    job = make_job(cast)
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(state="lost")


def test_a_running_job_needs_a_lease(cast: Cast) -> None:
    job = make_job(cast)
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(state=State.RUNNING)


def test_a_new_job_is_queued_on_commit(
    cast: Cast, broker: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = services.job_create(kind="train", spec={}, team=cast.team, owner=cast.alice)
        assert broker.llen("rq:queue:cpu") == 0
    job.refresh_from_db()
    assert (job.state, job.queue) == (State.QUEUED, "cpu")
    assert job.queued_at is not None
    assert job.dispatched_at is not None
    assert broker.lrange("rq:queue:cpu", 0, -1) == [f"{job.pk}_1".encode()]


def test_a_broker_that_is_away_does_not_stop_anyone(
    cast: Cast, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = services.job_create(kind="prepare", spec={}, team=cast.team, owner=cast.alice)
    job.refresh_from_db()
    assert job.state == State.QUEUED
    assert job.dispatched_at is None


@pytest.mark.parametrize(
    ("wanted", "gpu_worker", "queue"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "gpu"),
        ("cpu", True, "cpu"),
        ("gpu", False, "gpu"),
    ],
)
def test_training_goes_where_the_devices_are(
    cast: Cast, wanted: str, gpu_worker: bool, queue: str
) -> None:
    from django.utils import timezone

    if gpu_worker:
        Worker.objects.create(
            name="w", pid=1, queues=["gpu"], started_at=timezone.now(), seen_at=timezone.now()
        )
    spec = {"devices": {"kind": wanted}}
    job = services.job_create(kind="train", spec=spec, team=cast.team, owner=cast.alice)
    assert job.queue == queue


def test_a_follower_waits_for_success(cast: Cast) -> None:
    first = make_job(cast, state=State.RUNNING)
    second = services.job_create(
        kind="train", spec={}, team=cast.team, owner=cast.alice, after=first
    )
    assert second.state == State.WAITING
    done = make_job(cast, state=State.SUCCEEDED)
    third = services.job_create(kind="train", spec={}, team=cast.team, owner=cast.alice, after=done)
    assert third.state == State.QUEUED


def test_a_follower_of_two_waits_for_both(cast: Cast) -> None:
    one, two = make_job(cast, state=State.SUCCEEDED), make_job(cast, state=State.RUNNING)
    job = services.job_create(
        kind="train", spec={}, team=cast.team, owner=cast.alice, after=[one, two]
    )
    assert job.state == State.WAITING
    end(two, State.SUCCEEDED)
    job.refresh_from_db()
    assert job.state == State.QUEUED


def test_followers_of_a_cancelled_job_fail_down_the_line(cast: Cast) -> None:
    first = make_job(cast)
    second = make_job(cast, state=State.WAITING, after=[first])
    third = make_job(cast, state=State.WAITING, after=[second])
    services.job_cancel(job=first, actor=cast.alice)
    for follower in (second, third):
        follower.refresh_from_db()
        assert (follower.state, follower.error_code) == (State.FAILED, "predecessor_failed")
    services.job_retry(job=first, actor=cast.alice)
    states = [Job.objects.get(pk=job.pk).state for job in (first, second, third)]
    assert states == [State.QUEUED, State.WAITING, State.WAITING]


ALLOWED = {
    "pause": {State.QUEUED, State.RUNNING},
    "resume": {State.PAUSED},
    "cancel": {State.WAITING, State.QUEUED, State.RUNNING, State.PAUSED},
    "retry": {State.FAILED, State.CANCELLED},
}


@pytest.mark.parametrize(("action", "state"), list(itertools.product(ALLOWED, State)))
def test_each_action_is_allowed_in_its_states_only(cast: Cast, action: str, state: State) -> None:
    job = make_job(cast, state=state)
    act = getattr(services, f"job_{action}")
    if state not in ALLOWED[action]:
        with pytest.raises(IllegalTransition):
            act(job=job, actor=cast.alice)
        assert not AuditEvent.objects.exists()
        return
    act(job=job, actor=cast.alice)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_id) == (
        f"job.{action}",
        cast.alice,
        str(job.pk),
    )


def test_a_running_job_is_asked_and_not_moved(cast: Cast) -> None:
    job = make_job(cast, state=State.RUNNING)
    services.job_pause(job=job, actor=cast.alice)
    assert (job.state, job.requested) == (State.RUNNING, Request.PAUSE)
    services.job_resume(job=job, actor=cast.alice)
    assert job.requested == Request.NONE
    services.job_cancel(job=job, actor=cast.alice)
    assert job.requested == Request.CANCEL
    with pytest.raises(IllegalTransition):
        services.job_pause(job=job, actor=cast.alice)


def test_a_retry_forgets_the_error(cast: Cast) -> None:
    job = make_job(cast, state=State.FAILED, error_code="nan_loss", crashes=5)
    services.job_retry(job=job, actor=cast.alice)
    assert (job.state, job.error_code, job.crashes) == (State.QUEUED, "", 0)
