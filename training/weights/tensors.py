"""Tensors of safetensors files as NumPy arrays, and the writer: one tensor in memory at a time.

bfloat16 has no type in NumPy; ml_dtypes supplies it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from training.faults import fault_point
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

_CHUNK_BYTES = 1 << 23


def dtype_name(array: np.ndarray) -> str:
    """safetensors' name of an array's type.

    Raises:
        KeyError: A type that the format does not have.
    """
    return _NAMES[array.dtype.newbyteorder("<")]


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

    def __iter__(self) -> Iterator[str]:
        return iter(self.infos)

    def __len__(self) -> int:
        return len(self.infos)


def open_tensors(path: Path) -> MappedTensors:
    """The tensors of one checked safetensors file."""
    return MappedTensors(read_header(path).tensors)


def raw_bytes(array: np.ndarray) -> memoryview:
    """An array's little-endian bytes in C order, without a copy where it already lies so."""
    contiguous = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return contiguous.reshape(-1).view(np.uint8).data


def tensor_sha256(array: np.ndarray) -> str:
    """SHA-256 over the raw little-endian bytes."""
    return hashlib.sha256(raw_bytes(array)).hexdigest()


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], *, point: str = "weights"
) -> tuple[list[dict[str, object]], str]:
    """Write a safetensors file, hashing on the way; the caller makes it durable.

    Args:
        path: The file; written in place.
        tensors: Name → array. Looked up twice, one at a time, so a lazy mapping keeps memory low.
        point: Prefix of the fault point ``<point>.tensor``, passed once a tensor.

    Returns:
        ``[{name, dtype, shape, sha256}]`` sorted by name, and the whole file's SHA-256.
    """
    layout = []
    for name in tensors:
        array = tensors[name]
        layout.append((name, dtype_name(array), array.shape, array.nbytes, array.dtype.itemsize))
        del array
    # The library's own order: wider types first, so that each tensor stays aligned.
    layout.sort(key=lambda entry: (-entry[4], entry[0]))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, dtype, shape, nbytes, _itemsize in layout:
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [position, position + nbytes],
        }
        position += nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    described: list[dict[str, object]] = []
    whole = hashlib.sha256()
    with path.open("wb") as file:
        for piece in (struct.pack("<Q", len(text)), text):
            file.write(piece)
            whole.update(piece)
        for name, dtype, shape, nbytes, _itemsize in layout:
            digest = hashlib.sha256()
            data = raw_bytes(tensors[name])
            if len(data) != nbytes:
                raise ValueError(f"{name} changed while it was written")
            for start in range(0, nbytes, _CHUNK_BYTES):
                chunk = data[start : start + _CHUNK_BYTES]
                file.write(chunk)
                digest.update(chunk)
                whole.update(chunk)
            del data
            fault_point(f"{point}.tensor")
            described.append(
                {"name": name, "dtype": dtype, "shape": list(shape), "sha256": digest.hexdigest()}
            )
    described.sort(key=lambda tensor: str(tensor["name"]))
    return described, whole.hexdigest()
