"""Single images of a prepared version, for pages: bytes that the training process wrote as PNG.

They lie uncompressed in the split's ZIP, at the place that the preview or a report tells. Nothing
is decoded here: the bytes are a PNG by their first eight, and the browser is told so.
"""

from __future__ import annotations

from webapp import storage
from webapp.datasets.models import DatasetVersion

#: Of 1,024 × 1,024 pixels, the largest that are kept, hardly compressed.
MOST_BYTES = 8 << 20
SIGNATURE = b"\x89PNG\r\n\x1a\n"


class NoImage(Exception):
    """There is no image at this place."""


def read(version: DatasetVersion, split: str, offset: int, size: int) -> bytes:
    """The bytes of an image.

    Args:
        version: Ready, of images.
        split: ``train``, ``validation`` or ``test``.
        offset: Where it begins in the split's ZIP.
        size: How many bytes it has.

    Raises:
        NoImage: Nothing there is an image.
    """
    entry = version.manifest.get(f"{split}.zip")
    if entry is None or size > MOST_BYTES or offset + size > entry["size"]:
        raise NoImage
    try:
        with storage.open_blob(entry["blake3"]) as file:
            file.seek(offset)
            content = file.read(size)
    except storage.BlobMissing as error:
        raise NoImage from error
    if not content.startswith(SIGNATURE):
        raise NoImage
    return content
