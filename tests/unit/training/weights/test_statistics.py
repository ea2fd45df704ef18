"""Norm, zeros, range and histogram of tensors, against NumPy on whole arrays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from training.command_specs import StatisticsSpec
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.weights import statistics
from training.weights.header import read_header
from training.weights.statistics import BINS, Statistics, summarise, tensor_statistics
from training.weights.tensors import write_tensors

random = np.random.default_rng(5)


def of(array: np.ndarray, folder: Path) -> Statistics:
    path = folder / "model.safetensors"
    write_tensors(path, {"w": array})
    return tensor_statistics(read_header(path).tensors["w"])


@pytest.mark.parametrize(
    "dtype",
    ["float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "int8", "uint8", "bool"],
    ids=str,
)
def test_every_type_gives_what_numpy_gives(
    dtype: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pieces that do not divide the tensor, so that none may be lost or seen twice.
    monkeypatch.setattr(statistics, "MAPPED", 400)
    monkeypatch.setattr(statistics, "CHUNK", 70)
    array = np.abs(random.standard_normal((7, 301)) * 9).astype(dtype)
    array[0, :50] = 0
    found = of(array, tmp_path)
    values = array.astype(np.float64).ravel()
    assert (found.count, found.nan, found.infinite) == (values.size, 0, 0)
    assert found.zeros == (values == 0).sum()
    assert found.norm == pytest.approx(np.linalg.norm(values), rel=1e-12)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    counts, _edges = np.histogram(values, BINS)
    assert sum(found.histogram) == values.size
    # A value on a border may fall to either side of it.
    assert np.abs(np.cumsum(found.histogram) - np.cumsum(counts)).max() <= 2 + _on_borders(values)


def _on_borders(values: np.ndarray) -> int:
    """How many values share the border that has most of them."""
    places = (values - values.min()) / (np.ptp(values) or 1) * BINS
    near = values[np.abs(places - places.round()) < 1e-9]
    return int(np.unique(near, return_counts=True)[1].max())


def test_what_is_no_finite_number_is_counted_and_left_out(tmp_path: Path) -> None:
    array = np.array([[np.nan, 1, -3], [np.inf, 0, -np.inf]], np.float32)
    found = of(array, tmp_path)
    assert (found.count, found.nan, found.infinite, found.zeros) == (6, 1, 2, 1)
    assert (found.minimum, found.maximum) == (-3, 1)
    assert found.norm == pytest.approx(10**0.5)
    assert found.mean == pytest.approx(-2 / 3)
    assert sum(found.histogram) == 3
    assert (found.histogram[0], found.histogram[-1]) == (1, 1)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((0, 4), np.float32), Statistics(0)),
        (np.full(3, np.nan, np.float16), Statistics(3, nan=3)),
        (np.full((), 2.0), Statistics(1, 0, 0, 0, 2.0, 2.0, 2.0, 2.0, (1, *(0,) * (BINS - 1)))),
        (
            np.full(4, -0.0, np.float32),
            Statistics(4, 0, 0, 4, 0.0, 0.0, 0.0, 0.0, (4, *(0,) * (BINS - 1))),
        ),
    ],
    ids=["empty", "nothing finite", "scalar", "negative zeros"],
)
def test_tensors_of_hardly_any_values(
    array: np.ndarray, expected: Statistics, tmp_path: Path
) -> None:
    assert of(array, tmp_path) == expected


def test_values_at_the_ends_of_float64_do_not_break_it(tmp_path: Path) -> None:
    most = np.finfo(np.float64).max
    found = of(np.array([-most, most, most]), tmp_path)
    assert found.norm is None  # larger than any float64
    assert (found.minimum, found.maximum) == (-most, most)
    assert (found.histogram[0], found.histogram[-1]) == (1, 2)
    tiny = of(np.array([0.0, 5e-324]), tmp_path)
    assert tiny.histogram[0] == 2


def test_the_whole_has_the_norm_of_all_values() -> None:
    parts = {"a": Statistics(2, zeros=1, norm=3.0), "b": Statistics(3, nan=1, norm=4.0)}
    assert summarise(parts) == {"count": 5, "zeros": 1, "nan": 1, "infinite": 0, "norm": 5.0}
    assert summarise(parts | {"c": Statistics(1, norm=None)})["norm"] is None


def run(path: Path, out: Path) -> list[dict[str, Any]]:
    out.mkdir(exist_ok=True)
    log = EventLog(out / "events.jsonl")
    try:
        statistics.run(StatisticsSpec(checkpoint=str(path)), out, log)
    finally:
        log.close()
    return read_events(out / "events.jsonl")[0]


def test_the_command_writes_every_tensor_and_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "TELL_S", -1)
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    tensors = {"b": np.ones((2, 3), np.float32), "a": np.zeros(6, np.float32)}
    write_tensors(folder / "model.safetensors", tensors)
    events = run(folder, tmp_path / "out")
    assert [event["fraction"] for event in events] == [0.0, 0.5]
    found = json.loads((tmp_path / "out/statistics.json").read_text())
    assert found["version"] == 1
    assert set(found["tensors"]) == {"a", "b"}
    assert found["tensors"]["b"]["norm"] == pytest.approx(6**0.5)
    assert found["summary"]["zeros"] == 6
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["tensors"] == 2
    # One file does as well as a folder.
    run(folder / "model.safetensors", tmp_path / "again")
    assert json.loads((tmp_path / "again/statistics.json").read_text()) == found


def test_a_folder_without_weights_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as refused:
        run(tmp_path, tmp_path / "out")
    assert refused.value.code == "checkpoint_missing"
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(TrainingError) as refused:
        run(tmp_path, tmp_path / "out")
    assert refused.value.code == "weights_not_safetensors"


def test_memory_does_not_grow_with_the_tensor(tmp_path: Path) -> None:
    """One tensor of 240 MB, of which the disk holds nothing: it is all zeros."""
    path, values = tmp_path / "model.safetensors", 30_000_000
    header = json.dumps(
        {"w": {"dtype": "F64", "shape": [values], "data_offsets": [0, 8 * values]}}
    ).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 8 * values)
    code = (
        "import json, re\nfrom pathlib import Path\n"
        "from training.weights.header import read_header\n"
        "from training.weights.statistics import tensor_statistics\n"
        f"found = tensor_statistics(read_header(Path({str(path)!r})).tensors['w'])\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"
        "print(json.dumps([found.count, found.zeros, int(peak)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, zeros, peak_kib = json.loads(done.stdout)
    assert (count, zeros) == (values, values)
    assert 10 * 1024 < peak_kib < 200 * 1024
