"""What a training process gets from the portal: little environment, few rights, no network.

It never gets the database's address, the broker's or the portal's key; a token of the Hub only when
it is there to send something to the Hub (:mod:`webapp.checkpoints.push_jobs`).
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from django.conf import settings

from webapp.jobs.processes import die_with_parent

logger = logging.getLogger(__name__)

#: Passed on when set. Libraries' switches only: nothing that names a service or holds a secret.
PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_CPP_MIN_LOG_LEVEL",
    "GRAFT_CODE_VERSION",
    "GRAFT_FAULT",
    "GRAFT_VIRTUAL_CPUS",
)
#: For jobs with a network: downloads from the Hub, and sending to it.
PASSED_WITH_NETWORK = (
    "HF_ENDPOINT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
#: No single file that a job writes may be larger, bytes.
FILE_SIZE_LIMIT = 1 << 40

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_warned = False


def engine_command(*arguments: str) -> list[str]:
    """The command line of the engine, ``python -m training …``.

    ``-P`` keeps the working directory, where other people's files lie, off Python's path.
    GRAFT_ENGINE replaces everything before the arguments: tests put a quick stand-in there.
    """
    if stand_in := os.environ.get("GRAFT_ENGINE"):
        return [*shlex.split(stand_in), *arguments]
    return [sys.executable, "-P", "-m", "training", *arguments]


def environment(folder: Path, *, network: bool, gpus: Sequence[int] = ()) -> dict[str, str]:
    """The whole environment of a training process.

    Args:
        folder: Its working directory: home, and temporary files below it.
        network: Whether it may reach a network.
        gpus: Indices of the GPUs it may see; none: it computes on the processor.
    """
    names = PASSED + (PASSED_WITH_NETWORK if network else ())
    values = {name: os.environ[name] for name in names if name in os.environ}
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return (
        {"PATH": os.defpath, "LANG": "C.UTF-8"}
        | values
        | {
            "HOME": str(folder),
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(settings.BASE_DIR),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            # The order in which NVML counts; CUDA's own puts the fastest first.
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus)) if gpus else "-1",
            "GRAFT_DIE_WITH_PARENT": str(os.getpid()),
            "HF_HUB_OFFLINE": "0" if network else "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
    )


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    network: bool,
    gpus: Sequence[int] = (),
    secrets: Mapping[str, str] | None = None,
    memory_bytes: int | None = None,
    niceness: int = 0,
    log: Path,
    pipes: bool = False,
) -> subprocess.Popen[bytes]:
    """Start the engine in its own session and process group, bound to this process's life.

    Call from a main thread: the kernel ties the bond to the thread that forks.

    Args:
        arguments: What follows ``python -m training``.
        folder: Its working directory.
        network: Whether it may reach a network.
        gpus: Indices of GPUs it may see.
        secrets: What its kind of job gets besides, into its environment and nowhere else.
        memory_bytes: Limit of its address space; None for TensorFlow, which reserves far more than
            it uses.
        niceness: How much it yields to pages and other processes.
        log: Where its output goes (with ``pipes``: its standard error only).
        pipes: Whether to talk to it through standard input and output.
    """
    parent = os.getpid()

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _limit(resource.RLIMIT_FSIZE, FILE_SIZE_LIMIT)
        if memory_bytes is not None:
            _limit(resource.RLIMIT_AS, memory_bytes)
        if niceness:
            os.nice(niceness)
        if not network:
            _leave_network()
        # After the namespaces: a change of credentials clears it.
        die_with_parent(parent)

    if not network:
        _warn_if_network_stays()
    with log.open("ab") as output:
        return subprocess.Popen(
            engine_command(*arguments),
            cwd=folder,
            env=environment(folder, network=network, gpus=gpus) | dict(secrets or {}),
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output,
            start_new_session=True,
            preexec_fn=prepare,
        )


def physical_memory() -> int:
    """Bytes of memory that this machine, or its container, has."""
    total: int = psutil.virtual_memory().total
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        return min(total, int(limit)) if limit.isdigit() else total
    except OSError:
        return total


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _leave_network() -> bool:
    """Move this process into an empty network namespace; whether that was permitted."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    # Root of a machine may do without the user namespace; root of most containers may not.
    if user == 0 and libc.unshare(_CLONE_NEWNET) == 0:
        return True
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:  # keep the ids; without a map everything belongs to "nobody"
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        pass
    return True


def can_leave_network() -> bool:
    """Whether this system lets a process leave the network; tried in a child."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _leave_network() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _warn_if_network_stays() -> None:
    global _warned
    if not _warned:
        _warned = True
        if not can_leave_network():
            logger.warning(
                "This system does not permit network namespaces: training processes could reach "
                "the network."
            )
