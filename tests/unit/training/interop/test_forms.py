"""Every form alike: each key of a ``config.json`` is honoured, harmless, or refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES
from training.errors import TrainingError
from training.interop.forms import FORMS, read_config
from training.interop.forms.form import ACTIVATIONS, CODE

#: config.json as it lies on the Hub, less the keys that are harmless everywhere.
PUBLISHED: dict[str, dict[str, Any]] = {
    "bert-base": {
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "gradient_checkpointing": False,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 768,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "model_type": "bert",
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "transformers_version": "4.6.0.dev0",
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": 30522,
    },
    "distilbert-base": {
        "activation": "gelu",
        "architectures": ["DistilBertForMaskedLM"],
        "attention_dropout": 0.1,
        "dim": 768,
        "dropout": 0.1,
        "hidden_dim": 3072,
        "initializer_range": 0.02,
        "max_position_embeddings": 512,
        "model_type": "distilbert",
        "n_heads": 12,
        "n_layers": 6,
        "pad_token_id": 0,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "transformers_version": "4.10.0.dev0",
        "vocab_size": 30522,
    },
    "roberta-base": {
        "architectures": ["RobertaForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 768,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 514,
        "model_type": "roberta",
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "pad_token_id": 1,
        "type_vocab_size": 1,
        "vocab_size": 50265,
    },
    "opt-125m": {
        "_name_or_path": "opt-125m",
        "_remove_final_layer_norm": False,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "architectures": ["OPTForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 2,
        "do_layer_norm_before": True,
        "dropout": 0.1,
        "eos_token_id": 2,
        "ffn_dim": 3072,
        "hidden_size": 768,
        "init_std": 0.02,
        "layerdrop": 0.0,
        "max_position_embeddings": 2048,
        "model_type": "opt",
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "pad_token_id": 1,
        "prefix": "</s>",
        "torch_dtype": "float16",
        "transformers_version": "4.21.0.dev0",
        "use_cache": True,
        "vocab_size": 50272,
        "word_embed_proj_dim": 768,
    },
}

#: Of each form: a configuration with every field that can differ from the default.
VARIANTS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_inner": 40, "activation_function": "relu", "tie_word_embeddings": False},
    "gpt3": {"window": 7, "scale_attn_by_inverse_layer_idx": True},
    "bert": {
        "hidden_act": "silu",
        "layer_norm_eps": 1e-3,
        "type_vocab_size": 1,
        "head": "classification",
        "labels": ["no", "yes", "perhaps"],
    },
    "distilbert": {"activation": "relu", "head": "classification", "labels": ["one"]},
    "roberta": {"pad_token_id": 3, "head": "masked_lm", "pooler": True},
    "opt": {
        "word_embed_proj_dim": 512,
        "do_layer_norm_before": False,
        "enable_bias": False,
        "layer_norm_elementwise_affine": False,
        "tie_word_embeddings": False,
        "activation_function": "gelu",
    },
}

#: By ``model_type``: how ``transformers`` calls its configuration. GPT-3 it has none.
THEIRS = {
    "gpt2": "GPT2Config",
    "bert": "BertConfig",
    "distilbert": "DistilBertConfig",
    "roberta": "RobertaConfig",
    "opt": "OPTConfig",
}


#: The forms of text; an image's configuration is another home's.
FORM_NAMES = sorted(name for name in FORMS if BACKBONES[name].kind == "text")


def variant(name: str) -> BackboneConfig:
    return FORMS[name].config.model_validate(VARIANTS[name])


def written(name: str, **changes: Any) -> dict[str, Any]:
    """The default configuration's ``config.json`` with changes."""
    payload = FORMS[name].write(FORMS[name].config())
    return payload | changes


def names_of(config: BackboneConfig) -> set[str]:
    return {spec.name for spec in config.tensors()}


def refusal(name: str, **changes: Any) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        read_config(written(name, **changes))
    return caught.value


@pytest.mark.parametrize("preset", sorted(PUBLISHED))
def test_what_lies_on_the_hub_is_our_preset(preset: str) -> None:
    payload = PUBLISHED[preset]
    name = payload["model_type"]
    head = {"head": "masked_lm"} if name != "opt" else {"word_embed_proj_dim": 768}
    wanted = BACKBONES[name].presets[preset].model_copy(update=head)
    assert read_config(payload) == wanted


def test_the_published_berts_hold_a_head_more_than_their_class_says() -> None:
    config = BACKBONES["bert"].config.model_validate({"head": "pretraining"})
    assert read_config(PUBLISHED["bert-base"], names_of(config)) == config


@pytest.mark.parametrize("name", FORM_NAMES)
def test_ours_to_theirs_and_back_is_the_same(name: str) -> None:
    form = FORMS[name]
    configs = [variant(name), *BACKBONES[name].presets.values()]
    for config in configs:
        payload = json.loads(json.dumps(form.write(config, special={"eos_token_id": 5})))
        assert form.read(payload, names_of(config)) == config
        assert payload["eos_token_id"] == 5


@pytest.mark.parametrize("name", FORM_NAMES)
def test_dropout_rates_are_kept_and_no_others_made_up(name: str) -> None:
    form = FORMS[name]
    rates = dict.fromkeys((*form.dropout, *form.dropout_if_given), 0.25)
    payload = form.write(form.config(), dropout=rates)
    assert form.dropout_of(payload) == rates
    none = form.write(form.config())
    assert {key: none[key] for key in rates if key in none} == dict.fromkeys(form.dropout, 0)


@pytest.mark.parametrize("source", FORM_NAMES)
@pytest.mark.parametrize("target", FORM_NAMES)
def test_another_architecture_s_dropout_rates_make_no_unreadable_file(
    source: str, target: str
) -> None:
    rates = dict.fromkeys(FORMS[source].all_dropout, 0.25)
    config = variant(target)
    payload = FORMS[target].write(config, dropout=rates)
    assert read_config(payload, names_of(config)) == config
    known = {key: rate for key, rate in rates.items() if key in FORMS[target].all_dropout}
    assert known.items() <= FORMS[target].dropout_of(payload).items()


@pytest.mark.parametrize("name", FORM_NAMES)
def test_no_key_is_treated_in_two_ways(name: str) -> None:
    form = FORMS[name]
    groups = [form.honoured, form.all_ignored, form.all_only, CODE, form.aliases]
    assert len(frozenset().union(*groups)) == sum(map(len, groups))


@pytest.mark.parametrize("name", FORM_NAMES)
def test_harmless_keys_may_have_any_value(name: str) -> None:
    config = FORMS[name].config()
    for key in FORMS[name].all_ignored:
        assert read_config(written(name, **{key: "anything"})) == config, key


@pytest.mark.parametrize("name", FORM_NAMES)
def test_keys_that_change_the_function_are_read_at_some_values_only(name: str) -> None:
    for key, allowed in FORMS[name].all_only.items():
        for value in allowed:
            read_config(written(name, **{key: value}))
        error = refusal(name, **{key: "another"})
        assert (error.code, error.params["name"]) == ("config_unsupported", key)


@pytest.mark.parametrize("name", FORM_NAMES)
@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("auto_map", {"AutoModel": "evil.Model"}, "config_code"),
        ("_attn_implementation_internal", "owner/repo", "config_code"),
        ("rope_theta", 10_000, "config_unknown"),
        ("sliding_window", 128, "config_unknown"),
        ("head", "none", "config_unknown"),
        ("architecture", "gpt2", "config_unknown"),
        ("architectures", ["LlamaForCausalLM"], "config_unsupported"),
        ("architectures", [], "config_unsupported"),
        ("is_encoder_decoder", True, "config_unsupported"),
        ("vocab_size", None, "config_out_of_range"),
        ("vocab_size", "many", "config_out_of_range"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(
    name: str, key: str, value: Any, code: str
) -> None:
    error = refusal(name, **{key: value})
    assert error.code == code
    assert key in str(error)


@pytest.mark.parametrize("name", FORM_NAMES)
def test_other_names_of_the_sizes_are_read(name: str) -> None:
    config = FORMS[name].config()
    for alias, field in FORMS[name].aliases.items():
        payload = written(name)
        payload[alias] = payload.pop(field)
        assert read_config(payload) == config
        payload[field] = payload[alias] + 12
        with pytest.raises(TrainingError) as caught:
            read_config(payload)
        assert caught.value.code == "config_contradiction"


@pytest.mark.parametrize("name", FORM_NAMES)
def test_other_names_of_the_same_activation_are_read(name: str) -> None:
    (field,) = FORMS[name].words
    for alias, ours in ACTIVATIONS.items():
        assert getattr(read_config(written(name, **{field: alias})), field) == ours
    assert refusal(name, **{field: "quick_gelu"}).code == "config_out_of_range"


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_what_is_missing_means_what_it_means_in_transformers(name: str) -> None:
    """So every key that it writes is known, too."""
    import transformers

    theirs = getattr(transformers, THEIRS[name])().to_dict()
    config = FORMS[name].config()
    found = read_config({**theirs, "model_type": name})
    # It fills this one in: no value means as wide as the model.
    same = {"word_embed_proj_dim": None} if name == "opt" else {}
    assert found.model_copy(update=same) == config
    assert read_config({"model_type": name}) == config


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_transformers_reads_every_field_that_we_write(name: str) -> None:
    import transformers

    config = variant(name)
    theirs = getattr(transformers, THEIRS[name])(**FORMS[name].write(config))
    for field in FORMS[name].honoured:
        assert getattr(theirs, field) == getattr(config, field), field
    labels = getattr(config, "labels", None)
    if labels:
        assert (theirs.num_labels, theirs.id2label) == (len(labels), dict(enumerate(labels)))


LABELLED = {"architectures": ["BertForSequenceClassification"]}


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ({}, ["LABEL_0", "LABEL_1"]),
        ({"num_labels": 3}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ({"id2label": {"1": "b", "0": "a"}}, ["a", "b"]),
        ({"id2label": {"0": 17}, "num_labels": 1}, ["17"]),
    ],
)
def test_labels_are_read_in_the_order_of_the_scores(
    keys: dict[str, Any], labels: list[str]
) -> None:
    config = read_config(written("bert", **LABELLED, **keys))
    assert config.model_dump()["labels"] == labels


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"num_labels": 0}, "config_unsupported"),
        ({"num_labels": True}, "config_unsupported"),
        ({"num_labels": 10**9}, "config_unsupported"),
        ({"id2label": {"0": "a", "2": "b"}}, "config_unsupported"),
        ({"id2label": {}}, "config_unsupported"),
        ({"id2label": {"0": "\ud800"}}, "config_unsupported"),
        ({"id2label": ["a", "b"]}, "config_unsupported"),
        ({"id2label": {"x": "a"}}, "config_unsupported"),
        ({"id2label": {"0": "a"}, "num_labels": 2}, "config_contradiction"),
        ({"id2label": {"0": "a", "1": "a"}}, "config_out_of_range"),
    ],
)
def test_labels_that_make_no_sense_are_refused(keys: dict[str, Any], code: str) -> None:
    assert refusal("bert", **LABELLED, **keys).code == code


@pytest.mark.parametrize(
    ("architecture", "fields", "at"),
    [
        ("bert", {"head": "classification"}, "labels"),
        ("bert", {"labels": ["a"]}, "labels"),
        ("bert", {"head": "classification", "labels": ["a", "a"]}, "labels"),
        ("bert", {"head": "classification", "labels": ["a"], "pooler": False}, "pooler"),
        ("bert", {"head": "pretraining", "pooler": False}, "pooler"),
        ("roberta", {"head": "pretraining"}, "head"),
        ("distilbert", {"head": "pretraining"}, "head"),
        ("bert", {"hidden_size": 100}, "hidden_size"),
        ("distilbert", {"dim": 100}, "dim"),
        ("opt", {"hidden_size": 100}, "hidden_size"),
        ("roberta", {"pad_token_id": 511}, "pad_token_id"),
        ("roberta", {"pad_token_id": 70, "vocab_size": 70}, "pad_token_id"),
    ],
)
def test_a_configuration_that_contradicts_itself_names_the_field(
    architecture: str, fields: dict[str, Any], at: str
) -> None:
    from pydantic import ValidationError

    from training.settings import problems

    with pytest.raises(ValidationError) as caught:
        BACKBONES[architecture].config.model_validate(fields)
    assert [problem.field for problem in problems(caught.value)] == [at]


@pytest.mark.parametrize("name", FORM_NAMES)
def test_every_tensor_says_what_it_is(name: str) -> None:
    """What plans between architectures go by."""
    configs = [variant(name), BACKBONES[name].presets["nano"]]
    for config in configs:
        specs = config.tensors()
        assert len({spec.name for spec in specs}) == len(specs)
        assert len({(spec.block, spec.role) for spec in specs}) == len(specs)
        for spec in specs:
            assert spec.block.split(".")[0] in {
                "embeddings",
                "layer",
                "final_norm",
                "pooler",
                "head",
            }
            assert spec.role
            assert len(spec.axes) == len(spec.shape)
            if spec.block == "head" and spec.role == "token":
                assert spec.inputs == (1,)
            elif spec.role in ROWS or len(spec.shape) == 1:
                assert spec.inputs == ()
            else:
                assert spec.inputs == INPUTS[name]


#: Matrices whose rows are looked up.
ROWS = {"token", "position", "type"}
INPUTS = {name: (0,) if name in ("gpt2", "gpt3") else (1,) for name in FORM_NAMES}

BLOCK = {
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "feed_forward.in",
    "feed_forward.out",
}


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "opt"])
def test_blocks_have_the_same_roles_in_all_architectures(name: str) -> None:
    config = BACKBONES[name].presets["nano"]
    found = {spec.role for spec in config.tensors() if spec.block == "layer.1"}
    assert found == {
        *(f"{role}.{part}" for role in BLOCK for part in ("kernel", "bias")),
        *(
            f"{role}.norm.{part}"
            for role in ("attention", "feed_forward")
            for part in ("scale", "bias")
        ),
    }
