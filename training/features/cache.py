"""Features that were computed before: a folder by content, safe to share and to delete.

A folder's name is a hash over everything that its values depend on, so what is found fits. It is
written whole or not at all; two processes that compute the same at the same time write the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.durable import durable_folder, json_bytes

#: Part of every key: another way to compute makes other values.
CACHE_VERSION = 1


@dataclass(frozen=True)
class Cached:
    """Features, and whether they had to be computed.

    Attributes:
        values: float32 [rows, width] or [rows, places, channels], mapped from the file.
        hit: Found from before.
        seconds: What computing them took, now or then.
    """

    values: npt.NDArray[np.float32]
    hit: bool
    seconds: float


def cached_features(
    root: Path, parts: Mapping[str, Any], compute: Callable[[], npt.NDArray[np.float32]]
) -> Cached:
    """Features by what they depend on, computed if nobody did before.

    Args:
        root: The cache.
        parts: All that the values depend on, as JSON.
        compute: Computes them, float32 [rows, …].

    Raises:
        TrainingError: ``disk_full_writing``; nothing is left behind.
    """
    key = hashlib.sha256(
        json.dumps({"version": CACHE_VERSION, **parts}, sort_keys=True).encode()
    ).hexdigest()
    folder = root / f"features-{key[:32]}"
    found = _open(folder, key)
    if found is not None:
        return Cached(*found[:1], hit=True, seconds=found[1])
    started = time.monotonic()
    values = np.ascontiguousarray(compute(), "<f4")
    seconds = round(time.monotonic() - started, 3)
    about = {"key": key, "shape": list(values.shape), "seconds": seconds, **parts}
    with durable_folder(folder, point="features", what="the features") as temporary:
        values.tofile(temporary / "values.f32")
        (temporary / "features.json").write_bytes(json_bytes(about))
    return Cached(values, hit=False, seconds=seconds)


def _open(folder: Path, key: str) -> tuple[npt.NDArray[np.float32], float] | None:
    """Map what was written whole; None when there is none (or another key's)."""
    try:
        about = json.loads((folder / "features.json").read_text())
        if about["key"] != key:
            return None
        shape = tuple(about["shape"])
        if (folder / "values.f32").stat().st_size != 4 * int(np.prod(shape)):
            return None
        values = np.memmap(folder / "values.f32", np.dtype("<f4"), "r", shape=shape)
        os.utime(folder)  # when it was last used, for whoever makes room
        return np.asarray(values), float(about["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
