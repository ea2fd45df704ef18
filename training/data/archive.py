"""The images or sounds of a ZIP archive: which there are, and which label each has.

Nothing is unpacked to disk: a path in an archive is only a name here, and each member is read
alone, to the size that it claims. Labels come from a list in the archive (CSV or JSON Lines, called
``manifest``, ``metadata`` or ``labels``) or from the folders that the members lie in.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from training.data.readers import READERS, Reader
from training.data.readers.base import names as sentence_names
from training.data.sniff import HEAD_BYTES, likely_encoding, sniff
from training.errors import TrainingError

#: What an archive may be of, and how the names of such files end.
ENDINGS = {
    "images": (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    "sounds": (".wav", ".wave"),
}
#: Sounds that are not read: whoever uploads them is told what to do.
OTHER_SOUNDS = (".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma")
LIST_NAMES = ("manifest", "metadata", "labels")
LIST_FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
#: A list's columns, the likeliest first.
FILE_COLUMNS = (
    *("file_name", "filename", "file", "path", "image", "sound", "audio", "wav", "name"),
    *("文件名", "文件", "图片", "声音", "音频"),
)
LABEL_COLUMNS = (
    *("label", "class", "category", "target", "value", "score"),
    *("标签", "类别", "分类", "数值", "分数"),
)
#: Folders of these names say which split a member was in once, not what it is.
SPLIT_FOLDERS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}

MOST_FILES = 1_000_000
MOST_BYTES = 1 << 38
MOST_MEMBER_BYTES = 1 << 26
MOST_LIST_BYTES = 1 << 28

#: What a guess at names' encoding is called by Python.
_CODECS = {"GB18030": "gb18030", "Big5": "big5", "EUC-KR": "euc_kr", "Shift JIS": "shift_jis"}
#: What macOS and Windows put beside the files.
_DEBRIS = re.compile(r"(^|/)(__MACOSX/|\.|thumbs\.db$|desktop\.ini$)", re.IGNORECASE)


class MemberRefused(Exception):
    """A member that cannot be used; the text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Member:
    """An image or a sound of the archive.

    Attributes:
        id: Its place among them, by name.
        name: Its path.
        label: Its class; None where it has none.
        size: Bytes that it claims to have.
        entry: Where it is in the archive.
    """

    id: int
    name: str
    label: str | None
    size: int
    entry: zipfile.ZipInfo


@dataclass
class Archive:
    """What is in an archive; see :func:`open_archive`.

    Attributes:
        members: Its images or sounds, by name.
        ignored: Files that are neither such nor the list.
        list_name: The list that labels were taken from; empty: none was.
        label_field: Its column; empty where labels are the folders' names.
        labelled: Whether members have labels at all.
        own_splits: Whether its folders divide them for training and testing.
        missing: Names in the list that are not in the archive.
        rows: How many the list has.
    """

    file: zipfile.ZipFile
    members: list[Member] = field(default_factory=list)
    ignored: int = 0
    list_name: str = ""
    label_field: str = ""
    labelled: bool = False
    own_splits: bool = False
    missing: list[str] = field(default_factory=list)
    rows: int = 0

    def read(self, member: Member) -> bytes:
        """A member's bytes.

        Raises:
            MemberRefused: It is too large, or not what the archive says of it.
        """
        if member.size > MOST_MEMBER_BYTES:
            raise MemberRefused(f"{member.size >> 20} MiB")
        try:
            return self.file.read(member.entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise MemberRefused("damaged in the archive") from error


def open_archive(
    path: Path,
    kind: str,
    scratch: Path,
    *,
    label_field: str = "",
    folders_are_classes: bool = True,
) -> Archive:
    """Look at an archive.

    Args:
        path: The upload.
        kind: What is looked for, a key of :data:`ENDINGS`.
        scratch: A folder in which the list is put for a moment.
        label_field: The list's column with the labels; empty: found by its name.
        folders_are_classes: Whether members without a list have their folder's name as their
            label.

    Raises:
        TrainingError: ``images_need_zip``, ``archive_*``, ``images_none`` (of sounds ``sounds_*``),
            ``archive_list_*``, or what the list's reader says of it.
    """
    archive = Archive(_open(path, kind))
    entries, endings = _entries(archive.file), ENDINGS[kind]
    wanted = {name: entry for name, entry in entries.items() if name.lower().endswith(endings)}
    if not wanted:
        raise TrainingError(
            f"{kind}_none", field="path", files=len(entries), endings=", ".join(endings)
        )
    archive.ignored = len(entries) - len(wanted)
    parents = {PurePosixPath(name).parent for name in wanted}
    folders = {parent.name.lower() for parent in parents}
    archive.own_splits = any(
        part.lower() in SPLIT_FOLDERS for parent in parents for part in parent.parts
    )
    labels = _listed(archive, entries, wanted, scratch, label_field)
    if labels is None and label_field:
        raise TrainingError("archive_list_missing", field="label_field", column=label_field)
    if labels is None and folders_are_classes and len(parents) > 1 and folders - SPLIT_FOLDERS:
        labels = {name: PurePosixPath(name).parent.name or None for name in wanted}
    archive.labelled = labels is not None
    archive.members = [
        Member(place, name, (labels or {}).get(name), wanted[name].file_size, wanted[name])
        for place, name in enumerate(sorted(wanted))
    ]
    return archive


def kind_of(path: Path) -> str:
    """What an archive is mostly of, a key of :data:`ENDINGS`; images where nothing says so.

    Raises:
        TrainingError: ``images_need_zip``, ``archive_broken``.
    """
    with _open(path, "images") as file:
        names = [name.lower() for name in file.namelist() if not _DEBRIS.search(name)]
    counts = {kind: sum(one.endswith(ends) for one in names) for kind, ends in ENDINGS.items()}
    if not any(counts.values()):
        return "sounds" if any(one.endswith(OTHER_SOUNDS) for one in names) else "images"
    return max(counts, key=lambda kind: counts[kind])


def _open(path: Path, kind: str) -> zipfile.ZipFile:
    try:
        with path.open("rb") as file:
            if not sniff(file.read(HEAD_BYTES)).is_zip:
                raise TrainingError(f"{kind}_need_zip", field="path")
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise TrainingError("file_missing", field="path") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise TrainingError("archive_broken", field="path", detail=str(error)) from error


def _entries(file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Its files by their paths, without what systems leave beside them; refused as a whole where a
    path leads out of it, a file is protected, or there is too much."""
    infos = [info for info in file.infolist() if not info.is_dir()]
    claimed = sum(info.file_size for info in infos)
    if len(infos) > MOST_FILES or claimed > MOST_BYTES:
        raise TrainingError(
            "archive_too_large",
            field="path",
            files=len(infos),
            size=f"{claimed >> 30} GiB",
            most=f"{MOST_BYTES >> 30} GiB",
            most_files=MOST_FILES,
        )
    found: dict[str, zipfile.ZipInfo] = {}
    for info, name in zip(infos, _names(infos), strict=True):
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
            raise TrainingError("archive_path", field="path", name=name[:100])
        if info.flag_bits & 0x1:
            raise TrainingError("archive_protected", field="path")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TrainingError("archive_packed_otherwise", field="path", name=name[:100])
        if not _DEBRIS.search(name):
            found[name] = info
    return found


def _names(infos: list[zipfile.ZipInfo]) -> Iterator[str]:
    """The files' paths. Names without the UTF-8 mark are in the encoding of whoever packed them,
    which the names together give away."""
    raw = [
        None if info.flag_bits & 0x800 else info.orig_filename.encode("cp437", "replace")
        for info in infos
    ]
    unmarked = b"/".join(name for name in raw if name is not None)
    codec = None
    if not unmarked.isascii():
        try:
            unmarked.decode()
            codec = "utf-8"
        except UnicodeDecodeError:
            codec = _CODECS.get(likely_encoding(unmarked) or "")
    for info, name in zip(infos, raw, strict=True):
        text = info.filename if name is None or codec is None else name.decode(codec, "replace")
        yield text.split("\0")[0].replace("\\", "/").removeprefix("./")


def _listed(
    archive: Archive,
    entries: dict[str, zipfile.ZipInfo],
    wanted: dict[str, zipfile.ZipInfo],
    scratch: Path,
    label_field: str,
) -> dict[str, str | None] | None:
    """Labels by name from the list, if there is one with labels; it is no ignored file then."""
    lists = [
        name
        for name in entries
        if PurePosixPath(name).stem.lower() in LIST_NAMES
        and PurePosixPath(name).suffix.lower() in LIST_FORMATS
    ]
    if not lists:
        return None
    name = min(lists, key=lambda one: (one.count("/"), one))
    copy = scratch / "list"
    entry = entries[name]
    if entry.file_size > MOST_LIST_BYTES:
        raise TrainingError("archive_broken", field="path", detail=name)
    try:
        copy.write_bytes(archive.file.read(entry))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise TrainingError("archive_broken", field="path", detail=name) from error
    try:
        reader = _open_list(copy, name, label_field)
        if reader is None:
            return None
        archive.list_name, archive.label_field = name, reader.label_field
        archive.ignored -= 1
        return _labels(archive, reader, wanted)
    finally:
        copy.unlink()


def _open_list(path: Path, name: str, label_field: str) -> Reader | None:
    """A reader of the members' names (as texts) and labels; None where it has no labels."""
    kind = READERS[LIST_FORMATS[PurePosixPath(name).suffix.lower()]]
    try:
        columns = kind(path).columns
    except TrainingError as error:
        if error.code != "text_column_not_found":
            raise
        raise TrainingError(
            "archive_list_without_files", field="path", list=name, **error.params
        ) from error
    by_name = {column.strip().casefold(): column for column in reversed(columns)}
    file_column = next((by_name[one] for one in FILE_COLUMNS if one in by_name), None)
    if file_column is None:
        raise TrainingError(
            "archive_list_without_files", field="path", list=name, columns=sentence_names(columns)
        )
    label_field = label_field or next(
        (by_name[one] for one in LABEL_COLUMNS if one in by_name and by_name[one] != file_column),
        "",
    )
    return kind(path, file_column, label_field) if label_field else None


def _labels(
    archive: Archive, reader: Reader, wanted: dict[str, zipfile.ZipInfo]
) -> dict[str, str | None]:
    """Names in the list are paths from the list's folder, from the root, or names alone."""
    base = PurePosixPath(archive.list_name).parent
    alone: dict[str, str | None] = {}
    for path in wanted:
        short = PurePosixPath(path).name
        alone[short] = None if short in alone else path
    found: dict[str, str | None] = {}
    for row in reader:
        archive.rows += 1
        said = row.text.strip().replace("\\", "/").removeprefix("./")
        ways = (str(base / said), said, alone.get(said) or "")
        name = next((way for way in ways if way in wanted), "")
        if not name:
            archive.missing.append(said[:100])
            continue
        if found.get(name) not in (None, row.label):
            raise TrainingError(
                "archive_list_contradicts",
                field="path",
                list=archive.list_name,
                name=name[:100],
                one=found[name],
                other=row.label,
            )
        found[name] = row.label
    if not found:
        first = archive.missing[0] if archive.missing else "–"
        raise TrainingError(
            "archive_list_fits_nothing",
            field="path",
            rows=archive.rows,
            list=archive.list_name,
            name=first,
        )
    return found
