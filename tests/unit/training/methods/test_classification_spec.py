"""The spec of a classification run, its scratch twin, and the network that it asks for."""

from typing import Any

import pytest
from pydantic import ValidationError

from training.backbones.bert.config import BertConfig
from training.backbones.distilbert.config import DistilBertConfig
from training.backbones.resnet.config import ResNetConfig
from training.backbones.roberta.config import RobertaConfig
from training.backbones.vit.config import ViTConfig
from training.fine_tuning.settings import (
    FineTuningLoraSpec,
    adapted_matrices,
    estimate_run,
    scratch_twin,
    with_classes,
)
from training.methods.task_related.classification import METHOD
from training.methods.task_related.classification_spec import ClassificationSpec, classes_of
from training.settings import problems

RESNET = ResNetConfig(depths=[1, 1], group_width=8)
SOURCE = {"checkpoint": "/source", "reinitialise": ["fc.*"]}
TRANSFER: dict[str, Any] = {
    "seed": 5,
    "data": {"path": "/data"},
    "examples": 60,
    "inputs": {"image_px": 32, "normalisation": "unit", "augmentation": "shift"},
    "source": SOURCE,
    "training": {
        "steps": 70,
        "batch_size": 4,
        "policy": "gradual",
        "frozen_share": 0.5,
        "rate_decay": 0.9,
        "head_rate": 10,
        "l2_sp": 0.01,
        "norms": "source",
        "dropout": 0.1,
    },
}


def spec(**changes: Any) -> ClassificationSpec:
    return ClassificationSpec.model_validate({"data": {"path": "/data"}, **changes})


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({}, "model", "Choose a model, or a source"),
        ({"training": {"policy": "head"}}, "training.policy", "Without a source"),
        ({"training": {"policy": "lp_ft"}}, "training.policy", "Without a source"),
        ({"training": {"policy": "gradual"}}, "training.policy", "Without a source"),
        ({"training": {"norms": "source"}}, "training.norms", "There are no statistics"),
        ({"training": {"lora": {}}}, "training.lora", "LoRA adapts weights that have learned"),
        ({"training": {"l2_sp": 0.1}}, "training.l2_sp", "There is no source to pull"),
        ({"training": {"steps": 5, "warmup_steps": 6}}, "training", "The warm-up is longer"),
        ({"examples": 1}, "examples", ""),
        ({"model": {"architecture": "perceptron"}}, "model", "There is no such architecture"),
    ],
)
def test_what_a_run_from_nothing_cannot_have_is_told_at_its_field(
    changes: dict[str, Any], field: str, sentence: str
) -> None:
    model = {} if field == "model" else {"model": RESNET.model_dump()}
    with pytest.raises(ValidationError) as caught:
        spec(**model | changes)
    found = problems(caught.value)
    assert [problem.field.startswith(field) for problem in found] == [True]
    assert str(found[0]).startswith(sentence)


@pytest.mark.parametrize("policy", ["full", "head", "gradual", "lp_ft"])
def test_with_a_source_every_policy_may_be_had(policy: str) -> None:
    found = spec(source=SOURCE, training={"policy": policy, "l2_sp": 0.1})
    assert found.training.policy == policy


def test_the_method_s_own_example_is_a_whole_spec() -> None:
    found = ClassificationSpec.model_validate({"method": METHOD.name, **METHOD.example})
    assert found == ClassificationSpec.model_validate(found.model_dump(mode="json"))


# --- the twin -------------------------------------------------------------------------------------


def test_the_twin_differs_in_nothing_but_its_weights_and_how_they_are_kept() -> None:
    transfer = ClassificationSpec.model_validate(TRANSFER)
    twin = scratch_twin(transfer, RESNET)
    assert twin.source is None
    assert twin.model == RESNET
    assert twin.inputs.checkpoint == "/source"
    kept = {"policy", "rate_decay", "head_rate", "l2_sp", "norms"}
    assert twin.training.model_dump(include=kept) == {
        "policy": "full",
        "rate_decay": 1.0,
        "head_rate": 1.0,
        "l2_sp": 0.0,
        "norms": "batch",
    }
    whole = {"source", "model", "inputs", "training"}
    assert twin.model_dump(exclude=whole) == transfer.model_dump(exclude=whole)
    assert twin.training.model_dump(exclude=kept) == transfer.training.model_dump(exclude=kept)
    assert twin.inputs.model_dump(exclude={"checkpoint"}) == (
        transfer.inputs.model_dump(exclude={"checkpoint"})
    )


def test_the_twin_has_the_transfer_s_own_model_where_it_names_one() -> None:
    own = RESNET.model_copy(update={"group_width": 16})
    transfer = ClassificationSpec.model_validate(TRANSFER | {"model": own.model_dump()})
    assert scratch_twin(transfer, RESNET).model == own


def test_the_twin_is_shown_what_the_transfer_is_shown() -> None:
    inputs = {"inputs": {"checkpoint": "/other"}}
    transfer = ClassificationSpec.model_validate(TRANSFER | inputs)
    assert scratch_twin(transfer, RESNET).inputs.checkpoint == "/other"


def test_only_a_transfer_has_a_twin() -> None:
    with pytest.raises(ValueError, match="transfer"):
        scratch_twin(spec(model=RESNET.model_dump()), RESNET)


# --- the network ----------------------------------------------------------------------------------

NAMES = ["cat", "dog", "cow"]
_SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 30}
BERT = BertConfig.model_validate(_SIZES)
ROBERTA = RobertaConfig.model_validate(_SIZES)
DISTILBERT = DistilBertConfig(dim=8, n_layers=1, n_heads=2, vocab_size=30)


@pytest.mark.parametrize("config", [RESNET, ViTConfig(width=16, depth=1, heads=2, num_classes=0)])
def test_an_image_network_gets_as_many_outputs_as_there_are_classes(
    config: ResNetConfig | ViTConfig,
) -> None:
    found = with_classes(config, NAMES)
    assert type(found) is type(config)
    assert found.model_dump() == config.model_dump() | {"num_classes": 3}
    shapes = {spec.name: spec.shape for spec in found.tensors()}
    assert [shapes[name][0] for name in found.label_head] == [3, 3]


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (BERT, {}),
        (BERT, {"pooler": False}),
        (BERT, {"head": "masked_lm"}),
        (BERT, {"head": "masked_lm", "pooler": True}),
        (BERT, {"head": "classification", "labels": ["good", "bad"]}),
        (ROBERTA, {}),
        (ROBERTA, {"pooler": True}),
        (ROBERTA, {"head": "masked_lm", "pooler": True}),
        (DISTILBERT, {}),
    ],
)
def test_an_encoder_gets_a_head_with_these_labels_and_a_pooler_only_to_read(
    config: BertConfig | RobertaConfig | DistilBertConfig, changes: dict[str, Any]
) -> None:
    found = with_classes(type(config).model_validate(config.model_dump() | changes), NAMES)
    assert isinstance(found, type(config))
    assert (found.head, found.labels) == ("classification", NAMES)
    names = [spec.name for spec in found.tensors()]
    poolers = [name for name in names if "pooler" in name]
    # What nothing reads has no gradient.
    assert len(poolers) == (2 if config.architecture == "bert" else 0)
    assert len(found.label_head) == 2
    own = {"head", "labels", "pooler"}
    assert found.model_dump(exclude=own) == config.model_dump(exclude=own)


def test_what_a_source_tells_apart_is_in_its_labels_or_on_its_card() -> None:
    assert classes_of(with_classes(BERT, NAMES), {"classes": ["other"]}) == NAMES
    assert classes_of(BERT, {}) == []
    assert classes_of(RESNET, {"classes": NAMES}) == NAMES
    assert classes_of(RESNET, {}) == []


# --- LoRA -----------------------------------------------------------------------------------------


def test_lora_and_l2_sp_exclude_each_other() -> None:
    both = {"lora": {"rank": 2}, "l2_sp": 0.1}
    with pytest.raises(ValidationError) as caught:
        spec(source={"checkpoint": "/source"}, training=both)
    assert [problem.field for problem in problems(caught.value)] == ["training.l2_sp"]


def test_lora_s_layers_are_found_by_what_they_do_in_every_transformer() -> None:
    lora = FineTuningLoraSpec(targets=["attention.value", "feed_forward.out"])
    bert = [one.name.split(".", 4)[-1] for one in adapted_matrices(BERT, lora)]
    assert set(bert) == {"attention.self.value.weight", "output.dense.weight"}
    vit = ViTConfig(image_size=32, patch_size=8, width=16, depth=2, heads=2, inner=32)
    names = [one.name for one in adapted_matrices(vit, lora)]
    assert names == [
        f"blocks.{layer}.{name}.weight" for layer in (0, 1) for name in ("attn.qkv", "mlp.fc2")
    ]
    assert adapted_matrices(RESNET, lora) == []
    assert adapted_matrices(BERT, None) == []


def test_an_estimate_counts_the_head_and_the_factors() -> None:
    source = {"source": {"checkpoint": "/source"}}
    whole, low = (spec(**source, training=training) for training in ({}, {"lora": {"rank": 2}}))
    config = with_classes(BERT, ["yes", "no"])
    matrices = adapted_matrices(config, low.training.lora)
    factors = sum(2 * sum(one.shape) for one in matrices)
    head = sum(one.size for one in config.tensors() if one.block == "head")
    assert estimate_run(whole, config).trainable == config.parameter_count()
    assert estimate_run(low, config).trainable == head + factors
    assert estimate_run(low, config).memory_bytes < estimate_run(whole, config).memory_bytes
