"""Uploaded bytes on disk: one file an upload, appended to, synced, and in the end stored.

The file's own length is the truth about how much arrived: it is right even after a power cut
between a write and the row's update. The web process counts bytes and looks at the first few; what
they mean is the training process's to find out.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from blake3 import blake3
from django.conf import settings

from training.data.sniff import HEAD_BYTES, Content, sniff
from webapp import storage
from webapp.datasets.models import Upload

_CHUNK = 1 << 20
#: Up to this size a request may hash the whole file: a twentieth of a second.
HASH_AT_ONCE = 64 << 20


class UploadBusy(Exception):
    """Another request is writing to this upload: a connection that broke and is not yet noticed."""


class WrongOffset(Exception):
    """The client and the file disagree about how much arrived."""


def path_of(upload: Upload) -> Path:
    """Where the bytes of an upload lie until they are stored."""
    return Path(settings.UPLOAD_DIR) / str(upload.pk)


def begin(upload: Upload) -> None:
    """Make the empty file."""
    path = path_of(upload)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)


def received(upload: Upload) -> int:
    """Bytes that have arrived and are on disk."""
    if upload.blake3:
        return upload.size
    try:
        return path_of(upload).stat().st_size
    except FileNotFoundError:
        return 0


def append(upload: Upload, offset: int, read: Callable[[int], bytes], length: int) -> int:
    """Append what a request carries and sync it.

    Args:
        upload: Where to.
        offset: Where the client believes the file ends.
        read: Reads at most so many bytes of the request; raises or returns less when it is cut off.
        length: Most bytes to take.

    Returns:
        Bytes in the file now, however the request ended.

    Raises:
        UploadBusy: Somebody else is writing.
        WrongOffset: The file ends elsewhere.
        OSError: The disk is full; what fitted is kept.
    """
    with _exclusive(path_of(upload)) as file:
        end = file.seek(0, os.SEEK_END)
        if end != offset:
            raise WrongOffset
        try:
            while length > 0 and (chunk := _read(read, min(_CHUNK, length))):
                file.write(chunk)
                length -= len(chunk)
        finally:
            file.flush()
            os.fsync(file.fileno())
        return file.tell()


def discard(upload: Upload) -> None:
    """Delete the bytes."""
    path_of(upload).unlink(missing_ok=True)


def look(upload: Upload) -> Content:
    """What the first bytes say: text, or what it is instead."""
    with _open(upload) as file:
        return sniff(file.read(HEAD_BYTES))


def hash_if_small(upload: Upload) -> str:
    """The content's hash when it takes no time to find out, else empty."""
    if upload.blake3:
        return upload.blake3
    if upload.size > HASH_AT_ONCE:
        return ""
    with _open(upload) as file:
        digest = blake3()
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


def store(upload: Upload) -> str:
    """Move a complete upload into the store; safe to repeat after a kill at any point.

    Runs in a worker: a large file takes seconds to hash.

    Returns:
        Its hash.

    Raises:
        FileNotFoundError: Neither the upload nor its stored copy is there.
    """
    if upload.blake3:
        return upload.blake3
    if not path_of(upload).is_file():
        raise FileNotFoundError(upload.filename)
    # Copied and not renamed: between a rename and the row's update a kill would lose the file.
    stored = storage.store_file(path_of(upload))
    Upload.objects.filter(pk=upload.pk).update(blake3=stored.blake3, received=stored.size)
    upload.blake3 = stored.blake3
    discard(upload)
    return stored.blake3


def _read(read: Callable[[int], bytes], size: int) -> bytes:
    try:
        return read(size)
    except OSError:
        return b""  # the connection was cut: what arrived before counts


def _open(upload: Upload) -> IO[bytes]:
    return storage.open_blob(upload.blake3) if upload.blake3 else path_of(upload).open("rb")


@contextmanager
def _exclusive(path: Path) -> Iterator[Any]:
    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UploadBusy from None
        yield file
