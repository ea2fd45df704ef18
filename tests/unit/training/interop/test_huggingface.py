"""Foreign folders: what is taken, and what is refused with which sentence."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.parity.fixtures import REFERENCE
from tests.parity.text import FOLDERS
from training.command_specs import ImportSpec
from training.errors import TrainingError
from training.events import EventLog
from training.interop import importing
from training.interop.forms import form_of
from training.interop.forms.form import read_config_json

THEIRS = REFERENCE / "theirs"


#: A folder of each architecture.
ONE_OF_EACH = {"gpt2": THEIRS / "default"} | {path.name: path for path in FOLDERS.iterdir()}


def copy_of(name: str | Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(THEIRS / name, tmp_path / "folder"))


def run(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    importing.run(ImportSpec(kind="folder", path=str(folder)), out, EventLog(out / "events.jsonl"))


def refused(folder: Path, tmp_path: Path) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        run(folder, tmp_path)
    assert caught.value.field == "path"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["events.jsonl"]
    return caught.value


def edit_weights(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_files_that_are_not_needed_are_left_alone(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    (folder / "README.md").write_text("# model")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02 never opened")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"x")
    run(folder, tmp_path)
    assert (tmp_path / "out" / "checkpoint" / "card.json").exists()


def test_a_model_one_folder_further_in_is_found(tmp_path: Path) -> None:
    shutil.copytree(THEIRS / "default", tmp_path / "upload" / "models" / "tiny")
    run(tmp_path / "upload", tmp_path)
    assert (tmp_path / "out" / "checkpoint" / "card.json").exists()


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert refused(tmp_path / "folder", tmp_path).code == "folder_no_config"


@pytest.mark.parametrize("name", ["modeling_tiny.py", "sub/setup.py", "native.so", "run.SH"])
def test_code_in_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = copy_of("default", tmp_path)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("raise SystemExit")
    error = refused(folder, tmp_path)
    assert (error.code, error.params) == ("folder_code", {"file": name})


def test_auto_map_is_refused(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    edit_config(folder, auto_map={"AutoModelForCausalLM": "modeling.Model"})
    assert refused(folder, tmp_path).code == "config_code"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "notes.txt"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = copy_of("default", tmp_path)
    (tmp_path / "outside").write_text("secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "outside")
    error = refused(folder, tmp_path)
    assert (error.code, error.params) == ("folder_link", {"file": name})


def test_only_a_pickle_says_how_to_convert(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    error = refused(folder, tmp_path)
    assert error.code == "folder_only_pickles"
    assert "safe_serialization=True" in str(error)


@pytest.mark.parametrize("name", ["model.weights.h5", "tf_model.h5"])
def test_hdf5_beside_a_config_is_not_called_code(tmp_path: Path, name: str) -> None:
    """A preset folder of KerasHub's, or TensorFlow's weights."""
    folder = copy_of("default", tmp_path)
    (folder / "model.safetensors").rename(folder / name)
    error = refused(folder, tmp_path)
    assert (error.code, error.params["file"]) == ("folder_only_hdf5", name)
    assert "run code" not in str(error)


def test_no_folder_named_is_not_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_of("default", tmp_path))
    log = EventLog(tmp_path / "events.jsonl")
    with pytest.raises(TrainingError) as caught:
        importing.run(ImportSpec(kind="folder"), tmp_path, log)
    log.close()
    assert (caught.value.code, caught.value.field) == ("folder_missing", "path")


def test_a_pickle_renamed_to_safetensors_is_found_by_its_content(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    (folder / "model.safetensors").write_bytes(pickle.dumps({"a": 1}))
    assert refused(folder, tmp_path).code == "weights_pickle"


def test_a_configuration_alone_is_not_a_model(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    (folder / "model.safetensors").unlink()
    assert refused(folder, tmp_path).code == "folder_no_weights"


def test_no_configuration(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    (folder / "config.json").unlink()
    assert refused(folder, tmp_path).code == "folder_no_config"


def test_no_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "nothing", tmp_path).code == "folder_missing"


def test_no_tokenizer(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    (folder / "tokenizer.json").unlink()
    assert refused(folder, tmp_path).code == "tokenizer_missing"


def test_missing_tensors_are_counted_and_named(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)

    def change(tensors: dict[str, np.ndarray]) -> None:
        for name in [name for name in tensors if ".h.1." in name]:
            del tensors[name]

    edit_weights(folder, change)
    error = refused(folder, tmp_path)
    assert (error.code, error.params["count"]) == ("tensors_missing", 12)
    assert "transformer.h.1.ln_1.weight" in str(error)
    assert "…" in str(error)


def test_extra_tensors_are_counted_and_named(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    edit_weights(folder, lambda tensors: tensors.update({"score.weight": np.ones((2, 3), "f4")}))
    error = refused(folder, tmp_path)
    assert (error.code, error.params["count"]) == ("tensors_extra", 1)
    assert "score.weight" in str(error)


def test_a_config_with_fewer_layers_than_the_weights_is_refused(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    edit_config(folder, n_layer=1)
    assert refused(folder, tmp_path).code == "tensors_extra"


def test_another_shape_is_named(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    edit_config(folder, n_positions=32)
    error = refused(folder, tmp_path)
    assert (error.code, error.params["name"]) == ("tensor_shape", "transformer.wpe.weight")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["default", "bfloat16"])
def test_values_that_are_not_finite_are_named(tmp_path: Path, value: float, name: str) -> None:
    folder = copy_of(name, tmp_path)

    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["transformer.h.0.mlp.c_fc.bias"][-1] = value

    edit_weights(folder, change)
    error = refused(folder, tmp_path)
    assert error.code == "tensor_not_finite"
    assert error.params["name"] == "transformer.h.0.mlp.c_fc.bias"


def test_a_type_that_is_no_weight_s_is_named(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)

    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["transformer.wte.weight"] = tensors["transformer.wte.weight"].astype(np.float64)

    edit_weights(folder, change)
    assert refused(folder, tmp_path).code == "tensor_type"


def test_a_head_that_is_another_than_the_embedding_is_refused_when_tied(tmp_path: Path) -> None:
    folder = copy_of("old", tmp_path)
    edit_weights(folder, lambda tensors: tensors["lm_head.weight"].__setitem__((0, 0), 9))
    assert refused(folder, tmp_path).code == "head_not_tied"


def test_an_untied_head_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    edit_config(folder, tie_word_embeddings=False)
    error = refused(folder, tmp_path)
    assert error.params == {"count": 1, "names": "lm_head.weight"}


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_every_architecture_refuses_missing_extra_and_infinite_tensors(
    tmp_path: Path, name: str
) -> None:
    stored = load_file(ONE_OF_EACH[name] / "model.safetensors")
    first = next(tensor for tensor in stored if ".0." in tensor)

    def take_away(tensors: dict[str, np.ndarray]) -> None:
        del tensors[first]

    def add(tensors: dict[str, np.ndarray]) -> None:
        tensors["another.weight"] = np.ones((2, 3), "f4")

    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors[first].reshape(-1)[-1] = np.nan

    for number, (change, code) in enumerate(
        ((take_away, "tensors_missing"), (add, "tensors_extra"), (spoil, "tensor_not_finite"))
    ):
        (tmp_path / str(number)).mkdir()
        folder = copy_of(ONE_OF_EACH[name], tmp_path / str(number))
        edit_weights(folder, change)
        assert refused(folder, tmp_path / str(number)).code == code


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_every_architecture_refuses_a_key_that_it_does_not_know(tmp_path: Path, name: str) -> None:
    folder = copy_of(ONE_OF_EACH[name], tmp_path)
    edit_config(folder, residual_scale=2.0)
    assert refused(folder, tmp_path).params == {"name": "residual_scale"}


@pytest.mark.parametrize("name", ["bert-published", "roberta-published", "opt"])
def test_every_tied_tensor_must_have_the_values_of_the_other(tmp_path: Path, name: str) -> None:
    source = ONE_OF_EACH[name]
    tied = form_of(read_config_json(source / "config.json")).config.TIED
    stored = load_file(source / "model.safetensors")
    for number, (head, same) in enumerate(tied.items()):
        for scale, code in ((1, None), (2, "head_not_tied")):
            place = tmp_path / f"{number}-{scale}"
            place.mkdir()
            folder = copy_of(source, place)
            edit_weights(
                folder, lambda found, h=head, s=same, k=scale: found.update({h: k * stored[s]})
            )
            if code is None:
                run(folder, place)
            else:
                assert refused(folder, place).code == code


def test_two_tensors_for_one_place_are_refused_and_both_named(tmp_path: Path) -> None:
    """Which of them won was decided by their order in the file."""
    folder = copy_of(ONE_OF_EACH["bert-published"], tmp_path)
    stored = load_file(folder / "model.safetensors")
    old = next(name for name in stored if name.endswith("LayerNorm.gamma"))
    new = old.replace("gamma", "weight")
    edit_weights(folder, lambda found: found.update({new: 2 * stored[old]}))
    error = refused(folder, tmp_path)
    assert error.code == "tensor_two_names"
    assert set(error.params.values()) == {old, new}


def test_a_tied_tensor_of_a_head_that_is_not_there_is_extra(tmp_path: Path) -> None:
    folder = copy_of(ONE_OF_EACH["bert-sentence"], tmp_path)
    name = "cls.predictions.decoder.bias"
    edit_weights(folder, lambda found: found.update({name: np.zeros(180, "f4")}))
    assert refused(folder, tmp_path).code == "tensors_extra"


def test_a_bert_without_a_tokenizer_is_told_what_it_needs(tmp_path: Path) -> None:
    folder = copy_of(ONE_OF_EACH["bert-sentence"], tmp_path)
    (folder / "vocab.txt").unlink()
    error = refused(folder, tmp_path)
    assert error.code == "tokenizer_missing_vocabulary"
    assert "vocab.txt" in str(error)


def test_a_vocabulary_with_fewer_rows_than_tokens_is_refused(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    edit_config(folder, vocab_size=260)
    edit_weights(
        folder,
        lambda tensors: tensors.update(
            {"transformer.wte.weight": tensors["transformer.wte.weight"][:260].copy()}
        ),
    )
    assert refused(folder, tmp_path).code == "vocabulary_too_small"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "index_invalid"),
        ("[]", "index_invalid"),
        ('{"weight_map": {"a": 3}}', "index_invalid"),
        ('{"weight_map": {"a": "../../etc/passwd"}}', "index_invalid"),
        ('{"weight_map": {"a": "model-00009-of-00009.safetensors"}}', "shard_missing"),
    ],
)
def test_an_index_that_leads_nowhere_is_refused(tmp_path: Path, content: str, code: str) -> None:
    folder = copy_of("sharded", tmp_path)
    (folder / "model.safetensors.index.json").write_text(content)
    assert refused(folder, tmp_path).code == code


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    folder = copy_of("sharded", tmp_path)
    first, second = sorted(folder.glob("model-*.safetensors"))[:2]
    doubled = load_file(second) | dict([next(iter(load_file(first).items()))])
    save_file(doubled, second)
    assert refused(folder, tmp_path).code == "tensor_twice"


def test_a_tensor_that_the_index_promises_and_no_shard_has(tmp_path: Path) -> None:
    folder = copy_of("sharded", tmp_path)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["promised.weight"] = next(iter(index["weight_map"].values()))
    path.write_text(json.dumps(index))
    error = refused(folder, tmp_path)
    assert error.params == {"count": 1, "names": "promised.weight"}


def test_dropout_survives_for_those_who_fine_tune_elsewhere(tmp_path: Path) -> None:
    folder = copy_of("default", tmp_path)
    edit_config(folder, attn_pdrop=0.25)
    run(folder, tmp_path)
    config = json.loads((tmp_path / "out" / "checkpoint" / "config.json").read_text())
    assert (config["attn_pdrop"], config["resid_pdrop"]) == (0.25, 0.1)
