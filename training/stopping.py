"""Stopping on request: SIGTERM ends a command at the next safe place.

Most work is interrupted at once by :class:`Stopped`, raised from the signal handler: nothing but a
temporary folder is lost. A training loop asks for patience with :func:`deferred`, finishes its
step, saves the complete state and then raises :class:`Stopped` itself.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_requested = False
_deferred = 0


class Stopped(BaseException):
    """The command was asked to stop. Not an ``Exception``: no library may swallow it."""

    def __init__(self, step: int = 0) -> None:
        self.step = step
        super().__init__("stopped on request")


@contextmanager
def listening() -> Iterator[None]:
    """Within this block SIGTERM and SIGINT ask this process to stop."""
    global _requested
    _requested = False
    before = {n: signal.signal(n, _on_signal) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requested() -> bool:
    """Whether someone asked; only a block under :func:`deferred` needs to look."""
    return _requested


@contextmanager
def deferred() -> Iterator[None]:
    """Within this block a request only sets :func:`requested`; the block must look at it."""
    global _deferred
    _deferred += 1
    try:
        yield
    finally:
        _deferred -= 1


@contextmanager
def shielded() -> Iterator[None]:
    """A request within this short block raises :class:`Stopped` at its end, not in its middle."""
    if threading.current_thread() is not threading.main_thread():
        # Python runs signal handlers in the main thread only.
        yield
        return
    before = _requested
    with deferred():
        yield
    if _requested and not before and not _deferred:
        raise Stopped


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _requested
    _requested = True
    if not _deferred:
        raise Stopped
