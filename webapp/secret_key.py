"""The key that signs sessions and links, made at the first start and kept beside the data."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from pathlib import Path


def kept_key(path: Path) -> str:
    """The key in a file; where there is none (or an empty one), a new one is made and kept.

    Web server, workers and reconciler start at the same time and all ask. The file appears whole,
    so that nobody reads the empty one that another has only just opened, and one process at a time
    makes it, so that they do not go on with two keys.

    Args:
        path: The file, readable by its owner only; its folder is made if need be.
    """
    if key := _read(path):
        return key
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        return _read(path) or _make(path)
    finally:
        os.close(folder)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _make(path: Path) -> str:
    key = secrets.token_urlsafe(64)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return key
