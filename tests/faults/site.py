"""A whole portal's back end in a folder: broker, workers, reconciler as real processes.

The test looks at the database file itself and at the processes of the system, never at what a
process says of itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from webapp.jobs import broker
from webapp.jobs.processes import dying_with_parent

ROOT = Path(__file__).resolve().parents[2]
TINY_ENGINE = f"{sys.executable} {ROOT / 'tests/faults/tiny_engine.py'}"
#: Processes that die here are found dead at once, so no test waits for a lease to end. Long enough
#: that a busy machine's disk cannot make a living worker lose its job.
LEASE_S = 10
#: Bounds of waits that end with their condition. Continuous integration has two cores, and starts
#: several processes of Python on them at the same time.
START_S, SOON_S = 180, 60
_template: bytes | None = None


class Site:
    """One data folder and the processes that serve it.

    Args:
        engine: Command line of the engine; None: the real one.
        prepared: Whether to make the database with the cast in it.
    """

    def __init__(self, engine: str | None = TINY_ENGINE, *, prepared: bool = True) -> None:
        # Short: the broker's socket lies in it, and a unix socket's path holds 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="graft-"))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GRAFT_", "REDIS_", "DATABASE_", "STORAGE_"))
        } | {
            "GRAFT_DATA_DIR": str(self.folder),
            "GRAFT_LEASE_S": str(LEASE_S),
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "PYTHONPATH": str(ROOT),
        }
        if engine is not None:
            self.environment["GRAFT_ENGINE"] = engine
        if prepared:
            self._prepare()

    def _prepare(self) -> None:
        """A migrated database with the cast, made once and copied for each further site."""
        global _template
        if _template is None:
            self.action("prepare")
            connection = sqlite3.connect(self.folder / "graft.sqlite3")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
            _template = (self.folder / "graft.sqlite3").read_bytes()
        else:
            (self.folder / "graft.sqlite3").write_bytes(_template)

    # --- processes --------------------------------------------------------------------------------

    def start_broker(self) -> None:
        self.processes["broker"] = broker.start(self.folder / "broker")
        assert broker.wait_ready(f"unix://{self.folder / 'broker/valkey.sock'}")

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``manage.py ARGUMENTS`` in its own session."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_parent(),
            )
        self.processes[name] = process
        return process

    def start_all(self, queues: Sequence[str] = ("cpu",)) -> None:
        self.start_broker()
        self.start("reconciler", "reconciler")
        for queue in queues:
            self.start(f"worker-{queue}", "worker", "--queues", queue)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def require_alive(self) -> None:
        """Raises AssertionError when a part has ended that nobody killed: nothing would go on."""
        for name, process in self.processes.items():
            code = process.poll()
            assert code is None, f"{name} has ended: {code}\n{self.logs()}"

    def close(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(SOON_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in self.everyone():
            try:
                process.kill()
            except psutil.Error:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def everyone(self) -> list[psutil.Process]:
        """Every living process that works in this site's folder, this one excepted."""
        mine = str(self.folder)
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if any(mine in part for part in process.cmdline()) or mine in process.environ().get(
                    "GRAFT_DATA_DIR", ""
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def trainers(self, job: str) -> list[int]:
        """Processes of the engine that work on a job.

        A child of one that has the same command line is on its way from fork to exec (the engine
        asks ``uname`` for the processor's name) and is not another.
        """
        found: dict[int, int] = {}
        for process in psutil.process_iter():
            try:
                line = process.cmdline()
                if (
                    "--out" in line
                    and any(part.endswith(job) for part in line)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found[process.pid] = process.ppid()
            except psutil.Error:
                continue
        return [pid for pid, parent in found.items() if parent not in found]

    def describe(self, pids: Sequence[int]) -> str:
        """Who they are, for the message of a failed test."""
        lines = []
        for pid in pids:
            try:
                fields = ["pid", "ppid", "status", "create_time", "cmdline"]
                lines.append(str(psutil.Process(pid).as_dict(fields)))
            except psutil.Error:
                lines.append(f"{pid} is gone")
        return "\n".join(lines)

    def horses(self) -> list[int]:
        """Work-horses: children of the workers that are no engines."""
        found = []
        for name, process in self.processes.items():
            if name.startswith("worker"):
                try:
                    children = psutil.Process(process.pid).children()
                except psutil.Error:
                    continue
                found += [child.pid for child in children if child.is_running()]
        return found

    # --- the table --------------------------------------------------------------------------------

    def action(self, name: str, **arguments: Any) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.actions", name, json.dumps(arguments)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def create(self, *specs: dict[str, Any], kind: str = "exercise") -> list[str]:
        ids: list[str] = self.action("create", kind=kind, specs=list(specs))
        return ids

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        connection = sqlite3.connect(self.folder / "graft.sqlite3", timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def job(self, job: str) -> dict[str, Any]:
        return dict(self.rows("SELECT * FROM jobs_job WHERE id = ?", job.replace("-", ""))[0])

    def state(self, job: str) -> str:
        return str(self.job(job)["state"])

    def curve(self, job: str) -> dict[str, Any]:
        rows = self.rows(
            "SELECT step, data FROM jobs_jobevent WHERE job_id = ? AND kind = 'metric' "
            "ORDER BY step",
            job.replace("-", ""),
        )
        found: dict[str, Any] = {}
        for row in rows:
            found.setdefault(str(row["step"]), {}).update(json.loads(row["data"]))
        return found

    def resumed_from(self, job: str) -> list[int]:
        """The steps from which later attempts went on."""
        rows = self.rows(
            "SELECT step FROM jobs_jobevent WHERE job_id = ? AND kind = 'resumed' ORDER BY seq",
            job.replace("-", ""),
        )
        return [row["step"] for row in rows]

    def logs(self) -> str:
        """All logs, for the message of a failed test."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted([*self.folder.glob("*.log"), *self.folder.glob("broker/*.log")])
        )

    def wait(
        self, condition: Callable[[], Any], timeout_s: float, what: str, each_s: float = 0.05
    ) -> Any:
        deadline = time.monotonic() + timeout_s
        while not (result := condition()):
            assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s\n{self.logs()}"
            time.sleep(each_s)
        return result


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
