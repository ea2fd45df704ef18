"""Foreign configurations: honoured exactly, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.errors import TrainingError
from training.interop.forms import read_config
from training.interop.forms.form import ACTIVATIONS, read_config_json
from training.interop.forms.gpt2 import FORM

HONOURED, IGNORED, ONLY = FORM.honoured, FORM.all_ignored, FORM.all_only

#: config.json of openai-community/gpt2, as it lies on the Hub.
PUBLISHED: dict[str, Any] = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}


def refusal(**changes: Any) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        read_config(PUBLISHED | changes)
    return caught.value


def test_the_published_gpt2_is_ours() -> None:
    assert read_config(PUBLISHED) == PRESETS["gpt2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"layer_norm_epsilon": 1e-3},
        {"activation_function": "relu"},
        {"tie_word_embeddings": False},
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True},
        {"n_inner": 1234},
        {"n_positions": 2048},
    ],
)
def test_every_field_is_honoured(changes: dict[str, Any]) -> None:
    config = read_config(PUBLISHED | changes)
    assert config == PRESETS["gpt2"].model_copy(update=changes)


@pytest.mark.parametrize(("alias", "ours"), sorted(ACTIVATIONS.items()))
def test_other_names_of_the_same_activation_are_read(alias: str, ours: str) -> None:
    config = read_config(PUBLISHED | {"activation_function": alias})
    assert config.activation_function == ours


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("add_cross_attention", True, "config_unsupported"),
        ("is_encoder_decoder", True, "config_unsupported"),
        ("pruned_heads", {"0": [1]}, "config_unsupported"),
        ("per_layer_config", {"3": {"n_head": 2}}, "config_unsupported"),
        ("quantization_config", {"quant_method": "gptq"}, "config_unsupported"),
        ("_attn_implementation", "kernels-community/evil", "config_unsupported"),
        ("architectures", ["GPT2ForSequenceClassification"], "config_unsupported"),
        ("architectures", ["GPT2DoubleHeadsModel"], "config_unsupported"),
        ("architectures", [], "config_unsupported"),
        ("architectures", "GPT2LMHeadModel", "config_unsupported"),
        ("auto_map", {"AutoModel": "evil.Model"}, "config_code"),
        ("auto_map", None, "config_code"),
        ("custom_pipelines", {}, "config_code"),
        ("_attn_implementation_internal", "owner/repo", "config_code"),
        ("_experts_implementation_internal", "owner/repo", "config_code"),
        ("is_causal", False, "config_unknown"),
        ("sliding_window", 128, "config_unknown"),
        ("rope_theta", 10000, "config_unknown"),
        ("attention_softmax_in_fp32", True, "config_unknown"),
        ("n_group", 1, "config_unknown"),
        ("architecture", "gpt2", "config_unknown"),
        ("activation_function", "gelu_10", "config_out_of_range"),
        ("activation_function", "quick_gelu", "config_out_of_range"),
        ("activation_function", 3, "config_out_of_range"),
        ("layer_norm_epsilon", 0, "config_out_of_range"),
        ("n_head", 7, "config_out_of_range"),
        ("n_layer", "12", "config_out_of_range"),
        ("n_layer", 10**9, "config_out_of_range"),
        ("n_inner", 0, "config_out_of_range"),
        ("vocab_size", None, "config_out_of_range"),
        ("tie_word_embeddings", "yes", "config_out_of_range"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(name: str, value: Any, code: str) -> None:
    error = refusal(**{name: value})
    assert error.code == code
    assert name in str(error) or (name == "n_head" and "n_embd" in str(error))


def test_false_is_not_taken_for_zero_or_none() -> None:
    assert refusal(add_cross_attention=0).code == "config_unsupported"
    read_config(PUBLISHED | {"add_cross_attention": None})


@pytest.mark.parametrize("found", ["llama", "gpt_bigcode", "", None, ["gpt2"]])
def test_another_model_is_refused(found: Any) -> None:
    assert refusal(model_type=found).code == "config_model_type"


def test_transformers_reads_every_field_that_we_write() -> None:
    from transformers import GPT2Config as Theirs

    config = GPT2Config(
        vocab_size=300,
        n_positions=16,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_inner=40,
        activation_function="relu",
        layer_norm_epsilon=1e-3,
        tie_word_embeddings=False,
        scale_attn_weights=False,
        scale_attn_by_inverse_layer_idx=True,
    )
    theirs = Theirs(**FORM.write(config, special={"eos_token_id": 5}))
    for name in HONOURED:
        assert getattr(theirs, name) == getattr(config, name), name
    assert theirs.eos_token_id == 5


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b"\xff\xfe{}", b"[" * 100_000, b" " * 1_000_001 + b"{}"]
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        read_config_json(path)
    assert caught.value.code == "config_unreadable"
