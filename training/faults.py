"""Named fault points: places where a test may make the n-th durable step fail.

``GRAFT_FAULT="state.rename:2"`` kills the process (SIGKILL, as a crash would) at the second time
that the point ``state.rename`` is reached. A third part chooses what happens instead:
``state.write:1:enospc`` raises "no space left on device", ``:raise`` an unexpected error,
``:sleep`` waits a minute, so that a test can kill the process there itself.

Unarmed, a point costs one dictionary look-up.
"""

from __future__ import annotations

import errno
import os
import signal
import time

_reached: dict[str, int] = {}


def fault_point(name: str) -> None:
    """Fail here if the environment says so, else do nothing.

    Raises:
        OSError: ENOSPC, with the action ``enospc``.
        RuntimeError: With the action ``raise``.
    """
    armed = os.environ.get("GRAFT_FAULT")
    if not armed:
        return
    point, number, action = (*armed.split(":"), "exit")[:3]
    if point != name:
        return
    _reached[name] = _reached.get(name, 0) + 1
    if _reached[name] != int(number):
        return
    if action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    if action == "raise":
        raise RuntimeError(f"fault point {name}")
    if action == "sleep":
        time.sleep(60)
        return
    os.kill(os.getpid(), signal.SIGKILL)
