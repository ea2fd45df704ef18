"""Images of an archive: decoded, counted, split (``docs/formats.md``).

Each image is decoded once, here, and written again as a PNG of our own, upright, grey or RGB, not
larger than asked for. A split is a ZIP of these, which any program opens, and a line of JSON for
each that says where in the ZIP its bytes lie: whoever shows or trains on one image reads no other.
"""

from __future__ import annotations

import json
import time
import zipfile
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from blake3 import blake3

from training.data.image_archive import ImageArchive, Member, open_archive
from training.data.image_files import ImageRefused, Picture, read_image, write_png
from training.data.labels import MAX_LABEL, Labels
from training.data.labels import remarks as label_remarks
from training.data.prepare_spec import PrepareSpec
from training.data.remarks import percent, remark
from training.data.splits import Division, Keys, divide, histogram, splits_of, spread
from training.durable import json_bytes
from training.errors import TrainingError
from training.events import EventLog
from training.hashing import file_hash

PREVIEW_IMAGES = 32
#: Images whose fault ``dataset.json`` tells.
MOST_TOLD = 20
MAX_NAME = 300
FEW_IMAGES = 200
#: Share of copies that is worth a word.
MANY_COPIES = 0.05
TELL_EVERY_S = 0.5


def prepare_images(spec: PrepareSpec, folder: Path, events: EventLog) -> dict[str, Any]:
    """Write the splits and the preview.

    Args:
        spec: Where the archive is, and how it is read and split.
        folder: Where to.
        events: Gets ``phase``.

    Returns:
        What ``dataset.json`` says of images (``docs/formats.md``).

    Raises:
        TrainingError: ``images_*``, ``archive_*``, ``image_list_*``, ``label*``.
    """
    events.emit("phase", name="reading", fraction=0.0, detail="")
    path = Path(spec.path)
    archive = open_archive(
        path,
        folder,
        label_field=spec.label_field,
        folders_are_classes=spec.folders_are_classes,
    )
    copy = folder / "images"
    with archive.file, copy.open("w+b") as file:
        found = _read(archive, spec, file, events)
        _require_enough(spec, archive, found)
        events.emit("phase", name="splitting", fraction=None, detail="")
        divided = divide(spec, found.keys(), found.labels)
        preview = _write_splits(folder, file, found, divided)
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
        "modes": dict(found.modes.most_common()),
        "unreadable": found.told,
        "warnings": _remarks(archive, found, counts, divided, in_splits["train"]["images"]),
    }


@dataclass
class _Found:
    """What reading left: a file of PNGs one after another, and a few numbers about each."""

    members: list[Member] = field(default_factory=list)
    digests: bytearray = field(default_factory=bytearray)  # 16 bytes an image
    starts: array[int] = field(default_factory=lambda: array("q", [0]))
    heights: array[int] = field(default_factory=lambda: array("i"))
    widths: array[int] = field(default_factory=lambda: array("i"))
    #: The longer side of each as it came.
    sides: array[int] = field(default_factory=lambda: array("q"))
    modes: Counter[str] = field(default_factory=Counter)
    labels: Labels | None = None
    animated: int = 0
    unreadable: int = 0
    told: list[dict[str, str]] = field(default_factory=list)

    def keys(self) -> Keys:
        """A hash of each image's pixels."""
        return np.frombuffer(bytes(self.digests), "S16")

    def add(self, member: Member, picture: Picture, size: int) -> None:
        """Count an image whose PNG has so many bytes."""
        pixels = picture.pixels
        content = blake3(repr(pixels.shape).encode())
        content.update(np.ascontiguousarray(pixels).data)
        self.members.append(member)
        self.digests += content.digest(16)
        self.starts.append(self.starts[-1] + size)
        self.heights.append(pixels.shape[0])
        self.widths.append(pixels.shape[1])
        self.sides.append(max(picture.width, picture.height))
        self.modes[picture.mode] += 1
        self.animated += picture.animated
        if self.labels is not None and member.label is not None:
            self.labels.add(member.label[:MAX_LABEL])

    def refuse(self, member: Member, reason: str) -> None:
        """Count an image that cannot be used."""
        self.unreadable += 1
        if len(self.told) < MOST_TOLD:
            self.told.append({"name": member.name[:MAX_NAME], "reason": reason})


def _read(archive: ImageArchive, spec: PrepareSpec, file: IO[bytes], events: EventLog) -> _Found:
    """Decode every image that has a label (all of them, where there are no labels)."""
    found = _Found(labels=Labels(archive.label_field) if archive.labelled else None)
    total = sum(member.size for member in archive.members) or 1
    seen, told = 0, time.monotonic()
    for member in archive.members:
        seen += member.size
        if found.labels is not None and member.label is None:
            found.labels.unlabelled += 1
            continue
        try:
            picture = read_image(archive.read(member), spec.longest_px)
        except ImageRefused as error:
            found.refuse(member, str(error))
            continue
        content = write_png(picture.pixels)
        file.write(content)
        found.add(member, picture, len(content))
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            events.emit(
                "phase",
                name="reading",
                fraction=round(seen / total, 4),
                detail=str(len(found.members)),
            )
    return found


def _require_enough(spec: PrepareSpec, archive: ImageArchive, found: _Found) -> None:
    if not found.members and found.unreadable:
        raise TrainingError(
            "images_unreadable", field="path", images=found.unreadable, **found.told[0]
        )
    different, needed = len(np.unique(found.keys())), len(splits_of(spec))
    if different < needed:
        raise TrainingError("images_too_few", field="path", images=different, needed=needed)


def _write_splits(
    folder: Path, file: IO[bytes], found: _Found, divided: Division
) -> list[dict[str, Any]]:
    """A ZIP and a list of each split; the preview."""
    previewed, preview = set(spread(divided.kept, PREVIEW_IMAGES)), []
    for number, split in enumerate(divided.names):
        with (
            zipfile.ZipFile(folder / f"{split}.zip", "w", zipfile.ZIP_STORED) as packed,
            (folder / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n") as lines,
        ):
            for place in np.flatnonzero(divided.members(number)).tolist():
                start, end = found.starts[place : place + 2]
                file.seek(start)
                member = found.members[place]
                row: dict[str, Any] = {"id": member.id, "name": member.name[:MAX_NAME]}
                if found.labels is not None:
                    row["label"] = found.labels.names[found.labels.of[place]]
                row |= {
                    "height": found.heights[place],
                    "width": found.widths[place],
                    "offset": _append(packed, f"{member.id:07d}.png", file.read(end - start)),
                    "size": end - start,
                }
                lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
                if place in previewed:
                    preview.append({"split": split, **row})
    return sorted(preview, key=lambda row: row["id"])


def _append(packed: zipfile.ZipFile, name: str, content: bytes) -> int:
    """Add a file as it is, with nothing about the day in it; where its bytes begin."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    packed.writestr(info, content)
    return info.header_offset + len(info.FileHeader())


def _remarks(
    archive: ImageArchive,
    found: _Found,
    counts: dict[str, int],
    divided: Division,
    train: int,
) -> list[dict[str, Any]]:
    said = []
    if train < FEW_IMAGES:
        said.append(remark("warning_few_images", images=train))
    if found.unreadable:
        said.append(remark("warning_images_unreadable", images=found.unreadable, **found.told[0]))
    if archive.missing:
        said.append(
            remark(
                "warning_images_missing",
                rows=len(archive.missing),
                list=archive.list_name[:MAX_NAME],
                name=archive.missing[0],
            )
        )
    if archive.ignored:
        said.append(remark("warning_files_ignored", files=archive.ignored))
    if divided.labels is None:
        said.append(remark("warning_images_unlabelled"))
    if archive.own_splits:
        said.append(remark("warning_own_splits"))
    if found.animated:
        said.append(remark("warning_first_frames", images=found.animated))
    if counts["duplicates"] >= max(1, MANY_COPIES * counts["images"]):
        said.append(
            remark(
                "warning_image_duplicates",
                duplicates=counts["duplicates"],
                images=counts["images"],
                percent=percent(counts["duplicates"], counts["images"]),
            )
        )
    if divided.labels is not None:
        said += label_remarks(divided.labels)
    return said
