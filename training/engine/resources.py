"""Memory and processor: told of while a run works, and asked before it starts."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import psutil

from training.errors import TrainingError
from training.events import EventLog

EVERY_S = 2.0


class Watch:
    """A thread that emits ``resources`` every two seconds, as a context manager."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="resources", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        process = psutil.Process()
        process.cpu_percent()
        while not self._end.wait(EVERY_S):
            self._events.emit(
                "resources",
                cpu_percent=process.cpu_percent(),
                rss_bytes=process.memory_info().rss,
                gpus=_gpus(),
            )


def require_memory(needed: int) -> None:
    """Refuse what will not fit.

    Raises:
        TrainingError: ``out_of_memory``.
    """
    available = available_bytes() + psutil.Process().memory_info().rss
    if needed > available:
        raise TrainingError(
            "out_of_memory",
            field="training.batch_size",
            needed=readable(needed),
            available=readable(available),
        )


def available_bytes() -> int:
    """Memory this process may still take: the machine's, or its control group's if that is less."""
    available = psutil.virtual_memory().available
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            used = int(Path("/sys/fs/cgroup/memory.current").read_text())
            available = min(available, max(0, int(limit) - used))
    except (OSError, ValueError):
        pass
    return int(available)


def readable(size: int) -> str:
    """Bytes for people: ``1.3 GB``."""
    if size >= 10**9:
        return f"{size / 10**9:.1f} GB"
    return f"{max(1, round(size / 10**6))} MB"


def _gpus() -> list[dict[str, Any]]:
    """Each GPU's memory and load; none where NVIDIA's library is not."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - no driver, no library: no GPUs to tell of
        return []
    found = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        found.append(
            {
                "index": index,
                "memory_bytes": int(pynvml.nvmlDeviceGetMemoryInfo(handle).used),
                "percent": int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            }
        )
    return found
