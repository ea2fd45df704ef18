"""FTRL-Proximal and AdaGrad against plain NumPy, and several optimisers as one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from training.engine.ftrl import EPSILON, AdaGrad, Ftrl, Together
from training.engine.optimizer import AdamW, Optimizer
from training.methods.task_related.wide_deep_spec import WideDeepTrainingSpec

Floats = npt.NDArray[np.float64]
TRAINING = WideDeepTrainingSpec(clip_norm=None, weight_decay=0.0)


class PlainFtrl:
    """Algorithm 1 of McMahan et al., 2013, coordinate by coordinate."""

    def __init__(self, shape: tuple[int, ...], rate: float, beta: float, l1: float, l2: float):
        self.rate, self.beta, self.l1, self.l2 = rate, beta, l1, l2
        self.z, self.n = np.zeros(shape), np.zeros(shape)

    def weights(self) -> Floats:
        below = (self.beta + np.sqrt(self.n)) / self.rate + self.l2
        w = -(self.z - np.sign(self.z) * self.l1) / below
        return np.where(np.abs(self.z) <= self.l1, 0.0, w)

    def step(self, g: Floats) -> None:
        sigma = (np.sqrt(self.n + g * g) - np.sqrt(self.n)) / self.rate
        self.z += g - sigma * self.weights()
        self.n += g * g


def gradients(shape: tuple[int, ...], steps: int) -> list[Floats]:
    random = np.random.default_rng(0)
    found = [random.normal(0, 0.5, shape) for _ in range(steps)]
    for g in found:
        g[random.random(shape) < 0.4] = 0.0  # categories that a batch does not have
    return found


def apply(optimizer: Optimizer, name: str, g: Floats, step: int, rate: float = 0.1) -> Any:
    scalars = [tf.constant(value, tf.float32) for value in (1.0, rate, step)]
    return optimizer.apply([name], [tf.constant(g, tf.float32)], *scalars)


@pytest.mark.parametrize(("l1", "l2", "beta"), [(0, 0, 1), (1, 0, 1), (1, 0.5, 0.2)])
def test_ftrl_is_the_papers_whatever_the_runs_rate(l1: float, l2: float, beta: float) -> None:
    variable = tf.Variable(tf.zeros((5, 3)))
    ours = Ftrl({"w": variable}, TRAINING, rate=0.2, beta=beta, l1=l1, l2=l2)
    plain = PlainFtrl((5, 3), 0.2, beta, l1, l2)
    for step, g in enumerate(gradients((5, 3), 30), start=1):
        apply(ours, "w", g, step, rate=0.1 / step)
        plain.step(g)
        np.testing.assert_allclose(variable.numpy(), plain.weights(), atol=1e-5)
    assert (l1 > 0) == bool((variable.numpy() == 0).any())


def test_weights_of_a_source_stay_where_no_gradient_comes() -> None:
    start = np.array([[0.5, -0.25], [0.0, 2.0]], np.float32)
    variable = tf.Variable(start)
    ours = Ftrl({"w": variable}, TRAINING, rate=0.2, beta=1.0, l1=0.1, l2=0.3)
    g = np.array([[0.0, 0.0], [0.0, 0.4]])
    apply(ours, "w", g, 1)
    found = variable.numpy()
    np.testing.assert_allclose(found[0], start[0], rtol=1e-6)
    # One step of size about η / (β + |g|) from where it was, and not from zero.
    assert 1.8 < found[1, 1] < 2.0


def test_what_is_not_penalised_is_not_drawn_to_zero() -> None:
    variables = {name: tf.Variable([0.0]) for name in ("w", "bias")}
    ours = Ftrl(variables, TRAINING, rate=0.2, beta=1.0, l1=1.0, l2=0.0, unpenalised={"bias"})
    for name in variables:
        apply(ours, name, np.array([0.5]), 1)
    assert variables["w"].numpy() == 0
    assert variables["bias"].numpy() < 0


def test_adagrad_is_keras_s() -> None:
    random = np.random.default_rng(1)
    start = random.normal(size=(4, 2)).astype(np.float32)
    variable, theirs = tf.Variable(start), keras.Variable(start)
    ours = AdaGrad({"w": variable}, TRAINING, start=0.1)
    other = keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.1, epsilon=EPSILON)
    other.build([theirs])
    for step, g in enumerate(gradients((4, 2), 10), start=1):
        apply(ours, "w", g, step)
        other.apply([tf.constant(g, tf.float32)])
        np.testing.assert_allclose(variable.numpy(), theirs.numpy(), atol=1e-5)


def test_adagrad_is_its_formula() -> None:
    variable = tf.Variable([1.0, 2.0])
    ours = AdaGrad({"w": variable}, TRAINING, start=0.01)
    w, n = np.array([1.0, 2.0]), np.full(2, 0.01)
    for step, g in enumerate(gradients((2,), 10), start=1):
        apply(ours, "w", g, step)
        n += g * g
        w -= 0.1 * g / (np.sqrt(n) + EPSILON)
    np.testing.assert_allclose(variable.numpy(), w, rtol=1e-5)


def test_several_optimisers_share_one_norm_and_have_their_slots_by_name() -> None:
    training = WideDeepTrainingSpec(clip_norm=1.0)
    variables = {name: tf.Variable(tf.zeros(2)) for name in ("wide", "deep", "other")}

    def both() -> Together:
        parts = {name: {name: variable} for name, variable in variables.items()}
        by_ftrl = Ftrl(parts["wide"], training, rate=0.1, beta=1.0, l1=0.0, l2=0.0)
        by_adam = AdamW(parts["other"], training)
        return Together([by_ftrl, AdaGrad(parts["deep"], training, start=0.0), by_adam], training)

    ours = both()
    assert set(ours.slots) == {"wide.n", "wide.z", "deep.n", "other.m", "other.v"}
    g = {"wide": [3.0, 0.0], "other": [0.0, 0.0], "deep": [0.0, 4.0]}
    scalars = [tf.constant(value, tf.float32) for value in (1.0, 0.1, 1.0)]
    norm = ours.apply(list(g), [tf.constant(value) for value in g.values()], *scalars)
    assert float(norm) == pytest.approx(5.0)
    # Clipped to a norm of 1 together: 3 / 5 and 4 / 5.
    assert ours.named()["wide.n"][0] == pytest.approx(0.36, rel=1e-5)
    assert ours.named()["deep.n"][1] == pytest.approx(0.64, rel=1e-5)
    again = both()
    again.load_named(ours.named())
    assert all((again.named()[name] == value).all() for name, value in ours.named().items())
    with pytest.raises(ValueError, match="other variables"):
        again.load_named({"wide.n": np.zeros(2)})
