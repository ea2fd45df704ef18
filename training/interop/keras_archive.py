"""A ``.keras`` file as an archive: checked member by member, and unpacked within bounds."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from training.backbones.gpt2.config import GPT2Config
from training.errors import TrainingError
from training.interop.keras_config import read_config

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
#: Where KerasHub puts a tokenizer's files inside the zip.
_ASSET = re.compile(r"assets/(?:\w+/){0,4}(vocabulary\.json|merges\.txt)")
_ASSET_NAMES = {"vocabulary.json": "vocab.json", "merges.txt": "merges.txt"}
MAX_CONFIG_BYTES = 10_000_000
MAX_ASSET_BYTES = 50_000_000
#: Beside the weights a file holds at most Adam's two moments of each, and what HDF5 itself takes.
STORED_TIMES, OVERHEAD_BYTES = 4, 64_000_000
#: Weights hardly shrink in a zip, a vocabulary to a third; a bomb grows a thousandfold.
UNPACKED_TIMES, UNPACKED_FLOOR = 20, 1_000_000
_CHUNK = 1 << 20


def unpack(path: Path, scratch: Path) -> tuple[GPT2Config, bool, float, Path]:
    """Check the zip, read its configuration, and unpack its weights within what that allows."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            payload = _json(archive, members[CONFIG])
            config, hub, dropout = read_config(payload)
            most = STORED_TIMES * 4 * config.parameter_count() + OVERHEAD_BYTES
            _extract(archive, members[WEIGHTS], scratch / "model.weights.h5", most)
            for name, member in members.items():
                if asset := _ASSET.fullmatch(name):
                    target = scratch / _ASSET_NAMES[asset[1]]
                    _extract(archive, member, target, MAX_ASSET_BYTES)
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        NotImplementedError,
        EOFError,
        OSError,
        UnicodeError,
    ) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # a disk's, and not the zip's
        raise TrainingError("keras_zip", file=path.name, detail=str(error)[:200]) from error
    return config, hub, dropout, scratch / "model.weights.h5"


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        if member.is_dir():
            continue
        if name not in (CONFIG, METADATA, WEIGHTS) and not _ASSET.fullmatch(name):
            raise TrainingError("keras_member", file=path.name, name=name[:200])
        if name in found:
            raise TrainingError("keras_member_twice", file=path.name, name=name[:200])
        if member.flag_bits & 1:
            raise TrainingError("keras_zip", file=path.name, detail="it is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TrainingError("keras_zip", file=path.name, detail="its compression is unusual")
        found[name] = member
    for name in (CONFIG, WEIGHTS):
        if name not in found:
            raise TrainingError("keras_member_missing", file=path.name, name=name)
    return found


def _json(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    if member.file_size > MAX_CONFIG_BYTES:
        raise TrainingError("keras_too_large", name=member.filename, size_mb=_mb(member.file_size))
    with archive.open(member) as stream:
        raw = stream.read(MAX_CONFIG_BYTES + 1)
    if len(raw) != member.file_size:
        raise TrainingError("keras_size_lie", name=member.filename)
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TrainingError("config_unreadable", detail=str(error)[:200]) from error
    if not isinstance(payload, dict):
        raise TrainingError("config_unreadable", detail="it is not an object")
    return payload


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most: int) -> None:
    """Unpack one member, never more than it claims, nor than the model can need or the disk has."""
    most = min(most, max(UNPACKED_TIMES * member.compress_size, UNPACKED_FLOOR))
    if member.file_size > most:
        raise TrainingError("keras_too_large", name=member.filename, size_mb=_mb(member.file_size))
    free = shutil.disk_usage(target.parent).free
    if member.file_size > free:
        raise TrainingError(
            "keras_no_space",
            name=member.filename,
            needed_mb=_mb(member.file_size),
            free_mb=_mb(free),
        )
    written = 0
    try:
        with archive.open(member) as stream, target.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                written += len(chunk)
                if written > member.file_size:
                    break
                file.write(chunk)
    except zipfile.BadZipFile as error:  # also a checksum that is not the content's
        raise TrainingError("keras_size_lie", name=member.filename) from error
    if written != member.file_size:
        raise TrainingError("keras_size_lie", name=member.filename)


def _mb(size: int) -> float:
    return round(size / 1e6, 1)
