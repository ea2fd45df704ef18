"""BERT, DistilBERT, RoBERTa and OPT against PyTorch's outputs, kept as small files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.parity.fixtures import TEXTS, TOLERANCE, weights
from tests.parity.ours import import_folder, outputs_of, same_files
from tests.parity.text import CASES, FOLDERS, OUTPUTS, SPECIAL_TEXTS, tokenizers, write_case
from training.backbones.contract import BackboneConfig
from training.data.tokenizers import read_tokenizer
from training.interop.huggingface import export
from training.weights.checkpoint import read_checkpoint

MADE = json.loads((OUTPUTS / "cases.json").read_text())
THEIRS = sorted(path.name for path in FOLDERS.iterdir())
#: Texts of SPECIAL_TEXTS in which a special token is quoted.
QUOTING = len(TEXTS)

Arrays = dict[str, np.ndarray]


def difference(ours: Arrays, theirs: Arrays) -> float:
    assert ours.keys() == theirs.keys()
    return max(float(np.abs(ours[key] - theirs[key]).max()) for key in theirs)


@pytest.mark.parametrize("name", sorted(CASES))
def test_pytorch_gives_the_outputs_of_a_checkpoint_that_we_wrote(name: str, tmp_path: Path) -> None:
    """PyTorch opened a folder with these very weights and this configuration (see the hashes)."""
    card = write_case(name, tmp_path / "checkpoint")
    assert card["weights_sha256"] == MADE[name]["weights_sha256"]
    assert json.loads((tmp_path / "checkpoint/config.json").read_text()) == MADE[name]["config"]

    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert checkpoint.config == CASES[name]

    expected = load_file(OUTPUTS / f"{name}.safetensors")
    assert difference(outputs_of(checkpoint.config, checkpoint.tensors()), expected) <= TOLERANCE
    # Values this large make the tolerance strict.
    assert max(np.abs(value).max() for value in expected.values()) > 0.9


def _function(config: BackboneConfig) -> dict[str, object]:
    """For each field that leaves the shapes alone, another value."""
    heads = {"n_head", "n_heads", "num_attention_heads"} & set(type(config).model_fields)
    other: dict[str, object] = {
        "hidden_act": "gelu_new",
        "activation": "gelu_new",
        "activation_function": "gelu",
        "layer_norm_eps": 1e-3,
        "pad_token_id": 0,
        "layer_norm_epsilon": 1e-3,
        "scale_attn_weights": False,
        "scale_attn_by_inverse_layer_idx": True,
        "window": 4,
        "do_layer_norm_before": False,
    }
    return dict.fromkeys(heads, 2) | {name: other[name] for name in config.FUNCTION}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name in (
            "bert-pooler",
            "distilbert-plain",
            "roberta-padding",
            "opt-plain",
            "gpt3-banded",
        )
        for field in _function(CASES[name])
    ],
)
def test_the_comparison_sees_a_setting_that_is_not_honoured(name: str, field: str) -> None:
    config = CASES[name]
    ignoring = config.model_copy(update={field: _function(config)[field]})

    kept = {spec.name for spec in ignoring.tensors()}
    tensors = {n: array for n, array in weights(config, "float32").items() if n in kept}
    found = outputs_of(ignoring, tensors)

    assert difference(found, load_file(OUTPUTS / f"{name}.safetensors")) > 5 * TOLERANCE


@pytest.mark.parametrize("name", THEIRS)
def test_a_folder_from_pytorch_gives_its_outputs(name: str, tmp_path: Path) -> None:
    checkpoint = import_folder(FOLDERS / name, tmp_path / "out")

    expected = load_file(FOLDERS / name / "expected.safetensors")
    found = outputs_of(checkpoint.config, checkpoint.tensors())

    assert difference(found, expected) <= TOLERANCE


@pytest.mark.parametrize("name", THEIRS)
def test_import_export_import_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = import_folder(FOLDERS / name, tmp_path / "first")
    export(first, tmp_path / "exported")
    second = import_folder(tmp_path / "exported", tmp_path / "second")

    assert second.config == first.config
    assert second.weights_sha256 == first.weights_sha256
    assert same_files(first, second)


@pytest.mark.parametrize("name", THEIRS)
def test_an_import_has_the_bytes_of_the_foreign_folder(name: str, tmp_path: Path) -> None:
    ours = import_folder(FOLDERS / name, tmp_path / "out").tensors()

    theirs = {}
    for key, value in load_file(FOLDERS / name / "model.safetensors").items():
        renamed = key.replace("LayerNorm.gamma", "LayerNorm.weight")
        theirs[renamed.replace("LayerNorm.beta", "LayerNorm.bias")] = value
    for key, array in ours.items():
        foreign = theirs[key] if key in theirs else theirs[key.split(".", 1)[1]]
        assert array.tobytes() == foreign.tobytes()


def test_what_a_class_and_the_tensors_decide(tmp_path: Path) -> None:
    heads = {}
    for name in THEIRS:
        config = import_folder(FOLDERS / name, tmp_path / name).config
        fields = config.model_dump(exclude_defaults=True)
        heads[name] = {key: fields[key] for key in ("head", "pooler", "labels") if key in fields}
    assert heads == {
        "bert-published": {"head": "pretraining"},
        "bert-sentence": {"pooler": False},
        "distilbert": {"head": "classification", "labels": ["good", "bad", "neither"]},
        "roberta-published": {"head": "masked_lm", "pooler": True},
        "opt": {},
    }


@pytest.mark.parametrize("name", sorted(tokenizers()))
def test_token_ids_equal_those_of_transformers(name: str, tmp_path: Path) -> None:
    tokenizer, texts = tokenizers()[name], [*TEXTS, *SPECIAL_TEXTS]
    expected = json.loads((OUTPUTS / "tokens.json").read_text())[name]
    tokenizer.save(tmp_path)
    again = read_tokenizer(tmp_path, name if name in ("roberta", "opt") else "bert")

    for each in (tokenizer, again):
        assert [each.encode_input(text) for text in texts] == expected["as_text"]
        as_tokens = [each.encode_input(text, as_tokens=True) for text in texts]
        assert as_tokens == expected["as_tokens"]
    # A special token quoted in a text is that token there unless it is told otherwise; elsewhere
    # the two ways give the same ids.
    differing = {i for i in range(len(texts)) if expected["as_text"][i] != expected["as_tokens"][i]}
    assert differing == {QUOTING}
