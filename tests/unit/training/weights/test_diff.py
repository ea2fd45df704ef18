"""What two checkpoints differ in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.small import TOKENIZER
from training.__main__ import main
from training.backbones.gpt2.config import GPT2Config
from training.data.tokenizer import Tokenizer
from training.errors import EXIT_DIFFERENT, EXIT_DONE, EXIT_REFUSED
from training.weights import tensors as module
from training.weights.checkpoint import write_checkpoint
from training.weights.diff import as_text, diff
from training.weights.initial import initial_tensors

CONFIG = GPT2Config(vocab_size=272, n_positions=16, n_embd=16, n_layer=2, n_head=2)
NAME = "transformer.h.1.mlp.c_fc.weight"


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE", 1000)


def write(
    folder: Path,
    config: GPT2Config = CONFIG,
    change: dict[str, np.ndarray] | None = None,
    tokenizer: Tokenizer = TOKENIZER,
    dtype: Any = np.float32,
) -> Path:
    arrays = {n: a.astype(dtype) for n, a in initial_tensors(config.tensors(), 0).items()}
    write_checkpoint(folder, config, arrays | (change or {}), tokenizer, {})
    return folder


def test_a_checkpoint_equals_itself_and_its_copy(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a"), write(tmp_path / "b")
    found = diff(one, two)
    assert found["equal"]
    assert found["same"] == len(CONFIG.tensors())
    assert found["different"] == found["only_a"] == found["only_b"] == found["config"] == []


def test_distances_are_those_of_the_whole_vectors(tmp_path: Path) -> None:
    one = write(tmp_path / "a")
    a = initial_tensors(CONFIG.tensors(), 0)[NAME]
    b = a + np.random.default_rng(1).normal(size=a.shape).astype(np.float32)
    bias = "transformer.h.1.mlp.c_fc.bias"
    two = write(tmp_path / "b", change={NAME: b, bias: np.ones(64, np.float32)})

    found = diff(one, two)
    by_name = {item["name"]: item for item in found["different"]}
    assert set(by_name) == {NAME, bias}
    x, y = a.ravel().astype(float), b.ravel().astype(float)
    assert by_name[NAME]["relative_l2"] == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x))
    assert by_name[NAME]["cosine"] == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert by_name[NAME]["max_abs"] == pytest.approx(np.abs(y - x).max())
    assert by_name[NAME]["block"] == "layer.1"
    # A bias of zeros has no direction, and no length to compare with.
    assert (by_name[bias]["relative_l2"], by_name[bias]["cosine"]) == (None, None)
    assert by_name[bias]["max_abs"] == 1

    x, y = np.concatenate([x, np.zeros(64)]), np.concatenate([y, np.ones(64)])
    layer = next(item for item in found["blocks"] if item["block"] == "layer.1")
    assert (layer["different"], layer["same"]) == (2, 10)
    for sums in (layer, found):
        assert sums["relative_l2"] == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x))
        assert sums["cosine"] == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert [item["block"] for item in found["blocks"]] == [
        "embeddings",
        "layer.0",
        "layer.1",
        "final_norm",
    ]


def test_settings_tokenizers_and_tensors_of_one_side_are_named(tmp_path: Path) -> None:
    other = CONFIG.model_copy(update={"n_layer": 3, "n_positions": 24})
    tokenizer = Tokenizer.train(["colourless green ideas sleep"] * 3, 270)
    found = diff(write(tmp_path / "a"), write(tmp_path / "b", other, tokenizer=tokenizer))
    assert {"name": "n_layer", "a": 2, "b": 3} in found["config"]
    assert "tokenizer.json" in found["files"]
    assert found["only_a"] == []
    assert len(found["only_b"]) == 12
    position = next(i for i in found["different"] if i["name"] == "transformer.wpe.weight")
    assert position["shape"] == [[16, 16], [24, 16]]
    assert position["relative_l2"] is None


def test_another_type_is_another_tensor_at_almost_no_distance(tmp_path: Path) -> None:
    found = diff(write(tmp_path / "a"), write(tmp_path / "b", dtype=np.float16))
    assert found["same"] == 0
    assert 0 < found["relative_l2"] < 1e-3
    assert found["different"][0]["dtype"] == ["F32", "F16"]


def test_files_without_cards_are_compared_by_their_bytes(tmp_path: Path) -> None:
    one = write(tmp_path / "a") / "model.safetensors"
    changed = initial_tensors(CONFIG.tensors(), 0)[NAME].copy()
    changed[0, 0] = -changed[0, 0]
    two = write(tmp_path / "b", change={NAME: changed}) / "model.safetensors"
    assert diff(one, one)["equal"]
    found = diff(one, two)
    assert [item["name"] for item in found["different"]] == [NAME]
    assert found["config"] == []


def test_a_value_that_is_no_number_gives_no_numbers(tmp_path: Path) -> None:
    bad = np.full((16, 64), np.nan, np.float32)
    found = diff(write(tmp_path / "a"), write(tmp_path / "b", change={NAME: bad}))
    (item,) = found["different"]
    assert (item["relative_l2"], item["cosine"], item["max_abs"]) == (None, None, None)
    json.dumps(found, allow_nan=False)


def test_the_command_says_it_in_json_and_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "a")
    two = write(tmp_path / "b", change={NAME: np.ones((16, 64), np.float32)})
    assert main(["diff", str(one), str(one)]) == EXIT_DONE
    assert json.loads(capsys.readouterr().out)["equal"] is True
    assert main(["diff", str(one), str(two)]) == EXIT_DIFFERENT
    assert json.loads(capsys.readouterr().out)["equal"] is False
    assert main(["diff", str(one), str(tmp_path / "none")]) == EXIT_REFUSED
    assert "missing" in capsys.readouterr().err


def test_the_table_has_a_row_a_block_and_a_tensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "a")
    two = write(
        tmp_path / "b",
        CONFIG.model_copy(update={"n_head": 4}),
        change={NAME: np.ones((16, 64), np.float32)},
    )
    assert main(["diff", str(one), str(two), "--text"]) == EXIT_DIFFERENT
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "n_head: 2 and 4"
    assert any(line.startswith("layer.1 ") for line in lines)
    assert any(line.startswith(NAME) for line in lines)
    assert as_text(diff(one, one)) == "Equal: 28 tensors, the same settings."
