"""Models for token classification as transformers writes them: read, written, told from others."""

from __future__ import annotations

from typing import Any

import pytest

from training.backbones.bert.config import PRESETS as BERT
from training.backbones.distilbert.config import PRESETS as DISTILBERT
from training.backbones.roberta.config import PRESETS as ROBERTA
from training.errors import TrainingError
from training.fine_tuning.settings import scratch_twin, with_classes
from training.interop.forms import FORMS, exported_class, read_config
from training.methods.task_related.classification_spec import classes_of
from training.methods.task_related.regression_spec import target_of
from training.methods.task_related.token_classification_spec import (
    TokenClassificationSpec,
    tags_of,
)
from training.weights.tasks import task_of

NANO = {"bert": BERT["nano"], "distilbert": DISTILBERT["nano"], "roberta": ROBERTA["nano"]}
CLASSES = {
    "bert": "BertForTokenClassification",
    "distilbert": "DistilBertForTokenClassification",
    "roberta": "RobertaForTokenClassification",
}
TAGS = ["O", "B-PER", "I-PER"]

architectures = pytest.mark.parametrize("architecture", NANO)


def tagger(architecture: str, tags: list[str] = TAGS) -> Any:
    return with_classes(NANO[architecture], tags, "token_classification")


def written(config: Any, **changes: Any) -> dict[str, Any]:
    return FORMS[config.architecture].write(config) | changes


@architectures
def test_the_head_is_one_matrix_over_every_token_by_its_name_in_transformers(
    architecture: str,
) -> None:
    config = tagger(architecture)
    names = {one.name: one.shape for one in config.tensors()}
    width = config.stream_width
    assert config.label_head == ["classifier.weight", "classifier.bias"]
    assert (names["classifier.weight"], names["classifier.bias"]) == ((3, width), (3,))
    # Its class there has no pooler, and no layer before the labels.
    heads = {one.name for one in config.tensors() if one.block == "head"}
    assert heads == set(config.label_head)
    assert not any("pooler" in name or "pre_classifier" in name for name in names)


@architectures
def test_it_is_written_and_read_as_the_class_of_transformers(architecture: str) -> None:
    config = tagger(architecture)
    payload = written(config)
    assert payload["architectures"] == [CLASSES[architecture]]
    assert payload["id2label"] == {"0": "O", "1": "B-PER", "2": "I-PER"}
    assert payload["label2id"] == {"O": 0, "B-PER": 1, "I-PER": 2}
    assert "problem_type" not in payload
    assert exported_class(config) == CLASSES[architecture]
    assert read_config(payload, [one.name for one in config.tensors()]) == config


@architectures
def test_transformers_reads_the_same_labels(architecture: str) -> None:
    import transformers

    theirs = transformers.AutoConfig.for_model(**written(tagger(architecture)))
    assert theirs.id2label == dict(enumerate(TAGS))
    assert theirs.num_labels == 3
    assert theirs.architectures == [CLASSES[architecture]]


def test_a_model_that_came_with_a_pooler_keeps_it() -> None:
    """Older checkpoints have it, though nothing reads it."""
    config = tagger("bert")
    pooler = ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    found = read_config(written(config), [one.name for one in config.tensors()] + pooler)
    assert found.pooled
    assert set(pooler) <= {one.name for one in found.tensors()}
    # A run from it has none, as its class.
    assert not with_classes(found, TAGS, "token_classification").pooled


def test_labels_without_names_are_numbered() -> None:
    payload = written(tagger("bert")) | {"num_labels": 2}
    del payload["id2label"], payload["label2id"]
    assert read_config(payload).labels == ["LABEL_0", "LABEL_1"]
    with pytest.raises(TrainingError):
        read_config(written(tagger("bert"), num_labels=7))


def test_one_tag_is_no_number_and_tags_are_no_classes() -> None:
    one, several = tagger("bert", ["O"]), tagger("bert")
    assert "problem_type" not in written(one)
    for config in (one, several):
        assert task_of("bert", config.model_dump()) == "token_classification"
        assert classes_of(config, {}) == []
        assert target_of(config, {}) is None
    assert tags_of(several) == TAGS
    assert tags_of(with_classes(NANO["bert"], TAGS)) == []
    assert tags_of(NANO["bert"]) == []


def test_a_twin_begins_from_nothing_and_is_shown_the_same() -> None:
    spec = TokenClassificationSpec.model_validate(
        {
            "data": {"path": "d"},
            "source": {"checkpoint": "c"},
            "inputs": {"most_tokens": 40},
            "training": {"policy": "gradual", "l2_sp": 0.1, "head_rate": 3, "rate_decay": 0.9},
        }
    )
    twin = scratch_twin(spec, NANO["bert"])
    assert (twin.source, twin.model) == (None, NANO["bert"])
    assert twin.inputs.model_dump() == {"most_tokens": 40, "checkpoint": "c"}
    kept = spec.training.model_dump() | {
        "policy": "full",
        "l2_sp": 0.0,
        "head_rate": 1.0,
        "rate_decay": 1.0,
        "lora": None,
    }
    assert twin.training.model_dump() == kept


@pytest.mark.parametrize(
    "changes", [{"inputs": {"image_px": 24}}, {"training": {"norms": "source"}}]
)
def test_settings_of_images_are_none_of_its(changes: dict[str, Any]) -> None:
    spec = {"data": {"path": "d"}, "source": {"checkpoint": "c"}} | changes
    with pytest.raises(ValueError, match="Extra inputs"):
        TokenClassificationSpec.model_validate(spec)
