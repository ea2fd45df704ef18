"""Images of an archive: decoded, counted, split (``docs/formats.md``).

Each image is decoded once, here, and written again as a PNG of our own, upright, grey or RGB, not
larger than asked for.
"""

from __future__ import annotations

import zipfile
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from blake3 import blake3

from training.data.archive import Archive, Member, open_archive
from training.data.archive_examples import (
    MAX_NAME,
    Found,
    append,
    each,
    remarks,
    require_enough,
    write_splits,
)
from training.data.image_files import ImageRefused, Picture, read_image, write_png
from training.data.labels import Labels
from training.data.prepare_spec import PrepareSpec
from training.data.remarks import remark
from training.data.splits import divide, histogram, spread
from training.durable import json_bytes
from training.events import EventLog
from training.hashing import file_hash

PREVIEW_IMAGES = 32


def prepare_images(spec: PrepareSpec, folder: Path, events: EventLog) -> dict[str, Any]:
    """Write the splits and the preview.

    Args:
        spec: Where the archive is, and how it is read and split.
        folder: Where to.
        events: Gets ``phase``.

    Returns:
        What ``dataset.json`` says of images (``docs/formats.md``).

    Raises:
        TrainingError: ``images_*``, ``archive_*``, ``label*``.
    """
    events.emit("phase", name="reading", fraction=0.0, detail="")
    path = Path(spec.path)
    archive = open_archive(
        path,
        "images",
        folder,
        label_field=spec.label_field,
        folders_are_classes=spec.folders_are_classes,
    )
    copy = folder / "images"
    with archive.file, copy.open("w+b") as file:
        found = _read(archive, spec, file, events)
        require_enough("images", spec, found)
        events.emit("phase", name="splitting", fraction=None, detail="")
        divided = divide(spec, found.keys(), found.labels)
        preview = write_splits(
            folder,
            found,
            divided,
            set(spread(divided.kept, PREVIEW_IMAGES)),
            lambda packed, place: _put(packed, place, found, file),
        )
    copy.unlink()
    (folder / "preview.json").write_bytes(json_bytes({"images": preview}))
    kept = divided.kept
    counts = {
        "images": len(found.members),
        "bytes": path.stat().st_size,
        "unreadable": found.unreadable,
        "ignored": archive.ignored,
        "duplicates": divided.duplicates,
    }
    in_splits = {
        name: {"images": int(divided.members(number).sum())}
        for number, name in enumerate(divided.names)
    }
    return {
        "kind": "image",
        "format": "images",
        "list": archive.list_name[:MAX_NAME],
        "longest_px": spec.longest_px,
        "labels": divided.labels,
        "seed": spec.seed,
        "source": {
            "blake3": file_hash(path),
            "size": counts["bytes"],
            "filename": spec.filename,
        },
        "counts": counts,
        "splits": in_splits,
        "sides": histogram(np.array(found.sides)[kept], "images"),
        "side_px": int(np.median(np.minimum(found.heights, found.widths)[kept])),
        "modes": dict(found.modes.most_common()),
        "unreadable": found.told,
        "warnings": remarks("images", spec, archive, found, divided, _told(found)),
    }


@dataclass
class _Images(Found):
    """What reading left: a file of PNGs one after another, and a few numbers about each."""

    heights: array[int] = field(default_factory=lambda: array("i"))
    widths: array[int] = field(default_factory=lambda: array("i"))
    #: The longer side of each as it came.
    sides: array[int] = field(default_factory=lambda: array("q"))
    modes: Counter[str] = field(default_factory=Counter)
    animated: int = 0

    def add(self, member: Member, picture: Picture, size: int) -> None:
        """Count an image whose PNG has so many bytes."""
        pixels = picture.pixels
        content = blake3(repr(pixels.shape).encode())
        content.update(np.ascontiguousarray(pixels).data)
        self.keep(member, content.digest(16), size)
        self.heights.append(pixels.shape[0])
        self.widths.append(pixels.shape[1])
        self.sides.append(max(picture.width, picture.height))
        self.modes[picture.mode] += 1
        self.animated += picture.animated


def _read(archive: Archive, spec: PrepareSpec, file: IO[bytes], events: EventLog) -> _Images:
    """Decode every image that is to be used."""
    found = _Images(labels=Labels(archive.label_field) if archive.labelled else None)
    for member, data in each(archive, found, events):
        try:
            picture = read_image(data, spec.longest_px)
        except ImageRefused as error:
            found.refuse(member, str(error))
            continue
        content = write_png(picture.pixels)
        file.write(content)
        found.add(member, picture, len(content))
    return found


def _put(packed: zipfile.ZipFile, place: int, found: _Images, file: IO[bytes]) -> dict[str, Any]:
    start, end = found.starts[place : place + 2]
    file.seek(start)
    name = f"{found.members[place].id:07d}.png"
    return {
        "height": found.heights[place],
        "width": found.widths[place],
        "offset": append(packed, name, file.read(end - start)),
        "size": end - start,
    }


def _told(found: _Images) -> list[dict[str, Any]]:
    """What is said of images alone."""
    return [remark("warning_first_frames", images=found.animated)] if found.animated else []
