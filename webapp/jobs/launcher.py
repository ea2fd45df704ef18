"""``make run``: everything the portal needs, started, watched and stopped together.

The launcher is the parent of the broker, the workers, the reconciler and gunicorn. Each is in a
group of its own, so that Ctrl-C reaches the launcher alone, and each dies with the launcher
(``PR_SET_PDEATHSIG``), so that ``kill -9`` leaves nobody behind. Whatever dies by itself is started
again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.jobs import broker, devices
from webapp.jobs.processes import dying_with_parent, signal_group

logger = logging.getLogger(__name__)

FIRST_PORT = 8000
PORTS_TRIED = 100
#: How long workers may take to have their jobs' state saved when the portal stops, seconds: a long
#: step or a compilation has to end before, and a large model takes a while to write. A second
#: Ctrl-C waits for nobody.
STOP_GRACE_S = 60.0
BROKER_GRACE_S = 2.0
READY_TIMEOUT_S = 300.0
#: Our own broker may have a long log to read; somebody else's is there or is not.
BROKER_TIMEOUT_S, FOREIGN_BROKER_TIMEOUT_S = 60.0, 15.0
#: A log is put aside at this size; one older part is kept.
LOG_LIMIT = 10 * 2**20
#: A process that lived this long starts again at once when it dies, seconds.
SOUND_S = 60.0
MOST_BACKOFF_S = 30.0


class AlreadyRunning(Exception):
    """Another portal serves this data folder.

    Attributes:
        url: Where; empty while it is still starting.
        pid: Its launcher.
    """

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid
        super().__init__(url)


class StartFailed(Exception):
    """The portal cannot start; the message is for people."""


@dataclass
class Part:
    """One process that belongs to the portal.

    Attributes:
        name: For people and for the log's file name.
        start: Starts it; gets the file its output goes to.
        grace_s: What it gets between SIGTERM and SIGKILL.
    """

    name: str
    start: Callable[[Any], subprocess.Popen[bytes]]
    grace_s: float = STOP_GRACE_S
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    backoff_s: float = 0.5
    again_at: float = field(default=0.0, repr=False)


class Launcher:
    """Starts the parts, keeps them alive, stops them.

    Args:
        say: Writes one line for people.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.folder = Path(settings.DATA_DIR)
        self.logs = self.folder / "logs"
        self.parts: list[Part] = []
        self.url = ""
        self._asked = 0
        self._lock: Any = None
        self._rotate_at = 0.0

    # --- one portal per data folder ---------------------------------------------------------------

    def take_folder(self) -> None:
        """Make the data folder ours.

        Raises:
            AlreadyRunning: A living portal has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        self._lock = (self.folder / "portal.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise AlreadyRunning(**self._told()) from None
        self._tell()

    def _told(self) -> dict[str, Any]:
        try:
            told = json.loads((self.folder / "portal.json").read_text())
            return {"url": str(told["url"]), "pid": int(told["pid"])}
        except (OSError, ValueError, KeyError):
            return {"url": "", "pid": 0}

    def _tell(self) -> None:
        """Say to a second start where the first is."""
        text = json.dumps({"url": self.url, "pid": os.getpid()})
        (self.folder / "portal.json").write_text(text)

    # --- what there is to start -------------------------------------------------------------------

    def listen(self, wanted: int) -> socket.socket:
        """Take the wanted port on loopback, or the next free one.

        The socket stays open here and is handed to gunicorn: a restart of it refuses nobody.
        """
        for port in range(wanted, wanted + PORTS_TRIED):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
                listener.listen(128)
            except OSError:
                listener.close()
                continue
            if port != wanted:
                self.say(f"Port {wanted} is in use; taking {port}.")
            self.url = f"http://127.0.0.1:{port}"
            self._tell()
            return listener
        raise StartFailed(f"None of the ports {wanted} to {wanted + PORTS_TRIED - 1} is free.")

    def plan(self, listener: socket.socket) -> None:
        """Decide which processes this host needs."""
        gpus = devices.gpus()
        if settings.EMBEDDED_BROKER:
            # Last to stop: the workers still talk to it.
            self.parts.append(Part("broker", self._broker, BROKER_GRACE_S))
        self.parts.append(Part("reconciler", self._manage("reconciler"), 3.0))
        for queue in ("cpu", "io", "interactive"):
            self.parts.append(Part(f"worker-{queue}", self._manage("worker", "--queues", queue)))
        for gpu in gpus:
            arguments = ("worker", "--queues", "gpu", "--device", f"gpu:{gpu.index}")
            self.parts.append(Part(f"worker-gpu-{gpu.index}", self._manage(*arguments)))
        self.parts.append(Part("web", lambda log: self._web(listener, log), 4.0))

    def _broker(self, log: Any) -> subprocess.Popen[bytes]:
        return _spawn(broker.command(self.folder / "broker"), log)

    def _manage(self, *arguments: str) -> Callable[[Any], subprocess.Popen[bytes]]:
        manage = str(Path(settings.BASE_DIR) / "manage.py")
        return lambda log: _spawn([sys.executable, manage, *arguments], log)

    def _web(self, listener: socket.socket, log: Any) -> subprocess.Popen[bytes]:
        arguments = [
            *("--bind", f"fd://{listener.fileno()}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "8"),
            # Large uploads come in pieces; a slow page is a fault worth seeing in the log.
            *("--timeout", "120", "--graceful-timeout", "2", "--keep-alive", "5"),
            *("--no-control-socket",),
        ]
        command = [sys.executable, "-m", "gunicorn", "webapp.wsgi:application", *arguments]
        return _spawn(command, log, pass_fds=[listener.fileno()])

    # --- life -------------------------------------------------------------------------------------

    def start_broker(self) -> None:
        """Start the broker, or find the one that REDIS_URL names.

        Raises:
            StartFailed: Nobody answers.
        """
        timeout_s = FOREIGN_BROKER_TIMEOUT_S
        if settings.EMBEDDED_BROKER:
            # A stale socket of a killed broker would answer nobody.
            (self.folder / "broker" / broker.SOCKET_NAME).unlink(missing_ok=True)
            self._start(self.parts[0])
            timeout_s = BROKER_TIMEOUT_S
        if not broker.wait_ready(settings.REDIS_URL, timeout_s):
            where = self.logs / "broker.log" if settings.EMBEDDED_BROKER else "REDIS_URL"
            raise StartFailed(f"The broker does not answer; see {where}.")

    def start(self) -> None:
        """Start all that is not running yet."""
        for part in self.parts:
            if part.process is None:
                self._start(part)

    def wait_ready(self) -> None:
        """Wait until a page can be served.

        Raises:
            StartFailed: It takes too long.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._asked:
            if _answers(f"{self.url}/health"):
                return
            if time.monotonic() > deadline:
                raise StartFailed(f"The pages do not answer; see {self.logs / 'web.log'}.")
            self.look_after()
            time.sleep(0.1)

    def look_after(self) -> None:
        """Start again what died, and put large logs aside."""
        now = time.monotonic()
        for part in self.parts:
            if part.process is None:
                if part.again_at and now >= part.again_at:
                    self._start(part)
                continue
            code = part.process.poll()
            if code is None:
                continue
            part.process = None
            if now - part.started_at > SOUND_S:
                part.backoff_s = 0.5
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self.say(f"{part.name} ended ({how}) and is started again. Its log: {self._log(part)}")
            part.again_at = now + part.backoff_s
            part.backoff_s = min(MOST_BACKOFF_S, part.backoff_s * 2)
        if now > self._rotate_at:
            self._rotate_at = now + 30
            for part in self.parts:
                _rotate(self._log(part))

    def run(self) -> None:
        """Look after the parts until someone asks to stop."""
        while not self._asked:
            self.look_after()
            time.sleep(0.2)

    def ask(self, *_: Any) -> None:
        """Signal handler: the first asks to stop, a second to hurry."""
        self._asked += 1

    @property
    def asked(self) -> bool:
        """Whether someone asked to stop."""
        return self._asked > 0

    def stop(self) -> None:
        """Stop all: first who uses the broker, then the broker; a second request kills."""
        users = [part for part in self.parts if part.name != "broker"]
        _end(users, lambda: self._asked > 1)
        _end([part for part in self.parts if part.name == "broker"], lambda: self._asked > 1)
        (self.folder / "portal.json").unlink(missing_ok=True)

    def _start(self, part: Part) -> None:
        with self._log(part).open("ab") as log:
            part.process = part.start(log)
        part.started_at = time.monotonic()
        part.again_at = 0.0

    def _log(self, part: Part) -> Path:
        return self.logs / f"{part.name}.log"


def _spawn(
    command: Sequence[str], log: Any, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=pass_fds,
        preexec_fn=dying_with_parent(),
    )


def _end(parts: Sequence[Part], hurried: Callable[[], bool]) -> None:
    """SIGTERM to all at once, SIGKILL to each after its grace."""
    for part in parts:
        if part.process is not None and part.process.poll() is None:
            # The process alone: a worker decides itself what its work-horse is told.
            part.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    for part in parts:
        process = part.process
        while process is not None and process.poll() is None:
            if hurried() or time.monotonic() - began > part.grace_s:
                signal_group(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.05)
        part.process = None


def _answers(url: str) -> bool:
    host = settings.ALLOWED_HOSTS[0] if settings.ALLOWED_HOSTS else "localhost"
    headers = {"Host": "localhost" if host in {"*", ""} else host.lstrip(".")}
    if settings.HTTPS:
        headers["X-Forwarded-Proto"] = "https"
    # Straight to loopback, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _rotate(log: Path) -> None:
    """Copy and cut back: the process keeps its descriptor, and appends."""
    try:
        if log.stat().st_size <= LOG_LIMIT:
            return
        log.with_suffix(".log.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)
    except OSError as error:
        logger.warning("%s could not be put aside: %s", log.name, error)
