"""What images and sounds of an archive share on their way into a prepared data set.

Each member is decoded once, checked, counted, and written again in a form of our own. A split is a
ZIP of these, which any program opens, and a line of JSON for each that says where in the ZIP its
bytes lie: whoever shows or trains on one reads no other.
"""

from __future__ import annotations

import json
import time
import zipfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.data.archive import Archive, Member, MemberRefused
from training.data.labels import MAX_LABEL, Labels
from training.data.prepare_spec import PrepareSpec
from training.data.remarks import percent, remark
from training.data.splits import Division, Keys, label_remarks, splits_of
from training.errors import TrainingError
from training.events import EventLog

#: Members whose fault ``dataset.json`` tells.
MOST_TOLD = 20
MAX_NAME = 300
#: Fewer examples to train on than this are worth a word.
FEW = 200
#: Share of copies that is worth a word.
MANY_COPIES = 0.05
TELL_EVERY_S = 0.5
IGNORED = {"images": "warning_files_ignored", "sounds": "warning_files_no_sounds"}


@dataclass
class Found:
    """What reading left: a file of contents one after another, and a few words about each.

    Attributes:
        members: Those that can be used.
        digests: 16 bytes each, of the content as it is decoded.
        starts: Where each begins in the file, and where the last ends.
        labels: The class of each, where there are labels.
        unreadable: How many could not be used.
        told: Name and reason of the first of these.
    """

    members: list[Member] = field(default_factory=list)
    digests: bytearray = field(default_factory=bytearray)
    starts: array[int] = field(default_factory=lambda: array("q", [0]))
    labels: Labels | None = None
    unreadable: int = 0
    told: list[dict[str, str]] = field(default_factory=list)

    def keys(self) -> Keys:
        """A hash of each one's content."""
        return np.frombuffer(bytes(self.digests), "S16")

    def keep(self, member: Member, digest: bytes, size: int) -> None:
        """Count one whose content has so many bytes."""
        self.members.append(member)
        self.digests += digest
        self.starts.append(self.starts[-1] + size)
        if self.labels is not None and member.label is not None:
            self.labels.add(member.label[:MAX_LABEL])

    def refuse(self, member: Member, reason: str) -> None:
        """Count one that cannot be used."""
        self.unreadable += 1
        if len(self.told) < MOST_TOLD:
            self.told.append({"name": member.name[:MAX_NAME], "reason": reason})


def each(
    archive: Archive, found: Found, events: EventLog, share: float = 1.0
) -> Iterator[tuple[Member, bytes]]:
    """Every member that has a label (all of them, where there are no labels), with its bytes.

    Args:
        archive: What is read.
        found: Counts what has no label or cannot be read.
        events: Gets ``phase``.
        share: Of the whole work that this is.
    """
    total = sum(member.size for member in archive.members) or 1
    seen, told = 0, time.monotonic()
    for number, member in enumerate(archive.members):
        seen += member.size
        if found.labels is not None and member.label is None:
            found.labels.unlabelled += 1
            continue
        try:
            data = archive.read(member)
        except MemberRefused as error:
            found.refuse(member, str(error))
            continue
        yield member, data
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            fraction = round(share * seen / total, 4)
            events.emit("phase", name="reading", fraction=fraction, detail=str(number + 1))


def require_enough(kind: str, spec: PrepareSpec, found: Found) -> None:
    """Refuse an archive of which nothing can be read, or too little is left to split.

    Raises:
        TrainingError: ``images_unreadable``, ``images_too_few``, or the same of ``sounds``.
    """
    if not found.members and found.unreadable:
        told = {kind: found.unreadable, **found.told[0]}
        raise TrainingError(f"{kind}_unreadable", field="path", **told)
    different, needed = len(np.unique(found.keys())), len(splits_of(spec))
    if different < needed:
        counted = {kind: different, "needed": needed}
        raise TrainingError(f"{kind}_too_few", field="path", **counted)


def write_splits(
    folder: Path,
    found: Found,
    divided: Division,
    previewed: set[int],
    put: Callable[[zipfile.ZipFile, int], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Write a ZIP and a list of each split.

    Args:
        folder: Where to.
        found: The examples.
        divided: Which split each is in.
        previewed: Places of those that the preview shows.
        put: Adds the example at a place to a ZIP, and says where it lies there.

    Returns:
        The preview's rows.
    """
    preview = []
    for number, split in enumerate(divided.names):
        with (
            zipfile.ZipFile(folder / f"{split}.zip", "w", zipfile.ZIP_STORED) as packed,
            (folder / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n") as lines,
        ):
            for place in np.flatnonzero(divided.members(number)).tolist():
                member = found.members[place]
                row: dict[str, Any] = {"id": member.id, "name": member.name[:MAX_NAME]}
                if divided.numbers is not None:
                    row["label"] = float(divided.numbers[place])
                elif found.labels is not None:
                    row["label"] = found.labels.names[found.labels.of[place]]
                row |= put(packed, place)
                lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
                if place in previewed:
                    preview.append({"split": split, **row})
    return sorted(preview, key=lambda row: row["id"])


def append(packed: zipfile.ZipFile, name: str, content: bytes) -> int:
    """Add a file as it is, with nothing about the day in it; where its bytes begin."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    packed.writestr(info, content)
    return info.header_offset + len(info.FileHeader())


def remarks(
    kind: str,
    spec: PrepareSpec,
    archive: Archive,
    found: Found,
    divided: Division,
    more: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What is worth saying of such a data set.

    Args:
        kind: ``images`` or ``sounds``.
        spec: How it was read and split.
        archive: What it was made of.
        found: What could be read.
        divided: How it is split.
        more: What is said of this kind alone.
    """
    said, one = [], kind.removesuffix("s")
    train, count = int(divided.members(0).sum()), len(found.members)
    if train < FEW:
        said.append(remark(f"warning_few_{kind}", **{kind: train}))
    if found.unreadable:
        unreadable = {kind: found.unreadable, **found.told[0]}
        said.append(remark(f"warning_{kind}_unreadable", **unreadable))
    if archive.missing:
        missing, name = len(archive.missing), archive.missing[0]
        told = {"rows": missing, "list": archive.list_name[:MAX_NAME], "name": name}
        said.append(remark(f"warning_{kind}_missing", **told))
    if archive.ignored:
        said.append(remark(IGNORED[kind], files=archive.ignored))
    if divided.labels is None:
        said.append(remark(f"warning_{kind}_unlabelled"))
    if archive.own_splits:
        said.append(remark("warning_own_splits"))
    said += more
    if divided.duplicates >= max(1, MANY_COPIES * count):
        copies = {"duplicates": divided.duplicates, kind: count}
        share = percent(divided.duplicates, count)
        said.append(remark(f"warning_{one}_duplicates", **copies, percent=share))
    return said + label_remarks(spec, divided.labels)
