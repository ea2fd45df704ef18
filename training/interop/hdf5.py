"""Reads the weights in a Keras HDF5 file without trusting it.

HDF5 is a file system in a file: a link may lead into another file, a data set may lie elsewhere or
be put together from others, and 1.6 kB can claim 4 TiB. What Keras itself writes is simple, groups
and contiguous arrays of floats, and only that is read here. Everything is looked at before any
array is.

Links are never followed to see what they are; h5py opens only what a hard link in this very file
names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from training.errors import TrainingError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: A GPT-2 XL has some 2,500 objects; each costs a moment to look at.
MAX_OBJECTS = 200_000
MAX_DEPTH = 16
#: Characters of one name. A path repeats the names above it for every array below.
MAX_NAME = 512
#: Keras keeps the optimiser's state here; it is not looked at.
SKIPPED = ("optimizer",)
#: Types that weights are stored as, in NumPy's words.
TYPES = ("<f4", "<f2", ">f4", ">f2")


@dataclass(frozen=True)
class H5Info:
    """An array in the file: its shape and its type as NumPy writes it."""

    shape: tuple[int, ...]
    dtype: str


class H5File:
    """An opened and checked file; arrays are read when asked for.

    Attributes:
        arrays: Path → array's shape and type.
        names: Path of a group → the layer's name, where Keras wrote one.
    """

    def __init__(self, path: Path) -> None:
        """Open and check.

        Raises:
            TrainingError: ``hdf5_*``.
        """
        self._file_name = path.name
        self._size = path.stat().st_size
        with path.open("rb") as stream:
            if stream.read(len(SIGNATURE)) != SIGNATURE:
                raise TrainingError("hdf5_not", file=path.name)
        self.arrays: dict[str, H5Info] = {}
        self.names: dict[str, str] = {}
        self._seen: set[Any] = set()
        self._claimed = 0
        try:
            self._file = h5py.File(path, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise self._damaged(error) from error
        try:
            self._walk(self._file, "", 0)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            self.close()
            raise self._damaged(error) from error
        except TrainingError:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def read(self, path: str) -> np.ndarray:
        """One of :attr:`arrays`, native byte order.

        Raises:
            TrainingError: ``hdf5_damaged``.
        """
        try:
            values = np.asarray(self._file[path][()])
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise self._damaged(error) from error
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    # --- looking at everything once ----------------------------------------------------------

    def _walk(self, group: Any, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._refused("hdf5_too_deep", path)
        for name in group:
            here = f"{path}/{name}".lstrip("/")
            if len(name) > MAX_NAME:
                raise self._refused("hdf5_name_too_long", here)
            kind = type(group.get(name, getlink=True)).__name__
            if kind == "ExternalLink":
                raise self._refused("hdf5_external_link", here)
            if kind != "HardLink":
                raise self._refused("hdf5_soft_link", here)
            if not path and name in SKIPPED:
                continue
            found = group[name]
            information = h5py.h5o.get_info(found.id)
            key = (information.fileno, information.addr)
            # A hard link may point back up; two names of one array are no layout of Keras's.
            if key in self._seen:
                raise self._refused("hdf5_twice", here)
            self._seen.add(key)
            if len(self._seen) > MAX_OBJECTS:
                raise self._refused("hdf5_too_many", here)
            if isinstance(found, h5py.Group):
                self._note_name(found, here)
                self._walk(found, here, depth + 1)
            elif isinstance(found, h5py.Dataset):
                self._check_array(found, here)
            else:
                raise self._refused("hdf5_type", here, type=type(found).__name__)

    def _note_name(self, group: Any, path: str) -> None:
        """Keep the layer's name: a short text beside its ``vars``."""
        if not path.endswith("/vars") or "name" not in group.attrs:
            return
        attribute = group.attrs.get_id("name")
        if attribute.shape == () and attribute.get_storage_size() <= MAX_NAME:
            # What a text of no fixed length takes shows only when it is read.
            name = group.attrs["name"]
            if isinstance(name, str) and len(name) <= MAX_NAME:
                self.names[path.removesuffix("/vars")] = name

    def _check_array(self, found: Any, path: str) -> None:
        properties = found.id.get_create_plist()
        layout = properties.get_layout()
        if properties.get_external_count():
            raise self._refused("hdf5_external_storage", path)
        if layout == h5py.h5d.VIRTUAL:
            raise self._refused("hdf5_virtual", path)
        if found.shape is None or found.dtype.str not in TYPES:
            raise self._refused("hdf5_type", path, type=str(found.dtype)[:120])
        shape = tuple(int(size) for size in found.shape)
        claimed = int(np.prod(shape, dtype=object)) * found.dtype.itemsize
        # All together: else a thousand arrays could lie in one place.
        self._claimed += claimed
        if self._claimed > self._size:
            raise self._refused(
                "hdf5_claims",
                path,
                claimed_mb=(self._claimed + 500_000) // 10**6,
                size_mb=round(self._size / 1e6, 2),
            )
        if layout == h5py.h5d.CHUNKED or properties.get_nfilters():
            # What is compressed may be a thousand times larger; Keras compresses nothing.
            raise self._refused("hdf5_chunked", path)
        if found.id.get_storage_size() != claimed:
            raise self._refused(
                "hdf5_claims",
                path,
                claimed_mb=(claimed + 500_000) // 10**6,
                size_mb=round(self._size / 1e6, 2),
            )
        self.arrays[path] = H5Info(shape, found.dtype.str)

    def _refused(self, code: str, path: str, **params: Any) -> TrainingError:
        return TrainingError(code, file=self._file_name, path=path[:200], **params)

    def _damaged(self, error: Exception) -> TrainingError:
        return TrainingError("hdf5_damaged", file=self._file_name, detail=str(error)[:200])


class LazyTensors(Mapping[str, np.ndarray]):
    """Name → array, made when looked up."""

    def __init__(self, makers: Mapping[str, Callable[[], np.ndarray]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> np.ndarray:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)
