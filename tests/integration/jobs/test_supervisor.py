"""One attempt from claim to verdict, with real processes and the stand-in for the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.factories import Cast, make_cast, make_job
from tests.factories.exercise import curve
from tests.faults.tiny_engine import expected_curve
from webapp.jobs import sandbox, services, supervisor
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job, JobEvent, State
from webapp.jobs.processes import identity
from webapp.jobs.selectors import error_sentence, log_lines
from webapp.jobs.supervisor import Supervisor, work_folder
from webapp.jobs.transitions import MAX_CRASHES, claim, requeue

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db: None) -> Cast:
    return make_cast()


def attempt(job: Job, during: Callable[[Supervisor, int], None] | None = None) -> Job:
    """Claim and run one attempt; ``during`` is called at every look, with its number."""
    job.refresh_from_db()
    claimed = claim(job.pk, job.attempt + 1, "test")
    assert claimed is not None
    one = Supervisor(claimed)
    look, count = one._look, 0

    def watched() -> None:
        nonlocal count
        count += 1
        if during is not None:
            during(one, count)
        look()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one, "_look", watched)
        one.run()
    job.refresh_from_db()
    return job


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "POLL_S", 0.05)


def test_a_job_runs_to_its_end(people: Cast) -> None:
    job = attempt(make_job(people, spec={"steps": 30, "seed": 7}))
    assert (job.state, job.step, job.total_steps, job.fraction) == (State.SUCCEEDED, 30, 30, 1.0)
    assert curve(job) == expected_curve(7, 30)
    assert job.report["finished"] == 1
    assert job.worker == ""
    assert job.finished_at is not None
    assert not work_folder(job.pk).exists()
    kinds = list(
        JobEvent.objects.filter(job=job).exclude(kind="metric").values_list("kind", flat=True)
    )
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert [line.text for line in log_lines(job)][:1] == ["Started on here."]


def test_a_pause_keeps_the_state_and_a_resume_goes_on(people: Cast) -> None:
    job = make_job(people, spec={"steps": 40, "hold_at": 20, "seed": 3})

    done: list[int] = []

    def pause(one: Supervisor, count: int) -> None:
        if (one.job.step or 0) > 6 and not done:
            done.append(count)
            services.job_pause(job=Job.objects.get(pk=job.pk), actor=people.alice)

    attempt(job, pause)
    assert (job.state, job.step, job.fraction) == (State.PAUSED, 20, 0.5)
    services.job_resume(job=job, actor=people.alice)
    attempt(job)
    assert (job.state, job.attempt, job.crashes) == (State.SUCCEEDED, 2, 0)
    assert curve(job) == expected_curve(3, 40)


def test_a_cancel_stops_the_process(people: Cast) -> None:
    job = make_job(people, spec={"steps": 1000, "step_s": 0.02})

    done: list[int] = []

    def cancel(one: Supervisor, count: int) -> None:
        if (one.job.step or 0) > 6 and not done:
            done.append(count)
            services.job_cancel(job=Job.objects.get(pk=job.pk), actor=people.alice)

    attempt(job, cancel)
    assert job.state == State.CANCELLED
    assert job.report["ended"] == "cancelled"
    assert (work_folder(job.pk) / "state.json").exists()  # a retry goes on from here


def test_a_process_that_does_not_listen_is_killed(
    people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "CANCEL_GRACE_S", 0.3)
    job = make_job(people, spec={"steps": 1000, "step_s": 0.02, "deaf": True})

    asked_at: list[float] = []

    def cancel(one: Supervisor, count: int) -> None:
        if (one.job.step or 0) > 6 and not asked_at:
            asked_at.append(time.monotonic())
            services.job_cancel(job=Job.objects.get(pk=job.pk), actor=people.alice)

    attempt(job, cancel)
    assert job.state == State.CANCELLED
    assert time.monotonic() - asked_at[0] < 5


def test_a_refusal_is_kept_with_its_sentence(people: Cast) -> None:
    job = attempt(make_job(people, spec={"refuse": "disk_full"}))
    assert (job.state, job.error_code, job.error_field) == (
        State.FAILED,
        "disk_full",
        "training.steps",
    )
    assert "a checkpoint could not be written" in error_sentence(job)
    assert job.report["ended"] == "failed"


def test_a_crash_puts_the_job_back_and_the_curve_is_the_same(people: Cast) -> None:
    job = make_job(people, spec={"steps": 40, "hold_at": 22, "every": 5, "seed": 5})
    reached: list[int] = []

    done: list[int] = []

    def kill(one: Supervisor, count: int) -> None:
        if (one.job.step or 0) > 6 and not done:
            done.append(count)
            assert one.process is not None
            one.process.kill()
            reached.append(one.process.pid)

    attempt(job, kill)
    assert (job.state, job.attempt) == (State.QUEUED, 1)
    assert reached
    attempt(job)
    assert job.state == State.SUCCEEDED
    assert curve(job) == expected_curve(5, 40)
    assert JobEvent.objects.filter(job=job, kind="resumed").count() == 1
    steps = list(JobEvent.objects.filter(job=job, kind="sample").values_list("step", flat=True))
    assert steps == sorted(set(steps))


def test_a_job_that_crashes_at_the_same_place_is_given_up(people: Cast) -> None:
    job = make_job(people, spec={"steps": 40, "every": 10, "crash_at": 25})
    for number in range(MAX_CRASHES):
        assert job.state == State.QUEUED, number
        attempt(job)
    # The first attempt got further (it saved step 20): its crash is counted from there.
    assert (job.state, job.error_code, job.attempt) == (State.FAILED, "crashed", MAX_CRASHES)
    assert "exit code 3" in error_sentence(job)
    assert "something terrible happened" in error_sentence(job)


def test_getting_further_forgives_crashes(people: Cast) -> None:
    job = make_job(people, spec={"steps": 40, "every": 10, "crash_at": 25}, crashes=4)
    attempt(job)
    assert (job.state, job.crashes) == (State.QUEUED, 1)


def test_leaving_without_a_word_is_a_crash(people: Cast) -> None:
    job = attempt(make_job(people, spec={"silent": True}))
    assert (job.state, job.crashes) == (State.QUEUED, 1)


@pytest.mark.parametrize("saved", [False, True])
def test_a_refusal_that_could_not_even_be_written_is_a_full_disk(people: Cast, saved: bool) -> None:
    job = make_job(people, spec={"mute": True})
    if saved:
        (work_folder(job.pk) / "state/step-00000004").mkdir(parents=True)
    attempt(job)
    expected = "disk_full" if saved else "disk_full_writing"
    assert (job.state, job.error_code) == (State.FAILED, expected)


def test_a_worker_that_leaves_saves_the_state_first(people: Cast) -> None:
    job = make_job(people, spec={"steps": 1000, "step_s": 0.02})

    done: list[int] = []

    def leave(one: Supervisor, count: int) -> None:
        if (one.job.step or 0) > 6 and not done:
            done.append(count)
            one.stop()

    attempt(job, leave)
    assert (job.state, job.crashes) == (State.QUEUED, 0)
    assert (work_folder(job.pk) / "state.json").exists()


def test_a_deadline_ends_the_job(people: Cast) -> None:
    job = attempt(make_job(people, kind="prepare", spec={"steps": 1000, "step_s": 0.02}))
    assert (job.state, job.error_code) == (State.FAILED, "deadline")


def test_a_supervisor_that_was_given_up_kills_its_process_and_writes_nothing(people: Cast) -> None:
    job = make_job(people, spec={"steps": 1000, "step_s": 0.02})
    pids: list[int] = []

    done: list[int] = []

    def usurp(one: Supervisor, count: int) -> None:
        if (one.job.step or 0) > 6 and not done:
            done.append(count)
            assert one.process is not None
            pids.append(one.process.pid)
            Job.objects.filter(pk=job.pk).update(attempt=2, worker="another", step=77)

    attempt(job, usurp)
    assert (job.state, job.attempt, job.worker, job.step) == (State.RUNNING, 2, "another", 77)
    assert not psutil.pid_exists(pids[0])


def test_an_older_process_of_the_job_is_ended_first(people: Cast) -> None:
    job = make_job(people, spec={"steps": 5})
    folder = work_folder(job.pk)
    folder.mkdir(parents=True)
    script = f"""if 1:
        import fcntl, time
        lock = open({str(folder / "lock")!r}, "a")
        fcntl.flock(lock, fcntl.LOCK_EX)
        print("locked", flush=True)
        time.sleep(600)"""
    older = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert older.stdout is not None
    older.stdout.readline()
    (folder / "pid").write_text(str(identity(older.pid)))
    attempt(job)
    assert job.state == State.SUCCEEDED
    assert older.wait(60) == -signal.SIGKILL
    older.stdout.close()


def test_a_folder_that_another_process_holds_is_left_alone(
    people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr(supervisor, "LOCK_WAIT_S", 0.2)
    job = make_job(people, spec={"steps": 5})
    work_folder(job.pk).mkdir(parents=True)
    with (work_folder(job.pk) / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        attempt(job)
    assert (job.state, job.crashes) == (State.QUEUED, 1)


def test_a_job_that_moved_hosts_is_told_anew(people: Cast) -> None:
    job = make_job(people, spec={"steps": 150, "step_s": 0.02, "every": 5, "seed": 1})

    done: list[int] = []

    def leave(one: Supervisor, count: int) -> None:
        if (one.job.step or 0) > 6 and not done:
            done.append(count)
            one.stop()

    attempt(job, leave)
    first = (job.step, JobEvent.objects.filter(job=job).count())
    assert first[1] > 0
    # The next attempt starts on a host whose folder is empty.
    work_folder(job.pk).rename(work_folder(job.pk).with_name("other-host"))
    attempt(job)
    assert job.state == State.SUCCEEDED
    assert curve(job) == expected_curve(1, 150)
    assert not JobEvent.objects.filter(job=job, kind="resumed").exists()


def test_only_one_of_two_messages_starts_the_job(people: Cast) -> None:
    job = make_job(people)
    assert claim(job.pk, 1, "a") is not None
    assert claim(job.pk, 1, "b") is None
    assert claim(job.pk, 2, "b") is None


def test_a_late_verdict_is_refused(people: Cast) -> None:
    job = make_job(people)
    claim(job.pk, 1, "a")
    assert requeue(job.pk, attempt=1, crashed=True, reason="lost") == State.QUEUED
    assert requeue(job.pk, attempt=1, crashed=True, reason="lost") is None
    job.refresh_from_db()
    assert job.crashes == 1


@pytest.mark.parametrize(
    ("function", "error", "code"),
    [
        ("inputs", JobRefused("input_missing", detail="abc"), "input_missing"),
        ("collect", JobRefused("store_full"), "store_full"),
        ("finish", ValueError("a bug"), "portal"),
    ],
)
def test_an_owner_that_refuses_fails_the_job_with_a_sentence(
    people: Cast, monkeypatch: pytest.MonkeyPatch, function: str, error: Exception, code: str
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(f"tests.factories.exercise.{function}", refuse)
    job = attempt(make_job(people, spec={"steps": 5}))
    assert (job.state, job.error_code) == (State.FAILED, code)
    assert error_sentence(job)


def test_success_starts_the_followers(people: Cast) -> None:
    first = make_job(people, spec={"steps": 5})
    second = make_job(people, state=State.WAITING, after=[first])
    attempt(first)
    second.refresh_from_db()
    assert second.state == State.QUEUED


def test_the_environment_holds_no_secret(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DATABASE_URL",
        "REDIS_URL",
        "GRAFT_SECRET_KEY",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("GRAFT_VIRTUAL_CPUS", "2")
    folder = work_folder("x")
    values = sandbox.environment(folder, network=False)
    assert "secret" not in values.values()
    assert values["GRAFT_VIRTUAL_CPUS"] == "2"
    assert values["CUDA_VISIBLE_DEVICES"] == "-1"
    assert values["HOME"] == str(folder)
    assert sandbox.environment(folder, network=False, gpus=[1, 3])["CUDA_VISIBLE_DEVICES"] == "1,3"


PROBE = """
import os, resource, socket
try:
    socket.create_connection(("127.0.0.1", {port}), 1).close()
    print("network")
except OSError:
    print("no network")
print(resource.getrlimit(resource.RLIMIT_CORE)[0], os.getpgrp() == os.getpid(), os.getuid())
"""


@pytest.mark.parametrize("network", [True, False])
def test_the_process_is_bound_and_off_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    if not network and not sandbox.can_leave_network():
        pytest.skip("This system does not permit network namespaces.")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = tmp_path / "probe.py"
        probe.write_text(PROBE.format(port=server.getsockname()[1]))
        monkeypatch.setenv("GRAFT_ENGINE", f"{sys.executable} {probe}")
        log = tmp_path / "log"
        process = sandbox.start([], folder=tmp_path, network=network, log=log)
        assert process.wait(60) == 0, log.read_text()
    lines = log.read_text().split("\n")
    assert lines[0] == ("network" if network else "no network")
    assert lines[1] == f"0 True {os.getuid()}"


def test_a_chatty_process_does_not_fill_the_disk(tmp_path: Path) -> None:
    log = tmp_path / "process.log"
    log.write_bytes(b"x" * 79 + b"\n")
    supervisor._cut_back(log)
    assert log.stat().st_size == 80
    log.write_bytes((b"x" * 79 + b"\n") * (supervisor.LOG_LIMIT // 80 + 1))
    supervisor._cut_back(log)
    assert log.stat().st_size < 100_000
