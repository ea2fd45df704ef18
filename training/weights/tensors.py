"""Tensors of safetensors files as NumPy arrays, and the writer: one tensor in memory at a time.

bfloat16 has no type in NumPy; ml_dtypes supplies it.

The writer copies what it is told to copy as it is (``verbatim``) from file to file, while a second
thread reads behind it and hashes what was written.
``docs/decisions/0005-copying-at-the-speed-of-cp.md`` has the figures.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import ml_dtypes
import numpy as np
from blake3 import blake3

from training.faults import fault_point
from training.hashing import content_hash
from training.weights.header import TensorInfo, read_header

NUMPY_TYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES: dict[np.dtype, str] = {dtype: name for name, dtype in NUMPY_TYPES.items()}

#: Copied at a time; the thread that hashes follows by so much.
_PIECE_BYTES = 1 << 21
#: Read back and hashed at a time: fits a core's own cache.
_CHUNK_BYTES = 1 << 18
#: Values of each model in memory at a time where several are gone through together (16 MiB as F32).
SLICE = 1 << 22


def dtype_name(dtype: np.dtype) -> str:
    """safetensors' name of a type.

    Raises:
        KeyError: A type that the format does not have.
    """
    return _NAMES[dtype.newbyteorder("<")]


class MappedTensors(Mapping[str, np.ndarray]):
    """Name → read-only array over the file's own pages.

    Each look-up maps the tensor afresh, so that memory is given back with the array; a map of the
    whole file would count as resident for as long as it lives.
    """

    def __init__(self, infos: Mapping[str, TensorInfo]) -> None:
        self.infos = dict(infos)

    def __getitem__(self, name: str) -> np.ndarray:
        info = self.infos[name]
        dtype = NUMPY_TYPES[info.dtype]
        if info.nbytes == 0:
            return np.empty(info.shape, dtype)
        mapped = np.memmap(info.path, dtype, "r", info.offset, info.shape or (1,))
        return mapped.reshape(info.shape)

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Type and shape, from the header alone."""
        info = self.infos[name]
        return NUMPY_TYPES[info.dtype], info.shape

    def part(self, name: str, start: int, count: int) -> np.ndarray:
        """So many values of a tensor, flat, from ``start`` on: only these are mapped."""
        info = self.infos[name]
        dtype = NUMPY_TYPES[info.dtype]
        if count == 0:
            return np.empty((0,), dtype)
        return np.memmap(info.path, dtype, "r", info.offset + start * dtype.itemsize, (count,))

    def __iter__(self) -> Iterator[str]:
        return iter(self.infos)

    def __len__(self) -> int:
        return len(self.infos)


class LazyTensors(Mapping[str, np.ndarray]):
    """Name → array, made when looked up and kept by nobody: memory holds one at a time.

    Args:
        makers: What makes each array.
        layouts: Type and shape of each, so that none is made merely to be laid out.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[[], np.ndarray]],
        layouts: Mapping[str, tuple[np.dtype, tuple[int, ...]]],
    ) -> None:
        self._makers, self._layouts = dict(makers), layouts

    def __getitem__(self, name: str) -> np.ndarray:
        return self._makers[name]()

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Type and shape, without making the array."""
        return self._layouts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def open_tensors(path: Path) -> MappedTensors:
    """The tensors of one checked safetensors file."""
    return MappedTensors(read_header(path).tensors)


def slices(
    tensors: Sequence[MappedTensors], name: str, dtype: np.dtype | type
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Go through a tensor that several models have, all of them at the same place.

    Args:
        tensors: The models; the tensor has the same number of values in each.
        name: The tensor.
        dtype: What the values are converted to.

    Yields:
        Which values of the flat tensor, and these of each model: arrays of one's own, flat.
    """
    size = tensors[0].infos[name].size
    for start in range(0, size, SLICE):
        count = min(SLICE, size - start)
        parts = [np.array(each.part(name, start, count), dtype) for each in tensors]
        yield slice(start, start + count), parts


def raw_bytes(array: np.ndarray) -> memoryview:
    """An array's little-endian bytes in C order, without a copy where it already lies so."""
    contiguous = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return contiguous.reshape(-1).view(np.uint8).data


def tensor_hash(array: np.ndarray) -> str:
    """BLAKE3 over the raw little-endian bytes."""
    return content_hash(raw_bytes(array))


def stored_hash(info: TensorInfo) -> str:
    """The same of a tensor in a file; memory does not grow with it."""
    digest = blake3()
    with info.path.open("rb", buffering=0) as file:
        _hash_range(digest, file.fileno(), info.offset, info.nbytes, _buffer(_CHUNK_BYTES))
    return digest.hexdigest()


@runtime_checkable
class KnowsLayout(Protocol):
    """A mapping of tensors that need not be made to say how large they are."""

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Type and shape of a tensor."""
        ...


@dataclass(frozen=True)
class _Entry:
    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    offset: int


def write_tensors(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    point: str = "weights",
    verbatim: Mapping[str, TensorInfo] | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[dict[str, object]]:
    """Write a safetensors file, hashing on the way; the caller makes it durable.

    Args:
        path: The file; written in place.
        tensors: Name → array, looked up one at a time, so a lazy mapping keeps memory low. It is
            asked for each twice, the first time for type and shape only, unless it
            :class:`KnowsLayout`.
        point: Prefix of the fault point ``<point>.tensor``, passed once a tensor.
        verbatim: Tensors whose bytes are exactly those of another file, and where they lie there.
            They need not be in ``tensors``, and are not looked up where they are. Their hashes are
            taken from what was written, read back: equal to the source's, they prove the copy.
        progress: Told the share of the bytes that have been written, 0..1, tensor by tensor.

    Returns:
        ``[{name, dtype, shape, blake3}]`` sorted by name.
    """
    verbatim = verbatim or {}
    header, entries = _lay_out(tensors, verbatim)
    total = max((entry.offset + entry.nbytes for entry in entries), default=len(header))
    digests = {entry.name: blake3() for entry in entries}
    read: list[Future[object]] = []
    piece, chunk = _buffer(_PIECE_BYTES), _buffer(_CHUNK_BYTES)  # of one thread each
    with path.open("w+b", buffering=0) as file, ThreadPoolExecutor(1) as reader:
        target = file.fileno()
        try:
            _write_at(target, memoryview(header), 0)
            for entry in entries:
                digest = digests[entry.name]
                if entry.name in verbatim:
                    info = verbatim[entry.name]
                    for start, count in _copy_pieces(info, target, entry.offset, piece):
                        read.append(reader.submit(_hash_range, digest, target, start, count, chunk))
                else:
                    data = raw_bytes(tensors[entry.name])
                    if len(data) != entry.nbytes:
                        raise ValueError(f"{entry.name} changed while it was written")
                    hashed = reader.submit(digest.update, data)
                    _write_at(target, data, entry.offset)
                    # Before the next one is made: memory holds one at a time.
                    hashed.result()
                    del data
                fault_point(f"{point}.tensor")
                if progress is not None:
                    progress((entry.offset + entry.nbytes) / total)
            for one in read:
                one.result()
        except BaseException:
            reader.shutdown(cancel_futures=True)
            raise
    return [
        {
            "name": entry.name,
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "blake3": digests[entry.name].hexdigest(),
        }
        for entry in sorted(entries, key=lambda entry: entry.name)
    ]


def _lay_out(
    tensors: Mapping[str, np.ndarray], verbatim: Mapping[str, TensorInfo]
) -> tuple[bytes, list[_Entry]]:
    """The header, and where each tensor goes, in the order of the bytes."""
    found: list[tuple[str, str, tuple[int, ...], int, int]] = []
    for name in dict.fromkeys((*tensors, *verbatim)):
        if name in verbatim:
            info = verbatim[name]
            dtype, shape = NUMPY_TYPES[info.dtype], info.shape
        elif isinstance(tensors, KnowsLayout):
            dtype, shape = tensors.layout(name)
        else:
            array = tensors[name]
            dtype, shape = array.dtype, array.shape
            del array
        size = math.prod(shape) * dtype.itemsize
        found.append((name, dtype_name(dtype), shape, size, dtype.itemsize))
    # The library's own order: wider types first, so that each tensor stays aligned.
    found.sort(key=lambda entry: (-entry[4], entry[0]))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, stored, shape, nbytes, _itemsize in found:
        header[name] = {
            "dtype": stored,
            "shape": list(shape),
            "data_offsets": [position, position + nbytes],
        }
        position += nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    raw = struct.pack("<Q", len(text)) + text
    entries, position = [], len(raw)
    for name, stored, shape, nbytes, _itemsize in found:
        entries.append(_Entry(name, stored, shape, nbytes, position))
        position += nbytes
    return raw, entries


def _buffer(size: int) -> memoryview:
    return memoryview(bytearray(size))


def _copy_pieces(
    info: TensorInfo, target: int, offset: int, buffer: memoryview
) -> Iterator[tuple[int, int]]:
    """Copy a tensor's bytes into an open file; gives where each piece lies once it is there.

    Through a buffer: ``copy_file_range`` is slower where the bytes move to another place in a page.
    """
    with info.path.open("rb", buffering=0) as file:
        for piece in _chunks(file.fileno(), info.offset, info.nbytes, buffer):
            _write_at(target, piece, offset)
            yield offset, len(piece)
            offset += len(piece)


def _hash_range(
    digest: blake3, descriptor: int, offset: int, count: int, buffer: memoryview
) -> None:
    """Hash a range of an open file, read from it."""
    for chunk in _chunks(descriptor, offset, count, buffer):
        digest.update(chunk)


def _chunks(descriptor: int, offset: int, count: int, buffer: memoryview) -> Iterator[memoryview]:
    """A range of an open file, one buffer after the other."""
    while count:
        got = os.preadv(descriptor, [buffer[:count]], offset)
        if not got:
            raise EOFError("the file became shorter while it was read")
        yield buffer[:got]
        offset, count = offset + got, count - got


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
