"""SIGKILL of whoever, at random moments: the run ends by itself, and with the same curve.

The stand-in for the engine makes a run take seconds; ``test_engine_kills.py`` does the same with
real training.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator

import pytest

from tests.faults.kills import disturb
from tests.faults.site import SOON_S, START_S, Site
from tests.faults.tiny_engine import expected_curve

STEPS = 150
#: Long enough that the run is not over before a busy machine has looked and killed.
STEPS_KILLED = 300
SPEC = {"steps": STEPS, "step_s": 0.03, "every": 5}


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """One at work for several tests, none of which takes anything of it away for good."""
    site = Site()
    site.start_all()
    yield site
    site.close()


def told(site: Site, job: str) -> None:
    """Wait until the job's owner has been told that it was cancelled, and keeps it."""

    def kept() -> bool:
        return bool(json.loads(site.job(job)["report"]).get("ended") == "cancelled")

    site.wait(kept, SOON_S, "the report's end")


@pytest.mark.parametrize("who", ["trainer", "horse", "worker"])
def test_a_run_survives_being_killed(shared: Site, who: str) -> None:
    site = shared
    (job,) = site.create(SPEC | {"seed": 11, "steps": STEPS_KILLED})
    found = disturb(
        site, job, who, kills=3, chance=random.Random(who), pause_s=(0.3, 1.5), timeout_s=START_S
    )
    assert found.kills == 3
    assert found.most_trainers == 1
    assert found.curve == expected_curve(11, STEPS_KILLED)
    assert site.job(job)["attempt"] == 4


def test_a_broker_killed_and_emptied_loses_nothing(site: Site) -> None:
    import shutil

    site.start_all()
    steps = [STEPS, 30, 30, 30]  # the first lasts while there is no broker
    jobs = site.create(*[SPEC | {"seed": seed, "steps": n} for seed, n in enumerate(steps)])
    site.wait(lambda: any(site.trainers(job) for job in jobs), START_S, "a trainer")
    site.kill("broker")
    for path in (site.folder / "broker").glob("appendonlydir"):
        shutil.rmtree(path)
    time.sleep(3)
    site.start_broker()

    def all_ended() -> bool:
        assert sum(len(site.trainers(job)) for job in jobs) <= 1, "one worker, one job at a time"
        return all(site.state(job) == "succeeded" for job in jobs)

    site.wait(all_ended, START_S, "all four", each_s=0.2)
    for seed, job in enumerate(jobs):
        assert site.curve(job) == expected_curve(seed, steps[seed])
        assert site.job(job)["attempt"] == 1, "none twice"


def test_a_worker_that_is_asked_to_leave_saves_first(site: Site) -> None:
    site.start_all()
    (job,) = site.create({"steps": 60, "every": 5, "seed": 2, "hold_at": 30})
    site.wait(lambda: site.job(job)["step"] == 30, START_S, "some steps")
    worker = site.processes.pop("worker-cpu")
    worker.terminate()
    worker.wait(SOON_S)
    row = site.job(job)
    assert (row["state"], row["crashes"]) == ("queued", 0)
    site.start("worker-cpu", "worker", "--queues", "cpu")
    site.wait(lambda: site.state(job) == "succeeded", START_S, "the run's end")
    assert site.curve(job) == expected_curve(2, 60)


def test_a_person_pauses_resumes_and_cancels_across_processes(site: Site) -> None:
    site.start_all()
    (job,) = site.create({"steps": 100_000, "step_s": 0.02})
    site.wait(lambda: site.trainers(job), START_S, "a trainer")
    site.action("act", action="pause", job=job)
    site.wait(lambda: site.state(job) == "paused", SOON_S, "the pause")
    assert not site.trainers(job)
    site.action("act", action="resume", job=job)
    site.wait(lambda: site.trainers(job), SOON_S, "a trainer again")
    site.action("act", action="cancel", job=job)
    site.wait(lambda: site.state(job) == "cancelled", SOON_S, "the cancellation")
    assert not site.trainers(job)
    told(site, job)


def test_words_stream_while_another_job_trains(shared: Site) -> None:
    site = shared
    site.start("worker-interactive", "worker", "--queues", "interactive")
    (training,) = site.create({"steps": 100_000, "step_s": 0.02})
    site.wait(lambda: site.state(training) == "running", START_S, "the training")
    prompt = " ".join(str(number) for number in range(100))
    words, dying, refused = site.create(
        {"prompt": prompt, "token_s": 0.05},
        {"prompt": "die"},
        {"prompt": "refuse"},
        kind="exercise_words",
    )
    seen = set()

    def done() -> bool:
        row = site.job(words)
        seen.add(row["report"])
        return row["state"] == "succeeded"

    site.wait(done, START_S, "the words")
    assert len(seen) > 3, "the text grows while it is written"
    assert prompt in site.job(words)["report"]
    site.wait(lambda: site.state(dying) == "failed", SOON_S, "the one whose process dies")
    assert site.job(dying)["error_code"] == "crashed"
    site.wait(lambda: site.state(refused) == "failed", SOON_S, "the refusal")
    (cancelled,) = site.create({"prompt": prompt * 50, "token_s": 0.05}, kind="exercise_words")
    site.wait(lambda: site.state(cancelled) == "running", SOON_S, "the last")
    site.action("act", action="cancel", job=cancelled)
    site.wait(lambda: site.state(cancelled) == "cancelled", SOON_S, "the cancellation")
    told(site, cancelled)
    assert site.state(training) == "running"
