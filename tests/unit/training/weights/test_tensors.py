"""Writing safetensors: computed tensors, tensors copied as they are, and the hashes of both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from training.weights import tensors as module
from training.weights.header import read_header
from training.weights.tensors import open_tensors, tensor_hash, write_tensors

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Written:
    path: Path
    tensors: dict[str, str]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", 300_000)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 70_000)


@pytest.fixture
def arrays() -> Arrays:
    random = np.random.default_rng(0)
    return {
        "wide": random.normal(size=(300, 700)).astype(
            np.float32
        ),  # several pieces, and several chunks in each
        "narrow": random.normal(size=(5, 3)).astype(np.float16),
        "none": np.zeros((0, 4), np.float32),
        "scalar": np.array(3, np.int64),
    }


@pytest.fixture
def source(tmp_path: Path, arrays: Arrays) -> Written:
    path = tmp_path / "source.safetensors"
    described = write_tensors(path, arrays)
    return Written(path, {str(item["name"]): str(item["blake3"]) for item in described})


def test_the_library_reads_what_was_written(source: Written, arrays: Arrays) -> None:
    found = load_file(source.path)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }
    assert source.tensors == {name: tensor_hash(array) for name, array in arrays.items()}


@pytest.mark.parametrize("kernel", [True, False])
def test_a_copy_beside_computed_tensors_has_the_hashes_of_what_is_in_the_file(
    tmp_path: Path,
    source: Written,
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
    described = write_tensors(tmp_path / "copy", fresh | {"narrow": np.zeros(1)}, verbatim=verbatim)
    found = load_file(tmp_path / "copy")
    assert set(found) == {"new", *verbatim}
    for name in verbatim:
        assert found[name].tobytes() == arrays[name].tobytes()
    assert {item["name"]: item["blake3"] for item in described} == {
        name: tensor_hash(array) for name, array in found.items()
    }


def test_a_whole_copy_is_the_same_file_and_has_its_hashes(tmp_path: Path, source: Written) -> None:
    infos = read_header(source.path).tensors
    described = write_tensors(tmp_path / "copy", {}, verbatim=infos)
    assert (tmp_path / "copy").read_bytes() == source.path.read_bytes()
    assert {item["name"]: item["blake3"] for item in described} == source.tensors


def test_a_source_that_changed_since_it_was_written_is_seen(
    tmp_path: Path, source: Written
) -> None:
    info = read_header(source.path).tensors["wide"]
    with source.path.open("r+b") as file:
        file.seek(info.offset + 300_000)
        file.write(b"\xff")
    infos = read_header(source.path).tensors
    described = write_tensors(tmp_path / "copy", {}, verbatim=infos)
    hashes = {item["name"]: item["blake3"] for item in described}
    assert hashes["wide"] != source.tensors["wide"]


def test_a_source_cut_short_while_it_is_copied_is_an_error(tmp_path: Path, source: Written) -> None:
    infos = read_header(source.path).tensors
    os.truncate(source.path, source.path.stat().st_size - 100)
    with pytest.raises(EOFError):
        write_tensors(tmp_path / "copy", {}, verbatim=infos)


def test_tensors_that_know_their_layout_are_looked_up_once(tmp_path: Path, source: Written) -> None:
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


def test_a_part_of_a_tensor_is_mapped_alone(source: Written, arrays: Arrays) -> None:
    part = open_tensors(source.path).part("wide", 1000, 50)
    assert np.array_equal(part, arrays["wide"].reshape(-1)[1000:1050])
