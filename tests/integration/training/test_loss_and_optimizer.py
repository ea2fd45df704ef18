import numpy as np
import pytest
import tensorflow as tf

from tests.integration.training import reference
from training.engine.losses import cross_entropy_sum, cross_entropy_sum_fused, token_scores
from training.engine.optimizer import AdamW
from training.spec import TrainingSpec


def padded_batch(rows=3, time=7, vocab=11, scale=4.0):
    """Rows of different lengths, padded at the end."""
    random = np.random.default_rng(0)
    logits = random.normal(0, scale, (rows, time, vocab)).astype(np.float32)
    targets = random.integers(0, vocab, (rows, time)).astype(np.int32)
    mask = (np.arange(time) < np.array([[7], [3], [1]])).astype(np.float32)
    return logits, targets, mask


def flat(logits, targets, mask):
    return logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), mask.reshape(-1)


@pytest.mark.parametrize("loss", [cross_entropy_sum, cross_entropy_sum_fused])
@pytest.mark.parametrize("scale", [4.0, 400.0])
def test_the_loss_is_that_of_a_plain_loop_over_real_tokens(loss, scale):
    batch = padded_batch(scale=scale)
    expected, count = reference.negative_log_likelihood(*batch)
    found, _gradient = loss(*map(tf.constant, flat(*batch)))
    assert float(found) == pytest.approx(expected, rel=1e-5)
    scores = token_scores(*map(tf.constant, flat(*batch)))
    assert float(scores["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(scores["tokens"]) == count == 11


@pytest.mark.parametrize("loss", [cross_entropy_sum, cross_entropy_sum_fused])
def test_the_gradient_that_comes_along_is_the_losses(loss):
    logits, targets, mask = map(tf.constant, flat(*padded_batch()))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total, _gradient = cross_entropy_sum(logits, targets, mask)
    _total, gradient = loss(logits, targets, mask)
    assert np.abs(gradient.numpy() - tape.gradient(total, logits).numpy()).max() < 1e-5
    assert (gradient.numpy()[mask.numpy() == 0] == 0).all()


def test_accuracy_counts_real_tokens_only():
    logits, targets, mask = flat(*padded_batch())
    expected = ((logits.argmax(-1) == targets) * mask).sum()
    assert float(token_scores(logits, targets, mask)["correct"]) == expected


@pytest.mark.parametrize("clip", [None, 0.5, 100.0])
def test_adamw_follows_the_reference(clip):
    random = np.random.default_rng(0)
    values = {
        "matrix": random.normal(size=(4, 3)).astype(np.float32),
        "bias": random.normal(size=3).astype(np.float32),
    }
    training = TrainingSpec(weight_decay=0.1, clip_norm=clip, epsilon=1e-4)
    variables = {name: tf.Variable(value) for name, value in values.items()}
    ours, plain = AdamW(variables, training), reference.AdamW(values, training)
    apply = tf.function(ours.apply)
    tokens = 17.0
    for step in range(1, 21):
        gradients = {n: random.normal(size=v.shape).astype(np.float32) for n, v in values.items()}
        rate = 0.05 / step
        norm = apply(
            list(values),
            [tf.constant(g * tokens) for g in gradients.values()],
            tf.constant(tokens),
            tf.constant(rate),
            tf.constant(float(step)),
        )
        assert float(norm) == pytest.approx(plain.apply(gradients, rate), rel=1e-5)
    for name, variable in variables.items():
        assert np.abs(variable.numpy() - plain.values[name]).max() < 1e-5


def test_a_weight_that_is_trained_later_and_slower_begins_its_averages_then():
    start = np.array([[1.0, -2.0], [3.0, 0.5]], np.float32)
    training = TrainingSpec(weight_decay=0.1, clip_norm=None)
    late = {"early": tf.Variable(start), "late": tf.Variable(start)}
    ours = AdamW(late, training, {"late": 0.25}, {"early": 1, "late": 4})
    alone = reference.AdamW({"late": start}, training)
    for step in range(1, 9):
        gradient = np.full([2, 2], 0.1 * step, np.float32) * np.sign(start)
        names = ["early", "late"] if step >= 4 else ["early"]
        ours.apply(
            names,
            [tf.constant(gradient)] * len(names),
            tf.constant(1.0),
            tf.constant(0.02),
            tf.constant(float(step)),
        )
        if step < 4:
            assert np.array_equal(late["late"].numpy(), start)
            assert not ours.slots["late.m"].numpy().any()
        else:
            alone.apply({"late": gradient}, 0.02 * 0.25)
    assert np.abs(late["late"].numpy() - alone.values["late"]).max() < 1e-6
    assert not np.allclose(late["early"].numpy(), late["late"].numpy(), atol=1e-3)


def test_biases_and_norms_do_not_decay():
    variables = {"matrix": tf.Variable(tf.ones([2, 2])), "bias": tf.Variable(tf.ones([2]))}
    optimizer = AdamW(variables, TrainingSpec(weight_decay=0.5))
    zeros = [tf.zeros([2, 2]), tf.zeros([2])]
    optimizer.apply(list(variables), zeros, tf.constant(1.0), tf.constant(0.1), tf.constant(1.0))
    assert np.allclose(variables["matrix"].numpy(), 0.95)
    assert np.allclose(variables["bias"].numpy(), 1.0)


def test_slots_are_saved_and_loaded_by_name():
    variables = {"a": tf.Variable(tf.ones([2, 2])), "b": tf.Variable(tf.ones([2, 2]))}
    optimizer = AdamW(variables, TrainingSpec())
    one = [tf.ones([2, 2]), 2 * tf.ones([2, 2])]
    optimizer.apply(list(variables), one, tf.constant(1.0), tf.constant(0.1), tf.constant(1.0))
    saved = optimizer.named()
    assert list(saved) == ["a.m", "a.v", "b.m", "b.v"]
    fresh = AdamW(variables, TrainingSpec())
    fresh.load_named(dict(reversed(saved.items())))
    assert all(np.array_equal(fresh.named()[name], saved[name]) for name in saved)
    with pytest.raises(ValueError, match="other variables"):
        fresh.load_named({"c.m": np.zeros(2)})
