"""What the reconciler mends, one pass at a time."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import Cast, make_job
from webapp.jobs import reconciler
from webapp.jobs.models import Job, Request, State, Worker
from webapp.jobs.processes import Identity, identity, place
from webapp.jobs.transitions import MAX_CRASHES

pytestmark = pytest.mark.django_db

PAST = timedelta(minutes=-5)


def state(job: Job) -> str:
    return str(Job.objects.values_list("state", flat=True).get(pk=job.pk))


def test_a_job_whose_lease_ran_out_is_queued_again(cast: Cast) -> None:
    lost = make_job(cast, state=State.RUNNING, lease_expires_at=timezone.now() + PAST)
    fine = make_job(cast, state=State.RUNNING)
    assert reconciler.close_orphans() == 1
    lost.refresh_from_db()
    assert (lost.state, lost.crashes, lost.worker) == (State.QUEUED, 1, "")
    assert state(fine) == State.RUNNING


def test_a_job_that_is_lost_again_and_again_is_given_up(cast: Cast) -> None:
    job = make_job(
        cast,
        state=State.RUNNING,
        lease_expires_at=timezone.now() + PAST,
        crashes=MAX_CRASHES - 1,
    )
    reconciler.close_orphans()
    job.refresh_from_db()
    assert (job.state, job.error_code) == (State.FAILED, "lost")


@pytest.mark.parametrize(
    ("request_", "outcome"), [(Request.CANCEL, State.CANCELLED), (Request.PAUSE, State.PAUSED)]
)
def test_a_wish_that_nobody_could_obey_comes_true(
    cast: Cast, request_: Request, outcome: State
) -> None:
    job = make_job(
        cast,
        state=State.RUNNING,
        requested=request_,
        lease_expires_at=timezone.now() + PAST,
    )
    reconciler.close_orphans()
    assert state(job) == outcome


def test_a_worker_that_died_on_this_machine_is_noticed_at_once(cast: Cast) -> None:
    gone = str(Identity(place(), 2**22 - 1, 1))
    reused = str(Identity(place(), os.getpid(), 1))
    elsewhere = str(Identity("another-host-1-2", 2**22 - 1, 1))
    jobs = {
        name: make_job(cast, state=State.RUNNING, worker=name)
        for name in (gone, reused, elsewhere, str(identity(os.getpid())))
    }
    reconciler.close_orphans()
    assert [state(job) for job in jobs.values()] == [
        State.QUEUED,
        State.QUEUED,
        State.RUNNING,
        State.RUNNING,
    ]


def test_a_living_worker_that_is_late_gets_time_to_catch_up(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(
        cast,
        state=State.RUNNING,
        worker=str(identity(os.getpid())),
        lease_expires_at=timezone.now() + PAST,
    )
    now = time.monotonic()
    for after, outcome in ((0, State.RUNNING), (15, State.RUNNING), (30, State.QUEUED)):
        monkeypatch.setattr(reconciler.time, "monotonic", lambda after=after: now + after)
        reconciler.close_orphans()
        assert state(job) == outcome, after


def test_what_redis_forgot_is_sent_again_and_only_that(cast: Cast, broker: Any) -> None:
    job = make_job(cast)
    assert reconciler.dispatch_forgotten() == 1
    assert reconciler.dispatch_forgotten() == 0, "on its way"
    Job.objects.update(dispatched_at=timezone.now() + PAST)
    assert reconciler.dispatch_forgotten() == 0, "it waits in Redis"
    broker.flushall()
    assert reconciler.dispatch_forgotten() == 1
    assert broker.lrange("rq:queue:cpu", 0, -1) == [f"{job.pk}_1".encode()]


def test_a_broker_that_is_away_is_borne(cast: Cast) -> None:
    make_job(cast)
    assert reconciler.dispatch_forgotten() == 0


def test_waiting_jobs_are_settled(cast: Cast) -> None:
    done, failed = make_job(cast, state=State.SUCCEEDED), make_job(cast, state=State.FAILED)
    running = make_job(cast, state=State.RUNNING)
    follows = [make_job(cast, state=State.WAITING, after=[one]) for one in (done, failed, running)]
    both = make_job(cast, state=State.WAITING, after=[done, running])
    reconciler.settle_waiting()
    assert [state(job) for job in follows] == [State.QUEUED, State.FAILED, State.WAITING]
    assert state(both) == State.WAITING


def test_workers_not_seen_for_long_are_forgotten(cast: Cast) -> None:
    for name, seen in (("old", PAST * 10), ("new", timedelta())):
        Worker.objects.create(
            name=name, pid=1, started_at=timezone.now(), seen_at=timezone.now() + seen
        )
    reconciler.forget_workers()
    assert list(Worker.objects.values_list("name", flat=True)) == ["new"]


def test_folders_that_nobody_needs_are_removed(cast: Cast, settings: Any) -> None:
    long_ago = timezone.now() - timedelta(days=30)
    jobs = {
        "running": make_job(cast, state=State.RUNNING),
        "paused": make_job(cast, state=State.PAUSED),
        "failed": make_job(cast, state=State.FAILED, finished_at=timezone.now()),
        "done": make_job(cast, state=State.SUCCEEDED, finished_at=long_ago),
        "stale": make_job(cast, state=State.FAILED, finished_at=long_ago),
    }
    folders = {name: Path(settings.WORK_DIR) / str(job.pk) for name, job in jobs.items()}
    folders["unknown"] = Path(settings.WORK_DIR) / "6f1c2a34-0000-4000-8000-000000000000"
    folders["not ours"] = Path(settings.WORK_DIR) / "notes"
    for folder in folders.values():
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - 3600,) * 2)
    reconciler.clean()
    left = {name for name, folder in folders.items() if folder.exists()}
    assert left == {"running", "paused", "failed", "not ours"}
