"""What one step on two views does: its loss and gradients, the momentum encoder, the queue, norms.

Views are drawn as the run draws them, and everything after that is written out here.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.integration.training.labelled import image_dataset
from tests.integration.training.runs import Steps, built, changed, named
from tests.integration.training.siamese import RESNET, VIT, spec_of
from training.backbones.registry import BACKBONES
from training.siamese.mlp import Layer
from training.siamese.network import SiameseNetwork
from training.siamese.settings import pooled_config, pooled_width
from training.siamese.views import two_views
from training.weights.initial import initial_weights

Array = np.ndarray
Weights = dict[str, Array]
Folders = pytest.TempPathFactory

BATCH, QUEUE, WIDTH, TEMPERATURE = 8, 24, 16, 0.2
PEAK, FINAL = 3e-3, 0.1


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: Folders) -> Path:
    return image_dataset(tmp_path_factory.mktemp("data") / "d", {"red": 20, "green": 20})


def views_of(task: Any, number: int) -> tuple[Array, Array, Array]:
    """The views of a micro-batch as its step sees them, normalised, and the mask."""
    pixels, mask = task.batch(number)
    seed = tf.constant([task.spec.seed, number], tf.int32)
    inputs = task.loaded.inputs
    first, second = (
        (np.array(view) - inputs.mean) / inputs.deviation
        for view in two_views(pixels, seed, task.spec.views)
    )
    return first, second, mask


def unit(z: Any) -> Array:
    z = np.array(z, np.float64)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def gradients(task: Any, number: int = 0) -> tuple[float, dict[str, Array]]:
    """The summed loss of a micro-batch, and its gradients by name."""
    names = task.phases[0].names
    variables = [task.model.named_variables[name].value for name in names]
    seed = tf.constant([task.spec.seed, number], tf.int32)
    loss, _count, found = task.gradients(task.batch(number), seed, variables, task.phases[0])
    return float(loss), {n: np.array(g) for n, g in zip(names, found, strict=True)}


def gradients_of(task: Any, loss: Any) -> dict[str, Array]:
    """Of a loss that is computed here."""
    names = task.phases[0].names
    variables = [task.model.named_variables[name].value for name in names]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        total = tf.reduce_sum(loss())
    found = tape.gradient(total, variables, unconnected_gradients="zero")
    return {n: np.array(g) for n, g in zip(names, found, strict=True)}


def assert_close(found: dict[str, Array], expected: dict[str, Array], rel: float = 1e-3) -> None:
    assert found.keys() == expected.keys()
    scale = max(np.abs(one).max() for one in expected.values())
    assert scale > 1e-3
    for name, one in expected.items():
        assert np.abs(found[name] - one).max() < rel * scale, name


def apart(found: dict[str, Array], others: dict[str, Array], prefix: str = "") -> bool:
    """Whether gradients differ by more than rounding."""
    return any(
        np.abs(found[name] - others[name]).max() > 1e-2 * np.abs(others[name]).max() + 1e-6
        for name in found.keys() & others.keys()
        if name.startswith(prefix)
    )


# --- SimCLR ---------------------------------------------------------------------------------------


def test_simclr_sees_both_views_at_once(dataset: Path, tmp_path: Path) -> None:
    """Its batch norms take the statistics of all 2N views."""
    task = built(spec_of("simclr", dataset), tmp_path / "run")
    first, second, _mask = views_of(task, 0)
    z = unit(task.model.projected(np.concatenate([first, second]), training=True))
    scores = np.exp(z @ z.T / TEMPERATURE)
    np.fill_diagonal(scores, 0)
    partner = np.roll(np.arange(2 * BATCH), BATCH)
    expected = -np.log(scores[np.arange(2 * BATCH), partner] / scores.sum(1))
    loss, found = gradients(task)
    assert loss == pytest.approx(expected.sum() / 2, rel=1e-4)
    assert all(np.any(gradient) for gradient in found.values())


def test_accumulated_batches_make_one_step(dataset: Path, tmp_path: Path) -> None:
    """The mean loss of both, each with negatives of its own; one update of their summed gradients,
    over all of their images."""
    training = {"accumulation": 2, "clip_norm": None}
    steps = Steps(spec_of("simclr", dataset, training=training), tmp_path / "run")
    alone = built(spec_of("simclr", dataset, training=training), tmp_path / "alone")
    parts = [gradients(alone, number) for number in (0, 1)]
    steps.take(1)
    assert steps.losses[0] == pytest.approx(
        sum(loss for loss, _found in parts) / (2 * BATCH), rel=1e-4
    )
    slots = steps.loop.optimizer.named()
    beta = 1 - steps.task.spec.training.beta_1
    assert_close(
        {name: slots[f"{name}.m"] / beta for name in parts[0][1]},
        {name: (parts[0][1][name] + parts[1][1][name]) / (2 * BATCH) for name in parts[0][1]},
    )


# --- the momentum encoder -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def byol(dataset: Path, tmp_path_factory: Folders) -> Steps:
    return Steps(spec_of("byol", dataset), tmp_path_factory.mktemp("byol") / "run").take(5)


@pytest.fixture(scope="module")
def moco(dataset: Path, tmp_path_factory: Folders) -> Steps:
    """With batch norms, and batches accumulated."""
    spec = spec_of("moco", dataset, training={"accumulation": 2})
    return Steps(spec, tmp_path_factory.mktemp("moco") / "run").take(2)


def assert_follows(before: Weights, after: Weights, momentum: float) -> None:
    """θ′ ← m θ′ + (1 − m) θ of every parameter, θ as it is after the update."""
    parameters = [
        name
        for name in after
        if name.startswith("momentum.") and not name.endswith(("running_mean", "running_var"))
    ]
    assert len(parameters) > 10
    for name in parameters:
        online = after[name.removeprefix("momentum.")]
        expected = momentum * before[name] + (1 - momentum) * online
        assert np.allclose(after[name], expected, atol=1e-6), name


def test_byol_s_target_follows_ever_more_slowly(byol: Steps) -> None:
    """m = 1 − (1 − m₀) (cos(π k / K) + 1) / 2, 1 at the last step."""
    assert byol.task.spec.objective.momentum == 0.6
    for step in range(1, 6):
        momentum = 1 - (1 - 0.6) * (math.cos(math.pi * step / 5) + 1) / 2
        assert_follows(byol.weights[step - 1], byol.weights[step], momentum)
    moved = changed(byol.weights[0], byol.weights[1])
    assert "momentum.conv1.weight" in moved
    last = changed(byol.weights[4], byol.weights[5])
    assert {name for name in last if name.startswith("momentum.")} == {
        name for name in last if name.startswith("momentum.") and ".running_" in name
    }


def test_moco_s_key_encoder_follows_at_the_same_pace_once_a_step(moco: Steps) -> None:
    for step in (1, 2):
        assert_follows(moco.weights[step - 1], moco.weights[step], 0.8)


def test_running_statistics_follow_what_each_encoder_sees_itself(byol: Steps) -> None:
    """The target's come of its own weights: after the second step no longer the same, nor between
    its own and the other's."""
    online, target = ("bn1.running_mean", "momentum.bn1.running_mean")
    start, first, second = byol.weights[:3]
    assert np.allclose(first[target], first[online], atol=1e-6)
    assert not np.allclose(first[target], start[target], atol=1e-4)
    assert not np.allclose(second[target], second[online], atol=1e-5)
    # Written out: two views in turn through the target's first convolution.
    expected, model = first[target], byol.task.model._target[0]
    kept = named(byol.task)
    byol.task.model.named_variables["momentum.conv1.weight"].assign(first["momentum.conv1.weight"])
    for view in views_of(byol.task, 1)[:2]:
        maps = np.array(model.convolve(view, "conv1", stride=2, padding=3))
        expected = 0.9 * expected + 0.1 * maps.mean((0, 1, 2))
    byol.task.model.named_variables["momentum.conv1.weight"].assign(kept["momentum.conv1.weight"])
    assert np.allclose(second[target], expected, atol=1e-5)


def test_only_the_online_side_of_byol_has_a_predictor(byol: Steps) -> None:
    names = byol.weights[0].keys()
    assert any(name.startswith("predictor.") for name in names)
    assert any(name.startswith("momentum.projector.") for name in names)
    assert not any("predictor" in name for name in names if name.startswith("momentum."))
    assert not set(byol.task.model.trainable_names()) & {n for n in names if "momentum" in n}


# --- where no gradient flows ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["byol", "moco"])
def test_no_gradient_flows_into_the_momentum_encoder(
    method: str, dataset: Path, tmp_path: Path
) -> None:
    task = built(spec_of(method, dataset), tmp_path / "run")
    first, second, mask = views_of(task, 0)
    variables = {
        name: variable.value
        for name, variable in task.model.named_variables.items()
        if name.startswith("momentum.")
    }
    assert variables
    assert not {*variables, "queue"} & set(task.model.trainable_names())
    with tf.GradientTape() as tape:
        tape.watch(list(variables.values()))
        loss = tf.reduce_sum(task.losses(first, second, mask, [3, 0], training=True))
    assert tape.gradient(loss, list(variables.values())) == [None] * len(variables)


def test_byol_s_gradient_is_that_of_a_target_that_is_given(dataset: Path, tmp_path: Path) -> None:
    task = built(spec_of("byol", dataset), tmp_path / "run")
    model, (first, second, _mask) = task.model, views_of(task, 0)
    # The target differs from the online network, as it does after some steps.
    for name, variable in model.named_variables.items():
        if name.startswith("momentum.") and name.endswith("weight"):
            variable.assign(variable.value * 1.3 + 0.01)
    given = [unit(model.projected(view, training=True, target=True)) for view in (first, second)]

    def loss() -> Any:
        found = 0.0
        for view, target in ((first, given[1]), (second, given[0])):
            p = model.predicted(model.projected(view, training=True), training=True)
            p = p / tf.norm(p, axis=1, keepdims=True)
            found += tf.reduce_sum(tf.square(p - tf.constant(target, tf.float32)), 1)
        return found

    total, found = gradients(task)
    assert total == pytest.approx(float(tf.reduce_sum(loss())), rel=1e-4)
    assert_close(found, gradients_of(task, loss))


def test_simsiam_s_gradient_is_that_of_projections_that_are_given(
    dataset: Path, tmp_path: Path
) -> None:
    task = built(spec_of("simsiam", dataset), tmp_path / "run")
    model, (first, second, _mask) = task.model, views_of(task, 0)
    given = [unit(model.projected(view, training=True)) for view in (first, second)]

    def loss() -> Any:
        found = 0.0
        for view, target in ((first, given[1]), (second, given[0])):
            p = model.predicted(model.projected(view, training=True), training=True)
            p = p / tf.norm(p, axis=1, keepdims=True)
            found -= tf.reduce_sum(p * tf.constant(target, tf.float32), 1) / 2
        return found

    total, found = gradients(task)
    assert total == pytest.approx(float(tf.reduce_sum(loss())), rel=1e-4)
    assert_close(found, gradients_of(task, loss))


@pytest.mark.parametrize("method", ["byol", "simsiam"])
def test_without_the_stop_gradient_the_loss_is_the_same_and_its_gradient_another(
    method: str, dataset: Path, tmp_path: Path
) -> None:
    kept, without = (
        built(spec_of(method, dataset, objective={"stop_gradient": stop}), tmp_path / str(stop))
        for stop in (True, False)
    )
    assert not any(name.startswith("momentum.") for name in without.model.named_variables)
    (loss, found), (same_loss, others) = gradients(kept), gradients(without)
    assert loss == pytest.approx(same_loss, rel=1e-5)
    assert apart(found, others, "projector.")
    assert apart(found, others, "conv1.")


def test_byol_without_a_predictor_compares_projections(dataset: Path, tmp_path: Path) -> None:
    spec = spec_of("byol", dataset, objective={"predictor": False})
    task = built(spec, tmp_path / "run")
    first, second, _mask = views_of(task, 0)
    a, b = (unit(task.model.projected(view, training=True)) for view in (first, second))
    # At first the target is the online network.
    assert gradients(task)[0] == pytest.approx(2 * np.square(a - b).sum(), rel=1e-4)


# --- SimSiam's learning rates ---------------------------------------------------------------------


def test_only_the_predictor_s_learning_rate_stays_at_the_peak(
    dataset: Path, tmp_path: Path
) -> None:
    """The first step of Adam changes each number by the learning rate, whatever the gradient: here
    a run's last, whose rate has fallen to a tenth."""
    training = {"steps": 1, "warmup_steps": 0, "learning_rate": PEAK, "weight_decay": 0}
    steps = Steps(spec_of("simsiam", dataset, training=training), tmp_path / "run").take(1)
    before, after = steps.weights
    trained = steps.task.model.trainable_names()
    predictor = {name for name in trained if name.startswith("predictor.")}
    assert steps.loop.optimizer.unscheduled == steps.task.unscheduled == predictor
    for name in trained:
        rate = PEAK if name in predictor else PEAK * FINAL
        most = np.abs(after[name] - before[name]).max()
        assert most == pytest.approx(rate, rel=0.02), name


# --- MoCo's queue ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_norms(dataset: Path, tmp_path_factory: Folders) -> Steps:
    """A vision transformer, whose keys do not depend on each other: four steps, three of which
    fill the queue."""
    spec = spec_of("moco", dataset, model=VIT.model_dump())
    return Steps(spec, tmp_path_factory.mktemp("vit") / "run").take(4)


def keys_of(steps: Steps, step: int) -> Array:
    """The keys of a step's second views, by the key encoder as it was before the step."""
    task, kept = steps.task, named(steps.task)
    variables = task.model.named_variables
    for name, value in steps.weights[step - 1].items():
        variables[name].assign(value)
    _first, second, _mask = views_of(task, step - 1)
    found = unit(task.model.projected(second, training=False, target=True))
    for name, value in kept.items():
        variables[name].assign(value)
    return found


def test_the_queue_begins_as_random_directions(without_norms: Steps) -> None:
    queue = without_norms.weights[0]["queue"]
    assert queue.shape == (QUEUE, WIDTH)
    assert np.allclose(np.linalg.norm(queue, axis=1), 1, atol=1e-5)
    assert np.abs(queue @ queue.T - np.eye(QUEUE)).max() < 0.95


def test_keys_take_the_place_of_the_oldest_in_the_order_of_their_images(
    without_norms: Steps,
) -> None:
    for step in range(1, 5):
        before, after = (without_norms.weights[n]["queue"] for n in (step - 1, step))
        start = (step - 1) % (QUEUE // BATCH) * BATCH
        places = np.arange(start, start + BATCH)
        assert np.allclose(after[places], keys_of(without_norms, step), atol=1e-5), step
        others = np.delete(np.arange(QUEUE), places)
        assert np.array_equal(after[others], before[others])
        assert np.allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)


def test_a_step_s_keys_are_no_negatives_of_its_own(without_norms: Steps) -> None:
    """The loss of each step is that with the queue as it was before: also where keys of earlier
    steps are in it."""
    for step in (1, 3, 4):
        weights = without_norms.weights[step - 1]
        keys = keys_of(without_norms, step)
        kept = named(without_norms.task)
        variables = without_norms.task.model.named_variables
        for name, value in weights.items():
            variables[name].assign(value)
        first, _second, _mask = views_of(without_norms.task, step - 1)
        queries = unit(without_norms.task.model.projected(first, training=False))
        for name, value in kept.items():
            variables[name].assign(value)
        positive = np.exp((queries * keys).sum(1) / TEMPERATURE)
        negatives = np.exp(queries @ weights["queue"].T / TEMPERATURE).sum(1)
        expected = -np.log(positive / (positive + negatives)).mean()
        assert without_norms.losses[step - 1] == pytest.approx(expected, rel=1e-4)


def test_accumulated_batches_each_enter_the_queue(moco: Steps) -> None:
    """Two of eight a step, in a queue of 24: the second step's second batch comes round again."""
    start, first, second = (weights["queue"] for weights in moco.weights)
    moved = (np.abs(first - start).max(1) > 1e-4, np.abs(second - first).max(1) > 1e-4)
    assert list(np.flatnonzero(moved[0])) == list(range(16))
    assert list(np.flatnonzero(moved[1])) == [*range(8), *range(16, 24)]


@pytest.mark.parametrize("method", ["simclr", "byol", "simsiam", "moco"])
def test_evaluation_changes_nothing_and_sees_the_same_views_each_time(
    method: str, dataset: Path, tmp_path: Path
) -> None:
    task = built(spec_of(method, dataset), tmp_path / "run")
    before = named(task)
    batches = list(task.evaluation_batches("validation", 2))
    one, again = ([task.scores(batch) for batch in batches] for _ in range(2))
    assert not changed(before, named(task))
    assert [float(scores["loss"]) for scores in one] == [float(s["loss"]) for s in again]
    examples = sum(float(scores["examples"]) for scores in one)
    assert examples == len(task.loaded.splits["validation"]) < BATCH * len(batches)


# --- parts of a batch for batch norms -------------------------------------------------------------


def test_without_batch_norms_parts_and_their_order_change_no_key(
    dataset: Path, tmp_path: Path
) -> None:
    together, apart_ = (
        built(
            spec_of("moco", dataset, model=VIT.model_dump(), objective={"norm_parts": parts}),
            tmp_path / str(parts),
        )
        for parts in (1, 4)
    )
    _first, second, _mask = views_of(together, 0)
    seed = tf.constant([3, 0], tf.int32)
    one, other = (np.array(task._keys(second, seed, True)) for task in (together, apart_))
    assert np.ptp(one, axis=0).max() > 1e-2
    assert np.allclose(one, other, atol=1e-5)


def test_each_part_of_a_batch_is_normalised_by_itself(dataset: Path, tmp_path: Path) -> None:
    task = built(spec_of("moco", dataset), tmp_path / "run")
    first, second, _mask = views_of(task, 0)
    for target in (False, True):
        whole = np.array(task.model.projected(first, training=True, target=target, parts=2))
        halves = [
            np.array(task.model.projected(half, training=True, target=target))
            for half in np.split(first, 2)
        ]
        assert np.allclose(whole, np.concatenate(halves), atol=1e-5)
        together = np.array(task.model.projected(first, training=True, target=target))
        assert np.abs(whole - together).max() > 1e-2
    # Keys are in other company than the queries of their images.
    seed = tf.constant([3, 0], tf.int32)
    keys = np.array(task._keys(second, seed, True))
    unshuffled = np.array(task.model.projected(second, training=True, target=True, parts=2))
    assert np.abs(keys - unshuffled).max() > 1e-2
    other = np.array(task._keys(second, tf.constant([3, 1], tf.int32), True))
    assert np.abs(keys - other).max() > 1e-2


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [k for k, b in BACKBONES.items() if b.kind == "image"])
def test_features_are_as_wide_as_is_reckoned(architecture: str) -> None:
    presets = BACKBONES[architecture].presets.values()
    config = min(presets, key=lambda one: one.parameter_count())
    small = {"image_size": 32, "depth": 1} if architecture == "vit" else {}
    config = pooled_config(config.model_copy(update=small))
    width = pooled_width(config)
    network = SiameseNetwork(
        config,
        {"projector": (width, [Layer(8)])},
        follows=None,
        queue=None,
        compute_dtype="float32",
    )
    network.start(initial_weights(config, 0), 0)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    assert network.online.pooled(images, False).shape == (2, width)
    assert network.projected(images, training=False).shape == (2, 8)


def test_the_network_has_what_these_tests_take_it_to_have() -> None:
    assert any("running_mean" in spec.name for spec in RESNET.tensors())
    assert not any("running_mean" in spec.name for spec in VIT.tensors())
