"""The GPUs of this host: which there are, and who uses which. Without TensorFlow."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.jobs.processes import place


@dataclass(frozen=True)
class Gpu:
    """One graphics card.

    Attributes:
        index: Its number in CUDA_VISIBLE_DEVICES, in the order of the PCI bus.
        name: The maker's name.
        memory_bytes: All its memory.
    """

    index: int
    name: str
    memory_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def gpus() -> list[Gpu]:
    """The GPUs that NVIDIA's driver reports and CUDA_VISIBLE_DEVICES leaves; none without it."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = pynvml.nvmlDeviceGetName(handle)
            found.append(
                Gpu(
                    index,
                    name.decode() if isinstance(name, bytes) else str(name),
                    int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                )
            )
        return [gpu for gpu in found if gpu.index in _visible(len(found))]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _visible(count: int) -> set[int]:
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    if value is None:
        return set(range(count))
    return {int(part) for part in value.split(",") if part.strip().isdigit()}


@contextmanager
def taking(wanted: Sequence[int], count: int) -> Iterator[list[int] | None]:
    """Hold ``count`` of the wanted GPUs, or none of them: never some while waiting for others.

    Yields:
        Their indices; None when not enough are free now. They are free again after the block, and
        when the process dies.
    """
    folder = Path(settings.DATA_DIR) / "devices" / place()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        held: list[int] = []
        for index in wanted:
            if len(held) == count:
                break
            file = stack.enter_context((folder / f"gpu-{index}.lock").open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            held.append(index)
        if len(held) < count:
            stack.close()
            yield None
        else:
            yield held
