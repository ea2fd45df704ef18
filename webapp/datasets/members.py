"""Single images and sounds of a prepared version, for pages: PNG and WAV files that the training
process wrote.

They lie uncompressed in the split's ZIP, at the place that the preview or a report tells. Nothing
is decoded here: the bytes are what their first ones say, and the browser is told so.
"""

from __future__ import annotations

from webapp import storage
from webapp.datasets.models import DatasetVersion

#: Of 1,024 × 1,024 pixels, the largest that are kept, hardly compressed; a sound has less.
MOST_BYTES = 8 << 20
#: How a file begins.
PNG, WAV = b"\x89PNG\r\n\x1a\n", b"RIFF"


class NoMember(Exception):
    """There is nothing of the kind at this place."""


def read(version: DatasetVersion, split: str, offset: int, size: int, signature: bytes) -> bytes:
    """The bytes of an image or a sound.

    Args:
        version: Ready, of images or sounds.
        split: ``train``, ``validation`` or ``test``.
        offset: Where it begins in the split's ZIP.
        size: How many bytes it has.
        signature: How it begins.

    Raises:
        NoMember: Nothing there begins so.
    """
    entry = version.manifest.get(f"{split}.zip")
    if entry is None or size > MOST_BYTES or offset + size > entry["size"]:
        raise NoMember
    try:
        with storage.open_blob(entry["blake3"]) as file:
            file.seek(offset)
            content = file.read(size)
    except storage.BlobMissing as error:
        raise NoMember from error
    if not content.startswith(signature):
        raise NoMember
    return content
