"""Losses and heads of the methods on two views against lightly's, on PyTorch (``make parity``)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors import safe_open
from safetensors.numpy import load_file

from tests.parity.siamese import (
    BOTTLENECK,
    CASES,
    HEADS,
    HIDDEN,
    INPUTS,
    OUTPUTS,
    REFERENCE,
    Case,
    features,
    values,
)
from training.methods.registry import LOOP_METHODS
from training.siamese.losses import byol_loss, info_nce, nt_xent, simsiam_loss, unit
from training.siamese.network import MLPModel, SiameseNetwork

THEIRS = load_file(REFERENCE)


def close(found: Any, name: str, most: float = 1e-5) -> bool:
    """Whether these are the reference's numbers, as far as float32 goes."""
    expected = THEIRS[name]
    assert np.shape(found) == expected.shape
    return bool(np.abs(np.array(found) - expected).max() < most * max(1, np.abs(expected).max()))


def with_gradients(loss: Any, at: list[Any]) -> tuple[Any, list[Any]]:
    at = [tf.constant(one) for one in at]
    with tf.GradientTape() as tape:
        tape.watch(at)
        found = tf.reduce_mean(loss(*at))
    return found, tape.gradient(found, at)


def test_the_reference_is_lightly_s() -> None:
    with safe_open(REFERENCE, "numpy") as file:
        versions = file.metadata()
    assert set(versions) == {"lightly", "torch"}
    assert len(THEIRS) > 50


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nt_xent_and_its_gradients(case: Case) -> None:
    def loss(first: Any, second: Any) -> Any:
        return nt_xent(first, second, case.temperature, tf.ones(case.rows))

    found, gradients = with_gradients(loss, case.vectors()[:2])
    assert close(found, f"{case.name}.nt_xent")
    for number, one in enumerate(gradients):
        assert close(one, f"{case.name}.nt_xent.gradient.{number}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_info_nce_and_its_gradient(case: Case) -> None:
    queries, keys, *_others = case.vectors()

    def loss(some: Any) -> Any:
        return info_nce(some, tf.constant(keys), tf.constant(case.keys()), case.temperature)

    found, (gradient,) = with_gradients(loss, [queries])
    assert close(found, f"{case.name}.info_nce")
    assert close(gradient, f"{case.name}.info_nce.gradient.0")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_queue_after_five_batches(case: Case) -> None:
    """Also once it has come round."""
    queue = keras.Variable(case.keys(), trainable=False)

    class Network:
        named_variables = {"queue": queue}

    _first, second, third, fourth = case.vectors()
    for number, keys in enumerate((second, third, fourth, second, third)):
        SiameseNetwork.enqueue(Network(), unit(tf.constant(keys)), number)
    assert close(queue, f"{case.name}.queue")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_negative_cosine_and_its_gradients(case: Case) -> None:
    """BYOL's is the same but for a factor and a constant."""

    def loss(p1: Any, p2: Any, z1: Any, z2: Any) -> Any:
        return simsiam_loss((p1, p2), (z1, z2))

    def squared(p1: Any, p2: Any, z1: Any, z2: Any) -> Any:
        return byol_loss((p1, p2), (z1, z2)) / 4 - 1

    for ours in (loss, squared):
        found, gradients = with_gradients(ours, case.vectors())
        assert close(found, f"{case.name}.cosine")
        for number, one in enumerate(gradients):
            assert close(one, f"{case.name}.cosine.gradient.{number}")


@pytest.mark.parametrize("name", HEADS)
def test_heads_in_training(name: str) -> None:
    """Each layer's tensors under PyTorch's names in order: a linear one, its norm, a ReLU."""
    method, mlp = HEADS[name]
    objective = {"hidden": HIDDEN, "projection": OUTPUTS}
    if method == "simsiam":
        objective["bottleneck"] = BOTTLENECK
    spec: Any = LOOP_METHODS[method].settings.model_validate(
        {
            "data": {"path": "/data"},
            "model": {"architecture": "resnet"},
            "objective": objective,
        }
    )
    layers = spec.mlps(INPUTS)[mlp]
    width = layers[0]
    assert width == (OUTPUTS if mlp == "predictor" else INPUTS)
    model = MLPModel({mlp: layers})
    theirs = their_names(mlp, layers[1])
    given = {key for key in THEIRS if key.startswith(f"{name}.layers.")}
    assert {f"{name}.{key}" for key in theirs.values()} == given
    for ours, key in theirs.items():
        variable = model.named_variables[ours]
        if "running" in ours:
            variable.assign(np.full(variable.shape, float(ours.endswith("var"))))
        else:
            variable.assign(values(f"{name}.{key}", tuple(variable.shape)))
            assert np.array_equal(variable.numpy(), THEIRS[f"{name}.{key}"])
    found = model.through(mlp, tf.constant(features(name, width)), True)
    assert close(found, f"{name}.output", 1e-4)
    for ours, key in theirs.items():
        if "running" in ours:
            assert close(model.named_variables[ours].numpy(), f"{name}.{key}"), ours


def their_names(mlp: str, layers: list[Any]) -> dict[str, str]:
    """Our tensor → its name in ``nn.Sequential``, whose places count norms and ReLUs too."""
    place, found = 0, {}
    for number, layer in enumerate(layers):
        part = f"{mlp}.{number}"
        found[f"{part}.weight"] = f"layers.{place}.weight"
        if layer.bias:
            found[f"{part}.bias"] = f"layers.{place}.bias"
        place += 1
        if layer.norm != "none":
            kept = ["running_mean", "running_var"]
            for key in ["weight", "bias", *kept] if layer.norm == "affine" else kept:
                found[f"{part}.norm.{key}"] = f"layers.{place}.{key}"
            place += 1
        place += layer.relu
    return found
