"""``make run``'s command as a person has it: started, started twice, killed, started again."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults.kills import GONE_WITHIN_S
from tests.faults.site import ROOT, SOON_S, START_S, Site
from tests.faults.tiny_engine import expected_curve
from webapp.jobs import launcher

STEPS = 60
SPEC = {"steps": STEPS, "every": 5}


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def launch(site: Site, *arguments: str) -> subprocess.Popen[bytes]:
    log = site.folder / "portal.log"
    log.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "portal", "--no-samples", *arguments],
            cwd=ROOT,
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    site.processes["portal"] = process
    return process


def said(site: Site) -> str:
    return (site.folder / "portal.log").read_text()


def wait_ready(site: Site) -> str:
    """Its address."""

    def ready() -> str | None:
        found = re.search(r"Ready at (\S+)", said(site))
        return found.group(1) if found else None

    url: str = site.wait(ready, START_S, "the portal")
    return url


def parts(portal: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The living processes that the launcher started."""
    found = []
    for child in psutil.Process(portal.pid).children():
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.Error:  # reaped just now
            continue
    return found


def worker_pids(portal: subprocess.Popen[bytes]) -> set[int]:
    """The workers among them."""
    return {child.pid for child in parts(portal) if "worker" in child.cmdline()}


def part(portal: subprocess.Popen[bytes], name: str) -> psutil.Process | None:
    """The living process of the launcher's whose command line names this."""
    for child in parts(portal):
        try:
            if any(name in argument for argument in child.cmdline()):
                return child
        except psutil.Error:
            continue
    return None


def another(portal: subprocess.Popen[bytes], name: str, than: psutil.Process | None) -> bool:
    """Whether this part lives, and is not the process that it was."""
    return part(portal, name) not in (None, than)


def test_killed_with_all_its_processes_it_goes_on_where_it_was(site: Site) -> None:
    began = time.monotonic()
    portal = launch(site)
    wait_ready(site)
    first_s = time.monotonic() - began
    jobs = site.create(SPEC | {"seed": 0, "hold_at": 40}, SPEC | {"seed": 1})
    site.wait(lambda: site.job(jobs[0])["step"] == 40, START_S, "some steps")

    family = psutil.Process(portal.pid).children(recursive=True)
    os.kill(portal.pid, signal.SIGKILL)
    portal.wait()
    _, left = psutil.wait_procs(family, timeout=5)
    assert [process.cmdline() for process in left] == [], "nobody is left behind"

    began = time.monotonic()
    portal = launch(site)
    wait_ready(site)
    # On a machine so busy that the first start took long, the second may too; it does less.
    assert time.monotonic() - began < max(20, first_s), "up in seconds"

    def all_ended() -> bool:
        assert all(len(site.trainers(job)) <= 1 for job in jobs)
        return all(site.state(job) == "succeeded" for job in jobs)

    site.wait(all_ended, START_S, "both runs", each_s=0.3)
    for seed, job in enumerate(jobs):
        assert site.curve(job) == expected_curve(seed, STEPS)
    assert site.job(jobs[0])["attempt"] == 2
    assert site.job(jobs[1])["attempt"] == 1

    portal.terminate()
    assert portal.wait(SOON_S) == 0
    assert "Nothing is lost" in said(site)


def test_a_second_start_says_where_the_first_is(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        portal = launch(site, "--port", str(port))
        url = wait_ready(site)
        assert f"Port {port} is in use" in said(site)
    with urllib.request.urlopen(f"{url}/health", timeout=SOON_S) as response:
        assert json.load(response) == {"status": "ok"}
    second = subprocess.run(
        [sys.executable, "manage.py", "portal"],
        cwd=ROOT,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )
    assert second.returncode == 1
    assert f"already runs on this data folder: {url}" in second.stderr

    # Whatever dies is started again, the broker too.
    assert len(parts(portal)) == 6
    workers = worker_pids(portal)
    before = {name: part(portal, name) for name in ("valkey-server", "gunicorn", "reconciler")}
    for process in before.values():
        assert process is not None
        process.kill()
    for name, process in before.items():
        again = partial(another, portal, name, process)
        site.wait(again, SOON_S, f"another {name}")
    site.wait(lambda: len(parts(portal)) == 6, SOON_S, "all six parts")
    assert worker_pids(portal) == workers, "who still lives is left alone"
    (job,) = site.create({"steps": 20_000, "step_s": 0.02})
    site.wait(lambda: (site.job(job)["step"] or 0) > 5, START_S, "a job that runs")

    began = time.monotonic()
    os.kill(portal.pid, signal.SIGINT)
    assert portal.wait(2 * SOON_S) == 0
    # Each part ended by itself, none after its grace.
    assert time.monotonic() - began < launcher.STOP_GRACE_S / 2
    row = site.job(job)
    assert (row["state"], row["crashes"]) == ("queued", 0)
    site.wait(lambda: not site.everyone(), GONE_WITHIN_S, "nobody left behind")


def test_a_new_portal_makes_a_team_and_shows_a_link_that_works_once() -> None:
    site = Site(prepared=False)
    try:
        launch(site)
        url = wait_ready(site)
        link = (
            site.wait(lambda: re.search(rf"{url}\S*token=\S+\n", said(site)), SOON_S, "the link")
            .group()
            .strip()
        )

        class NoRedirect(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        def status() -> int:
            opener = urllib.request.build_opener(NoRedirect)
            try:
                with opener.open(link, timeout=SOON_S) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        assert [status(), status()] == [302, 403]
        assert site.rows("SELECT name FROM accounts_team")[0]["name"] == "My team"

        broker = Path(site.folder / "broker")
        assert broker.stat().st_mode & 0o077 == 0
        assert (broker / "valkey.sock").stat().st_mode & 0o077 == 0
        assert (site.folder / "secret_key").stat().st_mode & 0o077 == 0
    finally:
        site.close()
