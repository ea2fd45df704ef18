"""Writing that survives a crash: results appear whole or not at all.

A file or folder is written beside its place under a temporary name, fsynced with everything in it,
renamed, and the folder that holds the name is fsynced too. Without the first fsync a power cut can
leave the new name with empty content; without the second it can lose the rename.

Each durable step passes a fault point (:mod:`training.faults`), so that tests can fail it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.faults import fault_point

#: Names with this prefix are unfinished: no reader looks at them, and :func:`sweep` removes them.
TEMPORARY_PREFIX = ".tmp-"

_FULL = (errno.ENOSPC, errno.EDQUOT)


def full_disk(out: Path, what: str) -> TrainingError:
    """The refusal of a job whose disk is full: only what has saved its state is told to resume.

    Args:
        out: The job's working directory.
        what: What could not be written.
    """
    resumes = any((out / "state").glob("step-*"))
    return TrainingError("disk_full" if resumes else "disk_full_writing", what=what)


@contextmanager
def reporting_full_disk(what: str, code: str = "disk_full_writing") -> Iterator[None]:
    """Turn "no space left" into the ``disk_full_writing`` refusal; other errors pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise TrainingError(code, what=what) from error
        raise


def write_bytes(path: Path, data: bytes, *, point: str = "file") -> None:
    """Replace a file's content atomically and durably.

    Args:
        path: The file; its folder must exist.
        data: The whole new content.
        point: Prefix of the fault points ``<point>.write`` and ``<point>.rename``.

    Raises:
        TrainingError: ``disk_full_writing``; the old content stays.
    """
    temporary = _temporary(path)
    try:
        with reporting_full_disk(path.name):
            with temporary.open("wb") as file:
                file.write(data)
                fault_point(f"{point}.write")
                file.flush()
                os.fsync(file.fileno())
            fault_point(f"{point}.rename")
            os.replace(temporary, path)
            _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, payload: Any, *, point: str = "file") -> None:
    """Replace a JSON file atomically and durably; NaN is refused, since JSON has none."""
    write_bytes(path, json_bytes(payload), point=point)


def json_bytes(payload: Any) -> bytes:
    """JSON as our files hold it: UTF-8, indented, a newline at the end."""
    return (json.dumps(payload, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


@contextmanager
def durable_folder(
    path: Path,
    *,
    point: str = "folder",
    what: str | None = None,
    last: Callable[[Path], None] | None = None,
) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``path``, whole, when the block ends without error.

    A folder that stands at ``path`` already is replaced: on Linux by exchanging the two names in
    one step, so that a kill at any moment leaves the old one or the new one in place.

    Args:
        path: The folder to make; its parent is made if need be.
        point: Prefix of the fault points ``<point>.write`` (content written, not yet synced),
            ``<point>.sync`` (synced) and ``<point>.rename`` (renamed, parent not yet synced).
        what: How the ``disk_full_writing`` sentence names it; default: the folder's name.
        last: Called with the temporary folder once all else in it is synced: for the file whose
            presence says that the rest is complete.

    Raises:
        TrainingError: ``disk_full_writing``; nothing is left behind.
    """
    temporary = _temporary(path)
    try:
        with reporting_full_disk(what or path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            yield temporary
            fault_point(f"{point}.write")
            sync_tree(temporary)
            if last is not None:
                last(temporary)
                sync_tree(temporary)
            fault_point(f"{point}.sync")
            _replace_folder(temporary, path)
            fault_point(f"{point}.rename")
            _sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sync_tree(folder: Path) -> None:
    """Fsync every file and folder below, deepest first."""
    for root, _folders, files in os.walk(folder, topdown=False):
        for name in files:
            descriptor = os.open(os.path.join(root, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_folder(Path(root))


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written in a folder.

    Only the process that holds the folder's lock may call this.
    """
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name.startswith(TEMPORARY_PREFIX):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{uuid.uuid4().hex[:12]}")


def _replace_folder(temporary: Path, path: Path) -> None:
    if not path.exists():
        os.rename(temporary, path)
        return
    if _exchange(temporary, path):
        shutil.rmtree(temporary, ignore_errors=True)
        return
    # No exchange here (macOS, some network file systems): for an instant neither is in place.
    old = _temporary(path)
    os.rename(path, old)
    try:
        os.rename(temporary, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names atomically (``renameat2`` with RENAME_EXCHANGE); False where that is not to
    be had. A plain rename cannot replace a folder that has content."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
