"""Checkpoints: written whole or not at all, read without trust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.small import TOKENIZER
from training import faults
from training.backbones.gpt2.config import GPT2Config
from training.durable import sweep
from training.errors import TrainingError
from training.hashing import content_hash
from training.weights.card import weights_sha256
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.initial import initial_tensors
from training.weights.inspect import inspect

CONFIG = GPT2Config(vocab_size=272, n_positions=16, n_embd=16, n_layer=2, n_head=2)
POINTS = ["tensor", "tokenizer", "write", "card", "sync"]


def write(folder: Path, seed: int = 0, **options: Any) -> dict:
    tensors = initial_tensors(CONFIG.tensors(), seed)
    return write_checkpoint(folder, CONFIG, tensors, TOKENIZER, {"method": "test"}, **options)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    card = write(tmp_path / "c")
    checkpoint = read_checkpoint(tmp_path / "c", verify=True)

    assert checkpoint.config == CONFIG
    assert checkpoint.card == card
    tensors = initial_tensors(CONFIG.tensors(), 0)
    assert set(checkpoint.tensors()) == set(tensors)
    for name, array in checkpoint.tensors().items():
        assert np.array_equal(array, tensors[name])
        assert not array.flags.writeable


def test_the_safetensors_library_reads_the_same(tmp_path: Path) -> None:
    write(tmp_path / "c")
    library = load_file(tmp_path / "c" / "model.safetensors")
    ours = read_checkpoint(tmp_path / "c").tensors()
    assert set(library) == set(ours)
    assert all(np.array_equal(library[name], ours[name]) for name in ours)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_smaller_types_keep_their_bits(tmp_path: Path, dtype: type) -> None:
    tensors = {k: v.astype(dtype) for k, v in initial_tensors(CONFIG.tensors(), 0).items()}
    write_checkpoint(tmp_path / "c", CONFIG, tensors, TOKENIZER, {})
    read = read_checkpoint(tmp_path / "c").tensors()
    assert all(read[name].dtype == dtype for name in tensors)
    assert all(read[name].tobytes() == tensors[name].tobytes() for name in tensors)


def test_the_card_describes_every_file_and_tensor(tmp_path: Path) -> None:
    def extra(folder: Path) -> None:
        (folder / "adapter").mkdir()
        (folder / "adapter" / "note.json").write_text("{}")

    card = write(tmp_path / "c", extras=extra)
    found = {
        p.relative_to(tmp_path / "c").as_posix() for p in (tmp_path / "c").rglob("*") if p.is_file()
    }
    assert set(card["files"]) == found - {"card.json", "model.safetensors"}
    assert "adapter/note.json" in card["files"]
    for name, entry in card["files"].items():
        data = (tmp_path / "c" / name).read_bytes()
        assert entry == {"blake3": content_hash(data), "size": len(data)}
    for tensor in card["tensors"]:
        array = initial_tensors(CONFIG.tensors(), 0)[tensor["name"]]
        assert tensor["blake3"] == content_hash(array.tobytes())
    assert card["parameters"] == CONFIG.parameter_count()


def test_the_configuration_is_hugging_face_s(tmp_path: Path) -> None:
    write(tmp_path / "c", dropout={"resid_pdrop": 0.1})
    config = json.loads((tmp_path / "c" / "config.json").read_text())
    assert config["model_type"] == "gpt2"
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert config["eos_token_id"] == config["bos_token_id"] == TOKENIZER.end_of_text
    assert (config["resid_pdrop"], config["attn_pdrop"]) == (0.1, 0.0)
    assert config["dtype"] == "float32"
    header = (tmp_path / "c" / "model.safetensors").read_bytes()[8:200]
    assert b'"__metadata__":{"format":"pt"}' in header


def test_the_identity_of_weights_depends_on_nothing_but_the_weights(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    names = list(initial_tensors(CONFIG.tensors(), 0))
    shuffled = dict(sorted(initial_tensors(CONFIG.tensors(), 0).items(), reverse=True))
    second = write_checkpoint(tmp_path / "b", CONFIG, shuffled, TOKENIZER, {"method": "other"})
    assert names != list(shuffled)
    assert first["weights_sha256"] == second["weights_sha256"]
    assert write(tmp_path / "c", seed=1)["weights_sha256"] != first["weights_sha256"]
    assert weights_sha256(reversed(first["tensors"])) == first["weights_sha256"]


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "type"])
def test_tensors_that_do_not_fit_the_configuration_are_not_written(
    tmp_path: Path, change: str
) -> None:
    tensors = initial_tensors(CONFIG.tensors(), 0)
    name = "transformer.ln_f.bias"
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors["lm_head.weight"] = tensors[name]
    else:
        tensors[name] = np.zeros(16, np.int32) if change == "type" else np.zeros(17, np.float32)
    with pytest.raises(TrainingError) as caught:
        write_checkpoint(tmp_path / "c", CONFIG, tensors, TOKENIZER, {})
    assert caught.value.code == "checkpoint_tensors"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("replacing", [False, True])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, replacing: bool
) -> None:
    if replacing:
        before = write(tmp_path / "c", seed=1)
    monkeypatch.setenv("GRAFT_FAULT", f"checkpoint.{point}:1:enospc")
    monkeypatch.setattr(faults, "_reached", {})
    with pytest.raises(TrainingError) as caught:
        write(tmp_path / "c")
    assert caught.value.code == "disk_full_writing"
    assert [path.name for path in tmp_path.iterdir()] == (["c"] if replacing else [])
    if replacing:
        assert read_checkpoint(tmp_path / "c", verify=True).card == before


@pytest.mark.parametrize("point", [*POINTS, "rename"])
def test_a_killed_writer_leaves_nothing_that_looks_like_a_checkpoint(
    tmp_path: Path, point: str
) -> None:
    code = f"""
from pathlib import Path
from tests.unit.training.weights.test_checkpoint import write
write(Path({str(tmp_path / "c")!r}))
"""
    environment = os.environ | {"GRAFT_FAULT": f"checkpoint.{point}:1", "PYTHONPATH": os.getcwd()}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "c").exists() == (point == "rename")
    if point == "rename":
        read_checkpoint(tmp_path / "c", verify=True)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == (["c"] if point == "rename" else [])


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    write(tmp_path / "c")
    path = tmp_path / "c" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    read_checkpoint(tmp_path / "c")
    with pytest.raises(TrainingError) as caught:
        read_checkpoint(tmp_path / "c", verify=True)
    assert (caught.value.code, caught.value.params) == (
        "checkpoint_corrupt",
        {"file": "model.safetensors"},
    )


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("card.json", None, "checkpoint_missing"),
        ("card.json", "{", "checkpoint_invalid"),
        ("card.json", "[]", "checkpoint_invalid"),
        ("card.json", '{"version": 1, "files": {}}', "checkpoint_version"),
        ("config.json", None, "checkpoint_missing"),
        ("config.json", "{", "config_unreadable"),
        ("model.safetensors", None, "checkpoint_missing"),
        ("model.safetensors", "\x80\x02.", "weights_not_safetensors"),
    ],
)
def test_a_folder_that_is_none_is_refused(
    tmp_path: Path, name: str, content: str | None, code: str
) -> None:
    write(tmp_path / "c")
    path = tmp_path / "c" / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(TrainingError) as caught:
        read_checkpoint(tmp_path / "c")
    assert caught.value.code == code


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "c")
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "c" / "model.safetensors")
    with pytest.raises(TrainingError) as caught:
        read_checkpoint(tmp_path / "c")
    assert caught.value.code == "checkpoint_tensors"
    assert "transformer.wte.weight is missing" in str(caught.value)


def test_inspect_lists_layers_shapes_and_sizes(tmp_path: Path) -> None:
    card = write(tmp_path / "c")
    found = inspect(tmp_path / "c")
    assert found["parameters"] == CONFIG.parameter_count() == found["bytes"] // 4
    assert [block["block"] for block in found["blocks"]] == [
        "embeddings",
        "layer.0",
        "layer.1",
        "final_norm",
    ]
    assert len(found["tensors"]) == len(CONFIG.tensors())
    assert found["config"]["n_embd"] == 16
    assert found["card"]["weights_sha256"] == card["weights_sha256"]
    assert "config" not in inspect(tmp_path / "c" / "model.safetensors")
    json.dumps(found)


@pytest.mark.parametrize("name", ["", "nothing", "nothing.safetensors"])
def test_inspecting_what_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError) as caught:
        inspect(tmp_path / name)
    assert caught.value.code == "checkpoint_missing"
