"""Every architecture that the method trains: with its head for the classes, all of it learns."""

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from tests.parity.text import CASES
from tests.small import loud
from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES, model_class
from training.fine_tuning.settings import with_classes
from training.methods.task_related.classification import METHOD

IMAGES = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32)


def networks() -> Iterator[tuple[str, BackboneConfig]]:
    """A small configuration of each, as a source may have it."""
    for architecture in METHOD.backbones:
        backbone = BACKBONES[architecture]
        if backbone.kind == "text":
            # RoBERTa's head reads no pooler, whatever the source has.
            yield from ((n, c) for n, c in CASES.items() if n.startswith(f"{architecture}-"))
        else:
            config = min(backbone.presets.values(), key=lambda one: one.parameter_count())
            small = {"image_size": 32, "depth": 2} if architecture == "vit" else {}
            yield architecture, config.model_copy(update=small)
    pooled = CASES["roberta-pooler"].model_dump() | {"head": "masked_lm", "pooler": True}
    yield "roberta-masked-lm-pooler", type(CASES["roberta-pooler"]).model_validate(pooled)


NETWORKS = dict(networks())


def test_there_is_one_of_each_architecture() -> None:
    assert {config.architecture for config in NETWORKS.values()} == set(METHOD.backbones)
    assert not {"gpt2", "gpt3", "opt"} & set(METHOD.backbones)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_that_is_trained_has_a_gradient(name: str) -> None:
    config = with_classes(NETWORKS[name], ["a", "b", "c"])
    model = model_class(config.architecture)(config)
    model.load_named({key: abs(value) for key, value in loud(config).items()})
    names = model.trainable_names()
    assert names == [spec.name for spec in config.tensors() if spec.trained]
    variables = [model.named_variables[one].value for one in names]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        if BACKBONES[config.architecture].kind == "image":
            scores = model(IMAGES, training=True)
        else:
            tokens = np.random.default_rng(0).integers(3, config.vocabulary, (4, 8), np.int32)
            scores = model(tokens, np.ones_like(tokens), training=True, seed=[0, 0])
        assert scores.shape == (4, 3)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 1, 2, 0], logits=scores)
    found = tape.gradient(loss, variables)
    without = [one for one, gradient in zip(names, found, strict=True) if gradient is None]
    assert not without
