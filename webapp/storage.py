"""The gateway to stored files: each named by the BLAKE3 hash of its content, so stored once.

Everything goes through Django's storage API, chosen by ``STORAGE_URL``: a local folder
(``file:///path``) or an S3-compatible bucket (``s3://bucket/prefix``; keys, region and endpoint
come from the usual ``AWS_…`` variables). Local files are written beside their place, fsynced and
renamed, and made read-only, so that a training process can be given a hard link instead of a copy.

A **manifest** describes a folder: ``{"model.safetensors": {"blake3": …, "size": …}, …}``.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import parse_qs, unquote, urlparse

from blake3 import blake3
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage

from training.hashing import file_hash

#: Unfinished files carry this prefix; no reader looks at them.
TEMPORARY_PREFIX = ".tmp-"
_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}")

Manifest = dict[str, dict[str, Any]]


class StoreError(Exception):
    """The store could not do what was asked."""


class BlobMissing(StoreError):
    """No file of this hash is in the store."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        super().__init__(f"{digest} is not in the store")


class BlobCorrupt(StoreError):
    """A stored file no longer has the content its name promises."""

    def __init__(self, digest: str, found: str) -> None:
        self.digest, self.found = digest, found
        super().__init__(f"{digest} in the store has content {found}")


class StoreFull(StoreError):
    """No space left; nothing half-written was kept."""


class PathRefused(StoreError):
    """A manifest names a path outside its folder, or a folder holds something else than files."""


@dataclass(frozen=True)
class StoredFile:
    """What identifies a stored file.

    Attributes:
        blake3: Hash of the content, hexadecimal: its name.
        size: Bytes.
    """

    blake3: str
    size: int


def store_file(path: Path, *, move: bool = False, link: bool = False) -> StoredFile:
    """Put one file into the store; content that is there already is not written again.

    Args:
        path: The file; it must not change meanwhile.
        move: Give the file itself to the store (a rename where that is possible) rather than a
            copy. It is gone from ``path`` afterwards.
        link: Share the file with the store, where one device holds both, rather than copy it. It
            stays at ``path``, read-only from then on: for what nobody writes to any more.

    Raises:
        StoreFull: No space left.
        PathRefused: ``path`` is not a regular file.
    """
    if path.is_symlink() or not path.is_file():
        raise PathRefused(f"{path.name} is not a regular file")
    stored = StoredFile(file_hash(path), path.stat().st_size)
    if not _has(stored):
        if (local := _local_path(stored.blake3)) is not None:
            _write_local(path, local, stored, give=_renamed if move else _linked if link else None)
        else:
            with _reporting_full(), path.open("rb") as file:
                _storage().save(_name(stored.blake3), File(file))
    if move:
        path.unlink(missing_ok=True)
    return stored


def store_folder(folder: Path, *, link: bool = False) -> Manifest:
    """Put every file below a folder into the store; unfinished files (``.tmp-…``) are left out.

    Args:
        folder: What a job made.
        link: See :func:`store_file`.

    Returns:
        The manifest, in the order of the paths.

    Raises:
        PathRefused: A symbolic link or a special file is among them.
        StoreFull: No space left.
    """
    manifest: Manifest = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(part.startswith(TEMPORARY_PREFIX) for part in relative.parts):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise PathRefused(f"{relative} is neither file nor folder")
        if path.is_file():
            stored = store_file(path, link=link)
            manifest[relative.as_posix()] = {"blake3": stored.blake3, "size": stored.size}
    return manifest


def materialise(manifest: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Make a folder hold exactly the files of a manifest at their paths, verified by hash.

    Local stores on the same device give hard links to their read-only files; others give copies.
    A file that stands there with the right content stays. Nothing else in the folder is touched.

    Raises:
        BlobMissing: A file is not in the store.
        BlobCorrupt: A file's content is not what its hash says; it is not put into the folder.
        PathRefused: A path leads outside the folder.
        StoreFull: No space left.
    """
    for relative, entry in manifest.items():
        target = folder / _safe(relative)
        digest = entry["blake3"]
        if target.is_file() and not target.is_symlink() and file_hash(target) == digest:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            with _reporting_full():
                found = _fetch(digest, temporary)
                if found != digest:
                    raise BlobCorrupt(digest, found)
                os.chmod(temporary, 0o444)
                os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def cached_folder(manifest: Mapping[str, Mapping[str, Any]], root: Path) -> Path:
    """A folder below ``root`` that holds a manifest's files, verified when it was made.

    For inputs that many requests share: the second call only touches the folder, so that its
    modification time says when it was last used.
    """
    folder = root / manifest_sha256(manifest)
    complete = root / f"{folder.name}.complete"
    if not complete.exists():
        materialise(manifest, folder)
        complete.touch()
    os.utime(complete)
    return folder


def open_blob(digest: str) -> IO[bytes]:
    """Open a stored file for reading; the caller closes it.

    Raises:
        BlobMissing: It is not in the store.
    """
    local = _local_path(digest)
    try:
        if local is not None:
            return local.open("rb")
        if not _storage().exists(_name(digest)):
            raise BlobMissing(digest)
        return _storage().open(_name(digest), "rb")
    except FileNotFoundError:
        raise BlobMissing(digest) from None


def blob_path(digest: str) -> Path | None:
    """Where a stored file lies on this machine; None in a remote store, or when it is missing."""
    local = _local_path(digest)
    return local if local is not None and local.is_file() else None


def blob_exists(digest: str) -> bool:
    """Whether the store holds this content."""
    return _storage().exists(_name(digest))


def manifest_sha256(manifest: Mapping[str, Mapping[str, Any]]) -> str:
    """The identity of a folder's content: the hash over its sorted paths, sizes and hashes."""
    lines = [[path, entry["blake3"], entry["size"]] for path, entry in sorted(manifest.items())]
    return hashlib.sha256(json.dumps(lines, separators=(",", ":")).encode()).hexdigest()


def manifest_size(manifest: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of all files of a folder."""
    return sum(int(entry["size"]) for entry in manifest.values())


# --- The storage behind it ------------------------------------------------------------------------


def _storage() -> Storage:
    return _make_storage(settings.STORAGE_URL)


@lru_cache(maxsize=8)
def _make_storage(url: str) -> Storage:
    parts = urlparse(url)
    if parts.scheme == "file":
        return FileSystemStorage(
            location=unquote(parts.path),
            file_permissions_mode=0o444,
            directory_permissions_mode=0o755,
        )
    if parts.scheme == "s3":
        return _make_s3(parts.netloc, parts.path.strip("/"), parse_qs(parts.query))
    raise ImproperlyConfigured("STORAGE_URL is neither file:///folder nor s3://bucket/prefix.")


def _make_s3(bucket: str, prefix: str, query: dict[str, list[str]]) -> Storage:
    # Imported here: boto3 takes 0.4 s and 40 MB that a local store need not pay.
    from botocore.config import Config
    from storages.backends.s3 import S3Storage

    return S3Storage(
        bucket_name=bucket,
        location=prefix,
        endpoint_url=query["endpoint"][0] if "endpoint" in query else None,
        file_overwrite=True,
        default_acl=None,
        # Since boto3 1.36 checksums are sent always, which Garage, SeaweedFS, MinIO and others of
        # the time before refuse.
        client_config=Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _name(digest: str) -> str:
    if not _HASH.fullmatch(digest):
        raise PathRefused(f"{digest!r} is not a hash")
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def _local_path(digest: str) -> Path | None:
    storage = _storage()
    return Path(storage.path(_name(digest))) if isinstance(storage, FileSystemStorage) else None


def _has(stored: StoredFile) -> bool:
    name = _name(stored.blake3)
    return _storage().exists(name) and _storage().size(name) == stored.size


def _fetch(digest: str, temporary: Path) -> str:
    """Put a stored file at ``temporary``; returns the hash of what arrived."""
    local = _local_path(digest)
    if local is not None:
        if not local.is_file():
            raise BlobMissing(digest)
        if _linked(local, temporary):
            return file_hash(temporary)
    with open_blob(digest) as source, temporary.open("xb") as file:
        return _copy(source, file)


def _write_local(
    path: Path, target: Path, stored: StoredFile, *, give: Callable[[Path, Path], bool] | None
) -> None:
    """Put a file at its place: the file itself where ``give`` can, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(target)
    try:
        with _reporting_full():
            if give is None or not give(path, temporary):
                with path.open("rb") as source, temporary.open("xb") as file:
                    if (found := _copy(source, file)) != stored.blake3:
                        raise BlobCorrupt(stored.blake3, found)
            _sync(temporary)
            os.chmod(temporary, 0o444)
            os.replace(temporary, target)
            _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _renamed(path: Path, temporary: Path) -> bool:
    try:
        os.rename(path, temporary)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _linked(path: Path, temporary: Path) -> bool:
    try:
        os.link(path, temporary)
    except OSError as error:
        # Another device, a file system without links, or a file that has too many already.
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        return False
    return True


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = blake3()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")


def _safe(relative: str) -> PurePosixPath:
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in relative:
        raise PathRefused(f"{relative!r} leads outside its folder")
    return path


@contextmanager
def _reporting_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull("no space left in the store") from error
        raise


def free_bytes() -> int | None:
    """Space left where files are stored; None for a remote store."""
    storage = _storage()
    if not isinstance(storage, FileSystemStorage):
        return None
    folder = Path(storage.location)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
