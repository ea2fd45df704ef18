"""Keras files of the text architectures beside GPT-2: what they compute, and that they train."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.parity.text import CASES
from tests.small import loud
from training.backbones.contract import BackboneConfig
from training.backbones.gpt2.config import GPT2Config
from training.errors import TrainingError
from training.events import EventLog
from training.interop import exporting
from training.interop.exports import EXPORTS
from training.interop.exports import keras as form
from training.interop.exports.network import Network
from training.interop.keras_config import read_config
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


def changed(name: str, **changes: Any) -> BackboneConfig:
    case = CASES[name]
    return type(case).model_validate(case.model_dump() | changes)


#: The same code as in a case that stays.
_AGAIN = (
    *("bert-relu", "bert-silu", "bert-tanh", "distilbert-relu"),
    *("roberta-epsilon", "roberta-no-pooler", "roberta-masked-lm", "distilbert-gelu-tanh"),
)
#: Those that PyTorch is compared on, which change a setting each, and some changes together.
CONFIGS = {name: case for name, case in CASES.items() if name not in _AGAIN} | {
    "bert-many-types": changed("bert-classification", type_vocab_size=5, num_hidden_layers=1),
    "distilbert-masked-lm-tanh": changed("distilbert-masked-lm", activation="tanh"),
    "roberta-classification-pooler": changed(
        "roberta-classification", pooler=True, hidden_act="silu", pad_token_id=0
    ),
    "opt-everything": changed(
        "opt-untied",
        word_embed_proj_dim=10,
        enable_bias=False,
        layer_norm_elementwise_affine=False,
        do_layer_norm_before=False,
        activation_function="gelu_new",
    ),
    "gpt3-unscaled": changed("gpt3-banded", scale_attn_weights=False, activation_function="silu"),
}


def exported(name: str, folder: Path, events: EventLog) -> tuple[Checkpoint, dict[str, Any]]:
    """A checkpoint of a configuration, its Keras file in ``folder/export``, and the proof."""
    config = CONFIGS[name]
    write_checkpoint(folder / "checkpoint", config, loud(config), None, {})
    checkpoint = read_checkpoint(folder / "checkpoint")
    exporting.check_possible(checkpoint, "keras")
    (folder / "export").mkdir()
    return checkpoint, exporting.write_proved(checkpoint, "keras", folder / "export", events)


def values_of(network: Network, shape: tuple[int, int], padding: int = 1) -> dict[str, np.ndarray]:
    """Values for every input: padding on either side, within a text, and a text of nothing else."""
    random = np.random.default_rng(7)
    values = {
        one.name: random.integers(0, one.below, shape).astype(np.int32) for one in network.inputs
    }
    if "attention_mask" in values and shape[0] > 3:
        mask = values["attention_mask"]
        mask[:4] = 1
        mask[0, :3] = 0
        mask[1, -2:] = 0
        mask[2] = 0
        values["tokens"] = np.where(mask, values["tokens"], padding).astype(np.int32)
    return values


@pytest.mark.parametrize("name", CONFIGS)
def test_the_file_computes_what_our_model_does(name: str, tmp_path: Path, events: EventLog) -> None:
    checkpoint, proof = exported(name, tmp_path, events)
    assert proof["largest_difference"] <= 1e-4 < proof["largest_output"] / 1000
    network = Network(checkpoint)
    named = [given["name"] for given in proof["inputs"]]
    model = keras.saving.load_model(tmp_path / "export" / form.FILE, safe_mode=True)
    assert [one.name for one in model.inputs] == named
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    for shape in ((1, 1), (5, 7), (4, 12)):
        values = values_of(network, shape, getattr(checkpoint.config, "pad_token_id", 1))
        given = values if len(named) > 1 else values["tokens"]
        expected = network.logits(values)
        found = np.asarray(model(given))
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-4


def test_a_model_of_each_text_architecture_is_among_them() -> None:
    architectures = {config.architecture for config in CONFIGS.values()}
    assert architectures == {"gpt3", "opt", "bert", "distilbert", "roberta"}
    assert architectures <= (EXPORTS["keras"].architectures or set())


def test_the_lines_on_the_page_open_it_where_there_is_no_code_of_ours(
    tmp_path: Path, events: EventLog
) -> None:
    checkpoint, proof = exported("bert-masked-lm", tmp_path, events)
    network = Network(checkpoint)
    values = values_of(network, (4, 9))
    np.savez(tmp_path / "values.npz", **values)
    script = (
        "import sys, numpy as np\n"
        f"globals().update(np.load({str(tmp_path / 'values.npz')!r}))\n"
        f"{proof['open']}\n"
        "assert 'training' not in sys.modules\n"
        f"np.save({str(tmp_path / 'logits.npy')!r}, np.asarray(logits))\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-c", script],
        cwd=tmp_path / "export",
        check=True,
        capture_output=True,
    )
    found = np.load(tmp_path / "logits.npy")
    assert np.abs(found - network.logits(values)).max() <= 1e-4


def test_keras_trains_every_weight_of_the_file(tmp_path: Path, events: EventLog) -> None:
    checkpoint, _proof = exported("bert-masked-lm", tmp_path, events)
    model = keras.saving.load_model(tmp_path / "export" / form.FILE, safe_mode=True)
    before = {weight.path: weight.numpy() for weight in model.weights}
    assert sum(value.size for value in before.values()) == checkpoint.config.parameter_count()
    model.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    values = values_of(Network(checkpoint), (4, 9))
    keras.utils.set_random_seed(0)  # asked for once another test made the ops deterministic
    model.fit(values, values["tokens"], verbose=0)
    after = {weight.path: weight.numpy() for weight in model.weights}
    # A key's bias shifts all of a query's scores alike, which softmax does not see.
    still = [path for path in before if np.array_equal(before[path], after[path])]
    assert [path for path in still if "attention_key/bias" not in path] == []


def test_a_band_is_not_read_back_as_gpt_2(tmp_path: Path, events: EventLog) -> None:
    found = {}
    for name in ("gpt3-banded", "gpt3-dense"):
        (tmp_path / name).mkdir()
        exported(name, tmp_path / name, events)
        with zipfile.ZipFile(tmp_path / name / "export" / form.FILE) as file:
            found[name] = json.loads(file.read("config.json"))
    with pytest.raises(TrainingError) as refused:
        read_config(found["gpt3-banded"])
    assert refused.value.code == "keras_class"
    # One that sees everything everywhere is a GPT-2.
    config, *_others = read_config(found["gpt3-dense"])
    assert type(config) is GPT2Config
