"""Tensors of safetensors files as NumPy arrays, and the writer: one tensor in memory at a time.

bfloat16 has no type in NumPy; ml_dtypes supplies it.

The writer copies what it is told to copy as it is (``verbatim``) from file to file, inside the
kernel, and hashes each tensor once, from the file that was written. The hash of the whole file can
only be computed from its start to its end, on one core; where the file must come out as another one
whose hash is known (``twin``), the tensors' hashes, computed side by side, say it as well.
``docs/decisions/0005-copying-at-the-speed-of-cp.md`` has the figures.
"""

from __future__ import annotations

import errno
import hashlib
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

from training.faults import fault_point
from training.weights.card import file_sha256
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

#: Copied, read back and hashed at a time: fits a core's own cache.
_CHUNK_BYTES = 1 << 18
#: Values of each model in memory at a time where several are gone through together (16 MiB as F32).
SLICE = 1 << 22
#: Where the kernel cannot copy between two files by itself, it is done by hand.
_CANNOT_COPY = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


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


def tensor_sha256(array: np.ndarray) -> str:
    """SHA-256 over the raw little-endian bytes."""
    return _hash_of(raw_bytes(array))


@runtime_checkable
class KnowsLayout(Protocol):
    """A mapping of tensors that need not be made to say how large they are."""

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Type and shape of a tensor."""
        ...


@dataclass(frozen=True)
class KnownFile:
    """A safetensors file with the hashes that were taken when it was written (on its card).

    Attributes:
        path: The file.
        sha256: Hash of all of it.
        tensors: Name → hash over the tensor's raw bytes.
    """

    path: Path
    sha256: str
    tensors: Mapping[str, str]


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
    twin: KnownFile | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[dict[str, object]], str]:
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
        twin: A file that this one equals byte by byte if the header and each tensor's hash say so.
            Its hash is then the file's, and not computed again.
        progress: Told the share of the bytes that have been written, 0..1, tensor by tensor.

    Returns:
        ``[{name, dtype, shape, sha256}]`` sorted by name, and the whole file's SHA-256.
    """
    verbatim = verbatim or {}
    header, entries = _lay_out(tensors, verbatim)
    expected = twin is not None and _comes_out_as(twin, header, entries, verbatim)
    total = max((entry.offset + entry.nbytes for entry in entries), default=len(header))
    workers = len(os.sched_getaffinity(0))
    digests: dict[str, Future[str]] = {}
    whole = hashlib.sha256(header)
    with path.open("w+b", buffering=0) as file, ThreadPoolExecutor(workers) as pool:
        try:
            _write_at(file.fileno(), memoryview(header), 0)
            # Where nobody hashes along in the file's order, the longest first keeps all cores busy.
            order = sorted(entries, key=lambda entry: -entry.nbytes) if expected else entries
            for entry in order:
                if entry.name in verbatim:
                    digests[entry.name] = pool.submit(
                        _copy_range, verbatim[entry.name], file.fileno(), entry.offset
                    )
            for entry in entries:
                if entry.name in verbatim:
                    digests[entry.name].result()
                    if not expected:
                        for chunk in _chunks(file.fileno(), entry.offset, entry.nbytes):
                            whole.update(chunk)
                else:
                    data = raw_bytes(tensors[entry.name])
                    if len(data) != entry.nbytes:
                        raise ValueError(f"{entry.name} changed while it was written")
                    digests[entry.name] = pool.submit(_hash_of, data)
                    _write_at(file.fileno(), data, entry.offset)
                    whole.update(data)
                    # Before the next one is made: memory holds one at a time.
                    digests[entry.name].result()
                    del data
                fault_point(f"{point}.tensor")
                if progress is not None:
                    progress((entry.offset + entry.nbytes) / total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    described: list[dict[str, object]] = [
        {
            "name": entry.name,
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "sha256": digests[entry.name].result(),
        }
        for entry in sorted(entries, key=lambda entry: entry.name)
    ]
    if not expected or twin is None:
        return described, whole.hexdigest()
    if all(twin.tensors.get(str(item["name"])) == item["sha256"] for item in described):
        return described, twin.sha256
    # The other file is no longer what it was; whoever asked for a copy is told by the tensors.
    return described, file_sha256(path)


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


def _comes_out_as(
    twin: KnownFile, header: bytes, entries: list[_Entry], verbatim: Mapping[str, TensorInfo]
) -> bool:
    """Whether all is copied from the twin to the same place, below the same header."""
    with twin.path.open("rb") as file:
        if file.read(len(header)) != header:
            return False
    return all(
        entry.name in verbatim
        and verbatim[entry.name].path == twin.path
        and verbatim[entry.name].offset == entry.offset
        for entry in entries
    )


def _copy_range(info: TensorInfo, target: int, offset: int) -> str:
    """Copy a tensor's bytes into an open file, and hash them as they are read back from there."""
    digest = hashlib.sha256()
    with info.path.open("rb", buffering=0) as file:
        for done in range(0, info.nbytes, _CHUNK_BYTES):
            count = min(_CHUNK_BYTES, info.nbytes - done)
            _copy_bytes(file.fileno(), info.offset + done, target, offset + done, count)
            for chunk in _chunks(target, offset + done, count):
                digest.update(chunk)
    return digest.hexdigest()


def _copy_bytes(source: int, start: int, target: int, offset: int, count: int) -> None:
    """Copy bytes between two open files; the kernel shares them where the file system can."""
    done = 0
    try:
        while done < count:
            moved = os.copy_file_range(source, target, count - done, start + done, offset + done)
            if not moved:
                raise EOFError("the source became shorter while it was copied")
            done += moved
    except OSError as error:
        if error.errno not in _CANNOT_COPY:
            raise
        for chunk in _chunks(source, start + done, count - done):
            _write_at(target, chunk, offset + done)
            done += len(chunk)


def _chunks(descriptor: int, offset: int, count: int) -> Iterator[memoryview]:
    """A range of an open file, piece by piece, each in the same memory as the one before."""
    buffer = memoryview(bytearray(min(count, _CHUNK_BYTES)))
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


def _hash_of(data: memoryview) -> str:
    return hashlib.sha256(data).hexdigest()
