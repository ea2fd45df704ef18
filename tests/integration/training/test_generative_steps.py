"""What one step of a model that makes images does: losses, formulas, gradients, what follows.

Everything is written out here in NumPy, or computed another way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.integration.training.generative import spec_of
from tests.integration.training.labelled import image_dataset
from tests.integration.training.runs import Steps, built, named
from training.backbones.conditional_gan.config import VECTOR, ConditionalGANConfig
from training.backbones.conditional_gan.model import ConditionalGAN
from training.generative import losses
from training.methods.task_related.cgan_task import drawn
from training.weights.initial import initial_tensors

Array = np.ndarray
Folders = pytest.TempPathFactory
BATCH = 8


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: Folders) -> Path:
    return image_dataset(tmp_path_factory.mktemp("data") / "d", {"red": 20, "green": 20})


@pytest.fixture(scope="module")
def cgan(dataset: Path, tmp_path_factory: Folders) -> Steps:
    spec = spec_of("cgan", dataset, objective={"average": 0.6})
    spec["model"] = spec["model"] | {"spectral_norm": True}
    return Steps(spec, tmp_path_factory.mktemp("cgan") / "run").take(3)


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def gradients(task: Any, number: int = 0) -> tuple[float, dict[str, Array]]:
    """The summed loss of a micro-batch, and its gradients by name."""
    names = task.phases[0].names
    variables = [task.model.named_variables[name].value for name in names]
    seed = tf.constant([task.spec.seed, number], tf.int32)
    loss, _count, found = task.gradients(task.batch(number), seed, variables, task.phases[0])
    return float(loss), {n: dense(g) for n, g in zip(names, found, strict=True)}


def dense(gradient: Any) -> Array:
    """A gradient of looked-up rows as a whole table."""
    return np.array(tf.convert_to_tensor(gradient))


# --- losses against NumPy -------------------------------------------------------------------------


def test_the_divergence_is_the_closed_form_summed_over_the_latents() -> None:
    mean, log_variance = random(5, 7), random(5, 7, seed=1)
    found = losses.divergence(tf.constant(mean), tf.constant(log_variance)).numpy()
    expected = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(1)
    assert np.allclose(found, expected)
    assert np.allclose(losses.divergence(tf.zeros([2, 3]), tf.zeros([2, 3])), 0)


def test_the_divergence_is_what_samples_say() -> None:
    """E_q[ log q(z) − log p(z) ]."""
    mean, log_variance = np.array([[0.7, -0.3]]), np.array([[-0.5, 0.4]])
    z = mean + np.exp(log_variance / 2) * random(400_000, 2, seed=2)
    log_q = -((z - mean) ** 2) / np.exp(log_variance) / 2 - log_variance / 2
    estimate = (log_q + z**2 / 2).sum(1).mean()
    found = losses.divergence(tf.constant(mean), tf.constant(log_variance)).numpy()
    assert found[0] == pytest.approx(estimate, rel=0.01)


def test_a_bernoulli_s_loss_is_the_cross_entropy_summed_over_pixels() -> None:
    images, logits = sigmoid(random(4, 3, 3, 2)), random(4, 3, 3, 2, seed=1)
    ink = sigmoid(logits)
    each = -(images * np.log(ink) + (1 - images) * np.log(1 - ink))
    found = losses.bernoulli(tf.constant(images), tf.constant(logits)).numpy()
    assert np.allclose(found, each.sum((1, 2, 3)))


def test_a_gaussian_s_loss_is_its_density_s_logarithm() -> None:
    images, logits = sigmoid(random(4, 3, 3, 2)), random(4, 3, 3, 2, seed=1)
    deviation = 0.3
    density = np.exp(-((images - sigmoid(logits)) ** 2) / (2 * deviation**2))
    density /= deviation * np.sqrt(2 * np.pi)
    found = losses.gaussian(
        tf.constant(images), tf.constant(logits), tf.constant(np.log(deviation))
    ).numpy()
    assert np.allclose(found, -np.log(density).sum((1, 2, 3)))


def test_adversarial_losses_are_their_formulas() -> None:
    real, fake = random(20) * 3, random(20, seed=1) * 3
    hinge = losses.discriminator_loss(tf.constant(real), tf.constant(fake), "hinge").numpy()
    assert np.allclose(hinge, np.maximum(0, 1 - real) + np.maximum(0, 1 + fake))
    assert np.allclose(losses.generator_loss(tf.constant(fake), "hinge"), -fake)
    classic = losses.discriminator_loss(tf.constant(real), tf.constant(fake), "non_saturating")
    assert np.allclose(classic, -np.log(sigmoid(real)) - np.log(1 - sigmoid(fake)))
    classic = losses.generator_loss(tf.constant(fake), "non_saturating")
    assert np.allclose(classic, -np.log(sigmoid(fake)))


# --- the networks ---------------------------------------------------------------------------------


def test_the_discriminator_s_score_is_the_projection() -> None:
    """D(x, y) = ⟨e_y, φ(x)⟩ + w φ(x) + b."""
    config = ConditionalGANConfig(width=4, latent=4, embedding=4, discriminator_width=4)
    model = ConditionalGAN(config)
    values = initial_tensors(config.tensors(), 0)
    model.load_named(values)
    images = sigmoid(random(6, 28, 28, 1)).astype(np.float32)
    labels = np.array([0, 3, 9, 3, 1, 0], np.int32)
    seen = model.seen(tf.constant(images)).numpy().astype(np.float64)
    rows = values["discriminator.class.weight"][labels]
    plain = seen @ values["discriminator.score.weight"][0] + values["discriminator.score.bias"][0]
    found = model.scores(tf.constant(images), tf.constant(labels)).numpy()
    assert np.allclose(found, (rows * seen).sum(1) + plain, rtol=1e-4, atol=1e-4)
    assert seen.shape == (6, config.pooled)


def test_spectral_norms_come_to_the_largest_singular_value() -> None:
    config = ConditionalGANConfig(width=4, discriminator_width=4, spectral_norm=True)
    model = ConditionalGAN(config)
    values = initial_tensors(config.tensors(), 1)
    model.load_named(values)
    for _ in range(300):
        for name, vector in model.next_vectors().items():
            model.named_variables[name].assign(vector)
    for name, value in values.items():
        if f"{name}{VECTOR}" in values:
            largest = np.linalg.svd(value.reshape(len(value), -1), compute_uv=False)[0]
            assert np.allclose(model.matrix(name), value / largest, rtol=2e-3, atol=1e-5), name
    assert np.array_equal(model.matrix("generator.inner.weight"), values["generator.inner.weight"])


def test_the_class_changes_what_is_made_and_what_is_scored() -> None:
    config = ConditionalGANConfig(width=4, latent=4, embedding=4, discriminator_width=4)
    model = ConditionalGAN(config)
    model.load_named(initial_tensors(config.tensors(), 0))
    latents = tf.constant(np.tile(random(1, 4).astype(np.float32), (2, 1)))
    first, second = model.images(latents, tf.constant([1, 2])).numpy()
    assert np.abs(first - second).max() > 1e-3
    images = tf.constant(np.stack([first, first]))
    one, other = model.scores(images, tf.constant([1, 2])).numpy()
    assert abs(one - other) > 1e-4


# --- a step ---------------------------------------------------------------------------------------


def test_each_network_follows_the_gradient_of_its_own_loss(dataset: Path, tmp_path: Path) -> None:
    """Computed here one after the other, each with the other's images or scores held fixed."""
    spec = spec_of("cgan", dataset, objective={"loss": "hinge", "r1": 2.0})
    task = built(spec, tmp_path / "run")
    loss, found = gradients(task)
    pixels, labels, _mask = task.batch(0)
    images = tf.cast(pixels, tf.float32) / 255
    latents = drawn(tf.constant([3, 0], tf.int32), BATCH, 6)
    model, variables = task.model, {n: v.value for n, v in task.model.named_variables.items()}
    makes = [n for n in found if n.startswith("generator.")]
    tells = [n for n in found if n.startswith("discriminator.")]
    assert len(makes) + len(tells) == len(found)
    made = tf.constant(model.images(latents, labels).numpy())
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(images)
            scores = model.scores(images, labels)
            total = tf.reduce_sum(scores)
        steep = tf.square(inner.gradient(total, images))
        each = tf.nn.relu(1 - scores) + tf.nn.relu(1 + model.scores(made, labels))
        telling = tf.reduce_sum(each) + tf.reduce_sum(steep)  # R1: half of 2
    expected = tape.gradient(telling, [variables[n] for n in tells])
    for name, gradient in zip(tells, map(dense, expected), strict=True):
        scale = np.abs(gradient).max() + 1e-6
        assert np.abs(found[name] - gradient).max() < 2e-3 * scale, name
    with tf.GradientTape() as tape:
        making = -tf.reduce_sum(model.scores(model.images(latents, labels), labels))
    expected = tape.gradient(making, [variables[n] for n in makes])
    for name, gradient in zip(makes, map(dense, expected), strict=True):
        scale = np.abs(gradient).max() + 1e-6
        assert np.abs(found[name] - gradient).max() < 2e-3 * scale, name
    assert loss == pytest.approx(float(telling + making), rel=1e-4)


def test_a_vae_s_step_is_the_bound_at_one_draw(dataset: Path, tmp_path: Path) -> None:
    task = built(spec_of("cvae", dataset, objective={"kl_weight": 0.5}), tmp_path / "run")
    loss, found = gradients(task)
    pixels, labels, _mask = task.batch(0)
    images = pixels.astype(np.float32) / 255
    mean, log_variance = (x.numpy() for x in task.model.encoded(tf.constant(images), labels))
    noise = tf.random.stateless_normal([BATCH, 4], tf.constant([3, 0], tf.int32)).numpy()
    z = mean + np.exp(log_variance / 2) * noise
    ink = sigmoid(task.model.decoded(tf.constant(z), labels).numpy().astype(np.float64))
    reconstruction = -(images * np.log(ink) + (1 - images) * np.log(1 - ink)).sum()
    apart = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum()
    assert loss == pytest.approx(reconstruction + 0.5 * apart, rel=1e-4)
    assert all(np.any(gradient) for gradient in found.values())


def test_the_average_follows_the_generator(cgan: Steps) -> None:
    """θ̄ ← m θ̄ + (1 − m) θ, m at most (1 + t) / (10 + t); θ as it is after the update."""
    names = [n for n in cgan.weights[0] if n.startswith("average.")]
    assert len(names) > 5
    for step in (1, 2, 3):
        before, after = cgan.weights[step - 1 : step + 1]
        momentum = min(0.6, (1 + step) / (10 + step))
        for name in names:
            now = after[name.removeprefix("average.")]
            expected = momentum * before[name] + (1 - momentum) * now
            assert np.allclose(after[name], expected, atol=1e-6), name
    start = cgan.weights[0]
    assert all(np.array_equal(start[n], start[n.removeprefix("average.")]) for n in names)


def test_spectral_vectors_take_one_iteration_a_step(cgan: Steps) -> None:
    names = [n for n in cgan.weights[0] if n.endswith(VECTOR)]
    assert len(names) == 5
    before, after = cgan.weights[1:3]
    for name in names:
        weight = after[name.removesuffix(VECTOR)]
        flat = weight.reshape(len(weight), -1).astype(np.float64)
        right = flat.T @ before[name]
        left = flat @ (right / np.linalg.norm(right))
        assert np.allclose(after[name], left / np.linalg.norm(left), atol=1e-4), name


def test_the_discriminator_has_a_learning_rate_of_its_own(dataset: Path, tmp_path: Path) -> None:
    spec = spec_of("cgan", dataset, objective={"discriminator_rate": 4.0})
    steps = Steps(spec, tmp_path / "run").take(1)
    # Adam's first step is its rate, whatever the gradient.
    moved = {n: np.abs(steps.weights[1][n] - steps.weights[0][n]).max() for n in steps.weights[0]}
    own = moved["generator.inner.weight"]
    assert moved["discriminator.down.0.weight"] == pytest.approx(4 * own, rel=1e-2)


def test_accumulated_batches_make_one_step(dataset: Path, tmp_path: Path) -> None:
    training = {"accumulation": 2, "clip_norm": None, "beta_1": 0.9}
    spec = spec_of("cgan", dataset, training=training)
    steps = Steps(spec, tmp_path / "run")
    parts = [gradients(steps.task, number) for number in (0, 1)]
    steps.take(1)
    assert steps.losses[0] == pytest.approx(sum(p[0] for p in parts) / (2 * BATCH), rel=1e-4)
    slots = steps.loop.optimizer.named()
    for name in parts[0][1]:
        expected = (parts[0][1][name] + parts[1][1][name]) / (2 * BATCH)
        scale = np.abs(expected).max() + 1e-6
        assert np.abs(slots[f"{name}.m"] / 0.1 - expected).max() < 2e-3 * scale, name


def test_rows_that_do_not_count_change_nothing(dataset: Path, tmp_path: Path) -> None:
    for method in ("cvae", "cgan"):
        task = built(spec_of(method, dataset), tmp_path / method)
        pixels, labels, mask = task.batch(0)
        mask[4:] = 0
        other = pixels.copy()
        other[4:] = 0
        seed = tf.constant([3, 0], tf.int32)
        variables = [task.model.named_variables[n].value for n in task.phases[0].names]
        first, second = (
            task.gradients((one, labels, mask), seed, variables, task.phases[0])
            for one in (pixels, other)
        )
        assert float(first[1]) == 4
        assert float(first[0]) == pytest.approx(float(second[0]), rel=1e-5)


def test_a_task_begins_with_the_average_like_the_generator(cgan: Steps) -> None:
    made = cgan.task.make(cgan.task.latents("samples", 2), np.array([0, 1]))
    again = cgan.task.make(cgan.task.latents("samples", 2), np.array([0, 1]))
    assert np.array_equal(made, again)
    values = named(cgan.task)
    average = cgan.task.result(values)
    assert np.array_equal(
        average["generator.inner.weight"], values["average.generator.inner.weight"]
    )
    assert not np.array_equal(average["generator.inner.weight"], values["generator.inner.weight"])
