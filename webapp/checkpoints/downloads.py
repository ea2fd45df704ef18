"""A checkpoint, or an export of one, as one file to save: a zip, streamed as it is read."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from zipstream import ZipStream

from webapp import storage
from webapp.checkpoints.models import Checkpoint

_CHUNK = 1 << 20


def filename(checkpoint: Checkpoint) -> str:
    """The folder's name inside the zip and, with ``.zip``, the zip's own."""
    return slugify(checkpoint.name, allow_unicode=True)[:80] or str(checkpoint.pk)[:8]


def response(manifest: storage.Manifest, folder: str) -> StreamingHttpResponse:
    """The answer that sends stored files as one zip of the folder's name.

    Args:
        manifest: ``{path: {blake3, size}}``.
        folder: The folder in the zip that they lie in.

    Raises:
        BlobMissing: A file is not in the store; before anything is sent.
    """
    stream = folder_zip(manifest, folder)
    answer = StreamingHttpResponse(stream, content_type="application/zip")
    answer["Content-Length"] = str(len(stream))
    answer["Content-Disposition"] = content_disposition_header(True, f"{folder}.zip") or ""
    return answer


def folder_zip(manifest: storage.Manifest, folder: str) -> ZipStream:
    """Stored files as a zip whose length is known before the first byte.

    Stored and not compressed: weights do not get smaller, and the browser can show how far it is.

    Args:
        manifest: ``{path: {blake3, size}}``.
        folder: The folder in the zip that they lie in.

    Raises:
        BlobMissing: A file is not in the store; before anything is sent.
    """
    stream = ZipStream(sized=True)
    for path, entry in sorted(manifest.items()):
        if not storage.blob_exists(entry["blake3"]):
            raise storage.BlobMissing(entry["blake3"])
        stream.add(_Blob(entry["blake3"]), f"{folder}/{path}", size=int(entry["size"]))
    return stream


class _Blob:
    """Reads a stored file piece by piece, and opens it only when its turn has come."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def __iter__(self) -> Iterator[bytes]:
        with storage.open_blob(self._digest) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
