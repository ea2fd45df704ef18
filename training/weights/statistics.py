"""What values a checkpoint's tensors hold: norm, zeros, range and histogram of each, in NumPy only.

Every value is read twice (a histogram's bins follow from the range), a few megabytes at a time,
mapped from the file and let go again: memory does not grow with the largest tensor. Values that
are no finite numbers are counted, and left out of everything else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.command_specs import StatisticsSpec
from training.durable import sweep, write_json
from training.errors import TrainingError
from training.events import EventLog
from training.settings import spec_sha256
from training.version import code_version
from training.weights.card import WEIGHTS_FILE
from training.weights.header import TensorInfo, read_header
from training.weights.tensors import NUMPY_TYPES

STATISTICS_VERSION = 1
STATISTICS_FILE = "statistics.json"

BINS = 40
#: Values mapped at once, and values looked at at once.
MAPPED, CHUNK = 1 << 22, 1 << 16
#: Seconds between two events about how far it is.
TELL_S = 1.0


@dataclass(frozen=True)
class Statistics:
    """One tensor's values.

    Attributes:
        count: All of them.
        nan: Those that are not a number.
        infinite: Those that are ±∞.
        zeros: Those that are exactly 0 (or −0).
        norm: Square root of the sum of squares; None when it is too large for a float64.
        minimum: The least; None when there is not one finite value.
        maximum: The greatest.
        mean: Their mean.
        histogram: How many lie in each of :data:`BINS` equal intervals from least to greatest; all
            in the first when those are the same. Empty without a finite value.
    """

    count: int
    nan: int = 0
    infinite: int = 0
    zeros: int = 0
    norm: float | None = 0.0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    histogram: tuple[int, ...] = ()


def tensor_statistics(info: TensorInfo) -> Statistics:
    """Look at every value of one tensor.

    Args:
        info: Where it lies, from a checked header; any of the header's types.
    """
    squares = total = 0.0
    low, high = math.inf, -math.inf
    nan = infinite = zeros = finite = 0
    # Sums and squares of float64 may pass its range: the outcome then says so.
    with np.errstate(over="ignore"):
        for values in _chunks(info):
            good, least, most = values, values.min(), values.max()
            if not (math.isfinite(least) and math.isfinite(most)):
                good = values[np.isfinite(values)]
                not_numbers = int(np.isnan(values).sum())
                nan += not_numbers
                infinite += values.size - good.size - not_numbers
                if not good.size:
                    continue
                least, most = good.min(), good.max()
            zeros += good.size - int(np.count_nonzero(good))
            squares += float(np.dot(good, good))
            total += float(good.sum())
            low, high = min(low, float(least)), max(high, float(most))
            finite += good.size
    if not finite:
        return Statistics(info.size, nan, infinite)
    mean = total / finite
    return Statistics(
        count=info.size,
        nan=nan,
        infinite=infinite,
        zeros=zeros,
        norm=math.sqrt(squares) if math.isfinite(squares) else None,
        minimum=low,
        maximum=high,
        mean=mean if math.isfinite(mean) else None,
        histogram=_histogram(info, low, high, finite),
    )


def _histogram(info: TensorInfo, low: float, high: float, finite: int) -> tuple[int, ...]:
    """Finite values from ``low`` to ``high`` by interval; a border belongs to the upper one."""
    # By halves, since the difference of two float64 may pass its range.
    half = high / 2 - low / 2
    if half < 1e-300:  # all the same, or nearer to each other than a float64 can divide
        return (finite, *(0,) * (BINS - 1))
    counts = np.zeros(BINS, np.int64)
    for values in _chunks(info):
        good = values if finite == info.size else values[np.isfinite(values)]
        good /= 2
        good -= low / 2
        good *= BINS / half
        # The greatest value itself would begin an interval of its own.
        places = np.minimum(good.astype(np.int64), BINS - 1)
        counts += np.bincount(places, minlength=BINS)
    return tuple(counts.tolist())


def _chunks(info: TensorInfo) -> Iterator[np.ndarray]:
    """A tensor's values as float64, few enough for the processor's cache.

    The file is mapped piece by piece: a map of all of it would count as resident for as long as it
    lives.
    """
    dtype = NUMPY_TYPES[info.dtype]
    for start in range(0, info.size, MAPPED):
        count = min(MAPPED, info.size - start)
        offset = info.offset + start * dtype.itemsize
        mapped = np.memmap(info.path, dtype, "r", offset, (count,))
        for first in range(0, count, CHUNK):
            yield np.asarray(mapped[first : first + CHUNK]).astype(np.float64)


def summarise(found: Mapping[str, Statistics]) -> dict[str, Any]:
    """All tensors together: ``values``, ``zeros``, ``nan``, ``infinite``, and the ``norm``."""
    norms = [one.norm for one in found.values()]
    norm = None if None in norms else math.hypot(*(value for value in norms if value is not None))
    sums = {
        name: sum(getattr(one, name) for one in found.values())
        for name in ("count", "zeros", "nan", "infinite")
    }
    return sums | {"norm": norm if norm is None or math.isfinite(norm) else None}


def run(spec: StatisticsSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Write ``statistics.json``: every tensor's values in numbers.

    Args:
        spec: Which checkpoint.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase`` with the share of the bytes seen.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``checkpoint_missing``, ``weights_*``, ``disk_full_writing``.
    """
    started = time.monotonic()
    sweep(out)
    path = Path(spec.checkpoint)
    file = path / WEIGHTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise TrainingError("checkpoint_missing", folder=path.name, file=WEIGHTS_FILE)
    infos = read_header(file).tensors
    whole = sum(info.nbytes for info in infos.values())
    found: dict[str, Statistics] = {}
    seen, told = 0, -math.inf
    for name, info in infos.items():
        if time.monotonic() - told > TELL_S:
            told = time.monotonic()
            events.emit("phase", name="reading", fraction=seen / max(whole, 1), detail="")
        found[name] = tensor_statistics(info)
        seen += info.nbytes
    summary = summarise(found)
    write_json(
        out / STATISTICS_FILE,
        {
            "version": STATISTICS_VERSION,
            "summary": summary,
            "tensors": {name: vars(one) for name, one in found.items()},
        },
        point="statistics",
    )
    write_json(
        out / "report.json",
        {
            "version": STATISTICS_VERSION,
            "spec_sha256": spec_sha256(spec),
            "code_version": code_version(),
            "duration_s": round(time.monotonic() - started, 3),
            "tensors": len(found),
            "summary": summary,
        },
        point="report",
    )
    return {"report": "report.json", "result": STATISTICS_FILE}
