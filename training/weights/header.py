"""Reads the header of a safetensors file without trusting it and without NumPy.

The format [0]: eight bytes with the header's length (little endian), a JSON object ``name →
{dtype, shape, data_offsets}``, then the tensors' bytes. The library's own reader was seen to take
1.1 GB for an 87 MB header, so the bounds are checked here, before memory is taken.

- [0] https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import TrainingError

#: About 100 bytes describe a tensor, so this is room for 100,000 of them; GPT-2 XL has 580.
MAX_HEADER_BYTES = 10_000_000

#: safetensors' name of a type → bytes an element takes.
DTYPE_BYTES: dict[str, int] = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
}


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies.

    Attributes:
        name: As in the header.
        dtype: safetensors' name, a key of :data:`DTYPE_BYTES`.
        shape: Sizes, outermost first; empty for a scalar.
        offset: First byte, counted from the start of the file.
        nbytes: Bytes it takes.
        path: The file that holds it.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    path: Path

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What a safetensors file says about itself, in the order of the bytes."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Read and check a safetensors header; no tensor is read.

    Raises:
        TrainingError: ``weights_*``: not safetensors (what it is instead is named by content),
            truncated, overlapping, too large a header, a type that is not known.
    """
    file = path.name
    with path.open("rb") as stream:
        total = os.fstat(stream.fileno()).st_size
        start = stream.read(8)
        first = stream.read(1)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if len(start) < 8 or first != b"{":
            raise _not_safetensors(path)
        if length > MAX_HEADER_BYTES:
            raise TrainingError(
                "weights_header_too_large",
                file=file,
                size_mb=round(length / 1e6, 1),
                limit_mb=round(MAX_HEADER_BYTES / 1e6),
            )
        if length > total - 8:
            raise TrainingError("weights_truncated", file=file, expected=8 + length, found=total)
        raw = first + stream.read(length - 1)
    data_start = 8 + length
    entries = _parse(raw, file)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise _invalid(file, "__metadata__")
    tensors = [_tensor(name, entry, path, data_start) for name, entry in entries.items()]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.nbytes))
    _check_layout(tensors, file, data_start, total)
    return Header({tensor.name: tensor for tensor in tensors}, metadata)


def _parse(raw: bytes, file: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            # Two readers of one file could otherwise see two different models.
            counts = Counter(name for name, _ in pairs)
            twice = next(name for name, count in counts.items() if count > 1)
            raise TrainingError("weights_name_twice", file=file, name=_short(twice))
        return found

    try:
        entries = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except TrainingError:
        raise
    except (ValueError, RecursionError) as error:
        raise _invalid(file, "JSON") from error
    if not isinstance(entries, dict):
        raise _invalid(file, "JSON")
    return entries


def _tensor(name: str, entry: Any, path: Path, data_start: int) -> TensorInfo:
    file = path.name
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _invalid(file, _short(name))
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise TrainingError("weights_dtype", file=file, name=_short(name), dtype=_short(str(dtype)))
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > 16:
        raise _invalid(file, _short(name))
    begin, end = offsets
    nbytes = math.prod(shape) * DTYPE_BYTES[dtype]
    if end - begin != nbytes:
        raise TrainingError("weights_size_wrong", file=file, name=_short(name))
    return TensorInfo(name, dtype, tuple(shape), data_start + begin, nbytes, path)


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_layout(tensors: Iterable[TensorInfo], file: str, start: int, total: int) -> None:
    """The tensors must fill the file from the header to its end: no gap, no byte used twice."""
    position = start
    for tensor in tensors:
        if tensor.offset < position:
            raise TrainingError("weights_overlap", file=file, name=_short(tensor.name))
        if tensor.offset > position:
            raise TrainingError("weights_gap", file=file, name=_short(tensor.name))
        position += tensor.nbytes
    if position > total:
        raise TrainingError("weights_truncated", file=file, expected=position, found=total)
    if position < total:
        raise TrainingError("weights_trailing", file=file, extra=total - position)


def _not_safetensors(path: Path) -> TrainingError:
    """Say what the file is instead, judged by its content."""
    file = path.name
    with path.open("rb") as stream:
        start = stream.read(4096)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        last = stream.read(1)
    pickled = (start[:1] == b"\x80" and start[1:2] in b"\x01\x02\x03\x04\x05") or (
        start[:1] in (b"(", b"c", b"]", b"}") and last == b"."
    )
    if not start:
        return TrainingError("weights_empty", file=file)
    if pickled or (start.startswith(b"PK\x03\x04") and b".pkl" in start):
        return TrainingError("weights_pickle", file=file)
    if start.startswith(b"PK"):
        return TrainingError("weights_zip", file=file)
    if start.startswith(b"\x89HDF"):
        return TrainingError("weights_hdf5", file=file)
    if start.startswith(b"version https://git-lfs"):
        return TrainingError("weights_lfs_pointer", file=file)
    return TrainingError("weights_not_safetensors", file=file)


def _invalid(file: str, what: str) -> TrainingError:
    return TrainingError("weights_header_invalid", file=file, what=what)


def _short(text: str) -> str:
    """Names come from a stranger's file: enough of one to recognise it."""
    return text if len(text) <= 120 else text[:117] + "…"


def shapes(tensors: Mapping[str, TensorInfo]) -> dict[str, tuple[int, ...]]:
    """Name → shape, all that a plan needs to know of its source."""
    return {name: info.shape for name, info in tensors.items()}
