"""Reading a safetensors header that may be anything."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from training.errors import TrainingError
from training.weights import header as header_module
from training.weights.header import DTYPE_BYTES, read_header
from training.weights.tensors import NUMPY_TYPES


def entry(begin: int, end: int, dtype: str = "F32", shape: list[Any] | None = None) -> dict:
    count = (end - begin) // 4
    return {
        "dtype": dtype,
        "shape": [count] if shape is None else shape,
        "data_offsets": [begin, end],
    }


def build(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def refusal(tmp_path: Path, content: bytes) -> TrainingError:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        read_header(path)
    return caught.value


def test_it_agrees_with_the_library(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b.c": np.ones((4,), np.float16),
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((0, 5), np.float32),
        "flag": np.array([True]),
    }
    path = tmp_path / "model.safetensors"
    path.write_bytes(save(arrays, {"format": "pt"}))

    header = read_header(path)

    assert header.metadata == {"format": "pt"}
    assert set(header.tensors) == set(arrays)
    whole = path.read_bytes()
    for name, array in arrays.items():
        info = header.tensors[name]
        assert (info.shape, info.nbytes, info.size) == (array.shape, array.nbytes, array.size)
        assert NUMPY_TYPES[info.dtype] == array.dtype
        assert whole[info.offset : info.offset + info.nbytes] == array.tobytes()


def test_every_type_has_its_size_in_both_tables() -> None:
    assert {name: dtype.itemsize for name, dtype in NUMPY_TYPES.items()} == DTYPE_BYTES


def torch_zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    return target.getvalue()


def plain_zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("config.json", "{}")
    return target.getvalue()


@pytest.mark.parametrize(
    ("code", "content"),
    [
        ("weights_pickle", pickle.dumps({"a": 1}, 2)),
        ("weights_pickle", pickle.dumps({"a": 1}, 5)),
        ("weights_pickle", pickle.dumps({"a": 1}, 0)),
        ("weights_pickle", torch_zip()),
        ("weights_zip", plain_zip()),
        ("weights_hdf5", b"\x89HDF\r\n\x1a\n" + bytes(100)),
        ("weights_lfs_pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        ("weights_empty", b""),
        ("weights_not_safetensors", b"abc"),
        ("weights_not_safetensors", bytes(64)),
        ("weights_not_safetensors", b"<!doctype html><html>not found</html>"),
    ],
)
def test_what_is_not_safetensors_is_named_by_its_content(
    tmp_path: Path, code: str, content: bytes
) -> None:
    error = refusal(tmp_path, content)
    assert error.code == code
    assert "model.safetensors" in str(error)


@pytest.mark.parametrize(
    ("code", "content"),
    [
        ("weights_truncated", build({"a": entry(0, 8)}, bytes(7))),
        ("weights_truncated", build({"a": entry(0, 8)})[:-5]),
        ("weights_trailing", build({"a": entry(0, 8)}, bytes(9))),
        ("weights_overlap", build({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12))),
        ("weights_overlap", build({"a": entry(0, 8), "b": entry(0, 8)}, bytes(8))),
        ("weights_gap", build({"a": entry(0, 8), "b": entry(12, 16)}, bytes(16))),
        ("weights_gap", build({"a": entry(4, 8)}, bytes(8))),
        ("weights_size_wrong", build({"a": entry(0, 8, shape=[3])}, bytes(8))),
        ("weights_size_wrong", build({"a": entry(8, 0, shape=[2])}, bytes(8))),
        ("weights_size_wrong", build({"a": entry(0, 8, shape=[10**30])}, bytes(8))),
        ("weights_dtype", build({"a": entry(0, 8, dtype="F8_E4M3")}, bytes(8))),
        ("weights_dtype", build({"a": entry(0, 8) | {"dtype": ["F32"]}}, bytes(8))),
        ("weights_name_twice", build(b'{"a":1,"a":2}')),
        ("weights_header_invalid", build(b"{not json}")),
        ("weights_header_invalid", build(b"{" + b"[" * 100_000)),
        ("weights_header_invalid", build(b'{"a":{"x":' + b"9" * 5000 + b"}}")),
        ("weights_header_invalid", build(b'{"\xff": 1}')),
        ("weights_header_invalid", build({"a": [1]})),
        ("weights_header_invalid", build({"a": {"dtype": "F32", "shape": [1]}})),
        ("weights_header_invalid", build({"a": entry(0, 8) | {"more": 1}}, bytes(8))),
        ("weights_header_invalid", build({"a": entry(0, 8, shape=[-2])}, bytes(8))),
        ("weights_header_invalid", build({"a": entry(0, 8, shape=[True])}, bytes(8))),
        ("weights_header_invalid", build({"a": entry(0, 8, shape=[1] * 17)}, bytes(8))),
        ("weights_header_invalid", build({"a": entry(0, 8) | {"data_offsets": [0]}}, bytes(8))),
        ("weights_header_invalid", build({"__metadata__": {"a": 1}})),
        ("weights_header_invalid", build({"__metadata__": []})),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, code: str, content: bytes) -> None:
    assert refusal(tmp_path, content).code == code


def test_a_huge_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 87_000_000) + b"{")
        file.truncate(90_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(TrainingError) as caught:
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.code == "weights_header_too_large"


def test_a_name_that_comes_twice_is_found_in_time_among_many(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(60_000)] + ["n59999"]
    content = build(("{" + ",".join(f'"{name}":1' for name in names) + "}").encode())
    start = time.process_time()
    assert refusal(tmp_path, content).params["name"] == "n59999"
    assert time.process_time() - start < 10


def test_a_long_name_is_shortened_in_the_sentence(tmp_path: Path) -> None:
    error = refusal(tmp_path, build({"a" * 5000: entry(0, 8, dtype="X")}, bytes(8)))
    assert len(str(error)) < 400


@given(content=st.binary(max_size=300), json_header=st.booleans())
def test_no_bytes_make_it_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, json_header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes(build(b"{" + content) if json_header else content)
    with suppress(TrainingError):
        read_header(path)


def test_the_web_process_can_read_headers_and_plans_without_numpy() -> None:
    code = (
        "import sys, training.weights.plan, training.weights.card, training.weights.inspect;"
        "sys.exit(bool({'numpy', 'tensorflow', 'ml_dtypes'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0
    assert header_module.MAX_HEADER_BYTES <= 25_000_000
