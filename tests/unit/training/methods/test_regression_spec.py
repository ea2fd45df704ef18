"""What follows from a regression run's spec, and how a head's numbers get their units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.backbones.bert.config import BertConfig
from training.backbones.resnet.config import ResNetConfig
from training.fine_tuning.settings import scratch_twin, with_classes
from training.methods.registry import LOOP_METHODS
from training.methods.task_related.classification import METHOD as CLASSIFICATION
from training.methods.task_related.classification_spec import ClassificationSpec
from training.methods.task_related.regression import METHOD, Scale
from training.methods.task_related.regression_spec import RegressionSpec, target_of
from training.weights.tasks import task_of

BERT = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
RESNET = ResNetConfig(depths=[1, 1], group_width=8)
TRANSFER = {"data": {"path": "/data"}, "source": {"checkpoint": "/source"}, "examples": 60}


def test_it_trains_what_classification_trains() -> None:
    assert LOOP_METHODS["regression"] is METHOD
    assert METHOD.backbones == CLASSIFICATION.backbones
    assert METHOD.checkpoints == CLASSIFICATION.checkpoints


def test_its_settings_are_those_of_classification_but_for_the_error_and_the_cycles() -> None:
    mine, theirs = (
        set(spec.model_fields["training"].annotation.model_fields)  # type: ignore[union-attr]
        for spec in (RegressionSpec, ClassificationSpec)
    )
    assert (mine - theirs, theirs - mine) == ({"loss"}, {"cycles"})


def test_the_twin_minimises_the_same_error_of_the_same_examples() -> None:
    spec = RegressionSpec.model_validate(
        TRANSFER | {"training": {"loss": "huber", "policy": "lp_ft", "l2_sp": 0.1}}
    )
    twin = scratch_twin(spec, RESNET)
    assert isinstance(twin, RegressionSpec)
    assert (twin.training.loss, twin.training.policy, twin.training.l2_sp) == ("huber", "full", 0)
    assert (twin.examples, twin.source, twin.model) == (60, None, RESNET)


def test_a_checkpoint_says_which_number_it_predicts() -> None:
    one = with_classes(BERT, ["rating"])
    assert target_of(one, {}) == "rating"
    assert target_of(with_classes(BERT, ["no", "yes"]), {}) is None
    assert target_of(BERT, {}) is None
    assert target_of(RESNET, {"target": {"name": "age"}}) == "age"
    assert target_of(RESNET, {"classes": ["no", "yes"]}) is None


def test_a_head_with_one_output_is_for_a_number() -> None:
    for config, numbers, classes in (
        (BERT, "text_regression", "text_classification"),
        (RESNET, "image_regression", "image_classification"),
    ):
        for names, task in ((["a"], numbers), (["a", "b"], classes)):
            model = with_classes(config, names)
            assert task_of(model.architecture, model.model_dump()) == task
    assert task_of("bert", BERT.model_dump()) == "text_features"


@given(
    mean=st.floats(-1e6, 1e6),
    deviation=st.floats(1e-3, 1e6),
    seed=st.integers(0, 99),
)
def test_a_folded_layer_answers_in_units(mean: float, deviation: float, seed: int) -> None:
    random, scale = np.random.default_rng(seed), Scale(mean, deviation)
    hidden = random.normal(size=(5, 4)).astype(np.float32)
    weight, bias = (random.normal(size=shape).astype(np.float32) for shape in ((1, 4), (1,)))
    standard = hidden @ weight.T + bias
    units = hidden @ scale.folded(weight).T + scale.folded(bias)
    size = abs(mean) + 10 * deviation
    assert np.allclose(units, scale.in_units(standard), rtol=0, atol=1e-6 * size)
    there = scale.standard(scale.in_units(standard))
    assert np.allclose(there, standard, rtol=0, atol=1e-14 * size / deviation)
    back = scale.unfolded(scale.folded(weight)), scale.unfolded(scale.folded(bias))
    assert back[0] == pytest.approx(weight, rel=1e-5)
    assert back[1] == pytest.approx(bias, abs=2e-7 * size / deviation)
