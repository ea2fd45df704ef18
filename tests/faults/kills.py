"""Kills somebody at random moments of one run, and checks after each that order is kept."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil

from tests.faults.site import Site, kill

#: Nobody of a killed family may live longer, seconds.
GONE_WITHIN_S = 5.0


@dataclass
class Disturbed:
    """What a disturbed run went through.

    Attributes:
        kills: How often somebody was killed.
        gone_s: Seconds until the last process of the killed family was gone, by kill.
        most_trainers: Most processes of the engine seen at a time.
        resumed_from: Steps at which it went on.
    """

    kills: int = 0
    gone_s: list[float] = field(default_factory=list)
    most_trainers: int = 0
    resumed_from: list[int] = field(default_factory=list)
    curve: dict[str, Any] = field(default_factory=dict)


def victim(site: Site, who: str, job: str) -> int | None:
    """The process to kill: ``trainer``, ``horse`` or ``worker``."""
    if who == "trainer":
        pids = site.trainers(job)
    elif who == "horse":
        pids = site.horses()
    else:
        pids = [process.pid for name, process in site.processes.items() if "worker" in name]
    return pids[0] if pids else None


def disturb(
    site: Site,
    job: str,
    who: str,
    *,
    kills: int,
    chance: random.Random,
    pause_s: tuple[float, float],
    timeout_s: float,
) -> Disturbed:
    """Kill ``who`` at random moments while the job runs, then wait for its end.

    Raises:
        AssertionError: Two trainers at once, somebody left behind, or no end in time.
    """
    found = Disturbed()

    def count() -> int:
        site.require_alive()
        pids = site.trainers(job)
        number = len(pids)
        found.most_trainers = max(found.most_trainers, number)
        assert number <= 1, f"two trainers of one run\n{site.describe(pids)}\n{site.logs()}"
        return number

    deadline = time.monotonic() + timeout_s
    while found.kills < kills and site.state(job) not in {"succeeded", "failed"}:
        assert time.monotonic() < deadline, site.logs()
        if not count():
            time.sleep(0.05)
            continue
        # Counted from when somebody is there to be killed, so that no machine is too quick.
        moment = time.monotonic() + chance.uniform(*pause_s)
        while time.monotonic() < moment:
            count()
            time.sleep(0.1)
        if not count():
            continue
        family = _family(site, job, who)
        if (pid := victim(site, who, job)) is None:
            continue
        began = time.monotonic()
        kill(pid)
        found.kills += 1
        gone = partial(_gone, family)
        site.wait(gone, GONE_WITHIN_S, "nobody of the killed family", each_s=0.02)
        found.gone_s.append(time.monotonic() - began)
        if who == "worker":
            site.processes.pop("worker-cpu").wait()
            site.start("worker-cpu", "worker", "--queues", "cpu")
    while site.state(job) not in {"succeeded", "failed"}:
        assert time.monotonic() < deadline, site.logs()
        count()
        time.sleep(0.2)
    assert site.state(job) == "succeeded", site.job(job)["error_params"]
    site.wait(lambda: not site.trainers(job), GONE_WITHIN_S, "nobody left behind")
    found.curve = site.curve(job)
    found.resumed_from = site.resumed_from(job)
    return found


def _family(site: Site, job: str, who: str) -> list[psutil.Process]:
    """The trainer and, unless it alone is killed, the work-horse: all must be gone after."""
    found = []
    for pid in {*site.trainers(job), *(site.horses() if who != "trainer" else [])}:
        with suppress(psutil.Error):
            found.append(psutil.Process(pid))
    return found


def _gone(family: list[psutil.Process]) -> bool:
    return not any(map(_lives, family))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
