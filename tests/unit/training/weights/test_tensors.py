"""Writing safetensors: computed tensors, tensors copied as they are, and the hashes of both."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from training.weights import tensors as module
from training.weights.header import read_header
from training.weights.tensors import KnownFile, open_tensors, tensor_sha256, write_tensors

Arrays = dict[str, np.ndarray]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def arrays() -> Arrays:
    random = np.random.default_rng(0)
    return {
        "wide": random.normal(size=(300, 700)).astype(np.float32),  # several chunks
        "narrow": random.normal(size=(5, 3)).astype(np.float16),
        "none": np.zeros((0, 4), np.float32),
        "scalar": np.array(3, np.int64),
    }


@pytest.fixture
def source(tmp_path: Path, arrays: Arrays) -> KnownFile:
    path = tmp_path / "source.safetensors"
    described, whole = write_tensors(path, arrays)
    return KnownFile(path, whole, {str(item["name"]): str(item["sha256"]) for item in described})


def test_the_library_reads_what_was_written(source: KnownFile, arrays: Arrays) -> None:
    found = load_file(source.path)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }
    assert source.sha256 == sha256(source.path)
    assert source.tensors == {name: tensor_sha256(array) for name, array in arrays.items()}


@pytest.mark.parametrize("kernel", [True, False])
def test_a_copy_beside_computed_tensors_has_the_hashes_of_what_is_in_the_file(
    tmp_path: Path,
    source: KnownFile,
    arrays: Arrays,
    kernel: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not kernel:

        def refuse(*_: Any) -> int:
            raise OSError(module._CANNOT_COPY[0], "not here")

        monkeypatch.setattr(os, "copy_file_range", refuse)
    infos = read_header(source.path).tensors
    verbatim = {name: infos[name] for name in ("wide", "none", "narrow")}
    fresh = {"new": np.arange(7, dtype=np.float32)}
    described, whole = write_tensors(
        tmp_path / "copy", fresh | {"narrow": np.zeros(1)}, verbatim=verbatim, twin=source
    )
    found = load_file(tmp_path / "copy")
    assert set(found) == {"new", *verbatim}
    for name in verbatim:
        assert found[name].tobytes() == arrays[name].tobytes()
    assert whole == sha256(tmp_path / "copy")
    assert {item["name"]: item["sha256"] for item in described} == {
        name: tensor_sha256(array) for name, array in found.items()
    }


def test_a_whole_copy_is_hashed_once_and_has_the_file_s_hash(
    tmp_path: Path, source: KnownFile
) -> None:
    described, whole = write_tensors(
        tmp_path / "copy", {}, verbatim=read_header(source.path).tensors, twin=source
    )
    assert (tmp_path / "copy").read_bytes() == source.path.read_bytes()
    assert whole == source.sha256
    assert {item["name"]: item["sha256"] for item in described} == source.tensors


def test_a_source_that_changed_since_it_was_written_is_seen(
    tmp_path: Path, source: KnownFile
) -> None:
    info = read_header(source.path).tensors["wide"]
    with source.path.open("r+b") as file:
        file.seek(info.offset + 300_000)
        file.write(b"\xff")
    described, whole = write_tensors(
        tmp_path / "copy", {}, verbatim=read_header(source.path).tensors, twin=source
    )
    hashes = {item["name"]: item["sha256"] for item in described}
    assert hashes["wide"] != source.tensors["wide"]
    assert whole == sha256(tmp_path / "copy") != source.sha256


def test_a_foreign_file_s_layout_is_not_taken_for_ours(tmp_path: Path, arrays: Arrays) -> None:
    """The library orders by name within a type, and may add metadata: the bytes differ."""
    path = tmp_path / "foreign.safetensors"
    save_file(arrays, path, {"format": "np"})
    infos = read_header(path).tensors
    known = KnownFile(path, sha256(path), {n: tensor_sha256(a) for n, a in arrays.items()})
    _described, whole = write_tensors(tmp_path / "copy", {}, verbatim=infos, twin=known)
    assert whole == sha256(tmp_path / "copy") != known.sha256


def test_a_source_cut_short_while_it_is_copied_is_an_error(
    tmp_path: Path, source: KnownFile
) -> None:
    infos = read_header(source.path).tensors
    os.truncate(source.path, source.path.stat().st_size - 100)
    with pytest.raises(EOFError):
        write_tensors(tmp_path / "copy", {}, verbatim=infos)


def test_tensors_that_know_their_layout_are_looked_up_once(
    tmp_path: Path, source: KnownFile
) -> None:
    mapped, asked = open_tensors(source.path), []

    class Counting(Mapping[str, np.ndarray]):
        layout = mapped.layout

        def __iter__(self) -> Iterator[str]:
            return iter(mapped)

        def __len__(self) -> int:
            return len(mapped)

        def __getitem__(self, name: str) -> np.ndarray:
            asked.append(name)
            return mapped[name]

    write_tensors(tmp_path / "copy", Counting())
    assert sorted(asked) == sorted(mapped)
    assert (tmp_path / "copy").read_bytes() == source.path.read_bytes()


def test_a_part_of_a_tensor_is_mapped_alone(source: KnownFile, arrays: Arrays) -> None:
    part = open_tensors(source.path).part("wide", 1000, 50)
    assert np.array_equal(part, arrays["wide"].reshape(-1)[1000:1050])
