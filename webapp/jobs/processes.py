"""Starting and ending child processes so that nobody is ever left behind.

``PR_SET_PDEATHSIG`` (Linux) makes the kernel kill a child when its parent dies, however it died.
It is tied to the parent's *thread*, so children are only started from main threads here.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int, with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when its parent ends.

    Args:
        parent: Its process id, taken before the fork: the parent may have died in between, and
            then there is nobody whose death could be noticed.
        with_signal: What to send.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def dying_with_parent(then: Callable[[], None] | None = None) -> Callable[[], None]:
    """A ``preexec_fn`` for subprocess: :func:`die_with_parent`, then something else."""
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        if then is not None:
            then()

    return prepare


def signal_group(pid: int, number: int) -> bool:
    """Signal a whole process group; False when nobody of it is left."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_group(process: subprocess.Popen[bytes], grace_s: float) -> int:
    """SIGTERM to a child's group, SIGKILL to what is left after the grace; returns its exit code.

    The child must lead its own group (``start_new_session``).
    """
    if process.poll() is None:
        signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            pass
    signal_group(process.pid, signal.SIGKILL)
    return process.wait()


@dataclass(frozen=True)
class Identity:
    """Which process, for all time: where it runs, its id, and when it started.

    Attributes:
        place: Host, boot and process-id namespace; equal ids mean one process only within one.
        pid: Process id.
        started: Clock ticks from boot to its start; tells it from a later process of the same id.
    """

    place: str
    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.place}.{self.pid}.{self.started}"

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """The inverse of ``str()``; None for anything else."""
        try:
            place, pid, started = text.rsplit(".", 2)
            return cls(place, int(pid), int(started))
        except ValueError:
            return None

    def is_here(self) -> bool:
        """Whether this machine (and container) can tell if it lives."""
        return self.place == place()

    def is_alive(self) -> bool:
        """Whether it still runs (a zombie does not); only meaningful when :meth:`is_here`."""
        return _started(self.pid) == self.started


def identity(pid: int) -> Identity | None:
    """A living process's identity; None when there is none of this id."""
    started = _started(pid)
    return None if started is None else Identity(place(), pid, started)


@cache
def place() -> str:
    """This host since its last start, and this container of it."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:40]
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:  # not Linux
        boot, namespace = str(int(psutil.boot_time())), "0"
    return f"{host}-{boot}-{namespace}"


def host_of(place: str) -> str:
    """The host's name, as people know it, of what :func:`place` returned."""
    return place.rsplit("-", 2)[0]


def _started(pid: int) -> int | None:
    try:
        # The name in brackets may hold spaces and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError):
        return None
    try:  # not Linux
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time())
    except psutil.Error:
        return None


def kill_and_wait(who: Identity, timeout_s: float = 5.0) -> bool:
    """SIGKILL to the group of a process that is not our child; whether it is gone."""
    deadline = time.monotonic() + timeout_s
    while who.is_alive():
        if not signal_group(who.pid, signal.SIGKILL):
            try:
                os.kill(who.pid, signal.SIGKILL)
            except ProcessLookupError:
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def tail(path: Path, lines: int = 20, characters: int = 2000) -> str:
    """The end of a log file, for people."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])[-characters:].replace("\0", "")
