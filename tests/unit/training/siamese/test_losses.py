"""The losses on two views are the papers' formulas, written out here with loops in float64."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from training.siamese.losses import byol_loss, cosine, info_nce, nt_xent, simsiam_loss, unit

Array = np.ndarray
Loss = Callable[..., Any]

#: Rows, width, temperature.
CASES = [(2, 3, 0.5), (3, 8, 0.07), (7, 5, 1.0), (16, 32, 0.2), (5, 128, 10.0)]


def vectors(seed: int, rows: int, width: int, count: int) -> list[Array]:
    """So many batches, float64, no two vectors of the same length."""
    random = np.random.default_rng(seed)
    return [
        random.normal(size=(rows, width)) * random.uniform(0.1, 10, (rows, 1)) for _ in range(count)
    ]


def to_float32(*arrays: Array) -> Any:
    return [tf.constant(array, tf.float32) for array in arrays]


def cos(a: Array, b: Array) -> float:
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


# --- the papers' formulas -------------------------------------------------------------------------


def simclr_of_the_paper(first: Array, second: Array, temperature: float) -> Array:
    """ℓ(i, j) = −log( exp(s_ij / T) / Σ_{k ≠ i} exp(s_ik / T) ) over the 2N views, equation 1; of
    an image the mean of ℓ(i, j) and ℓ(j, i)."""
    views, count = [*first, *second], len(first)

    def term(i: int, j: int) -> float:
        below = sum(
            math.exp(cos(views[i], views[k]) / temperature) for k in range(2 * count) if k != i
        )
        return -math.log(math.exp(cos(views[i], views[j]) / temperature) / below)

    return np.array([(term(i, i + count) + term(i + count, i)) / 2 for i in range(count)])


def moco_of_the_paper(queries: Array, keys: Array, queue: Array, temperature: float) -> Array:
    """−log( exp(q·k₊ / T) / Σ over k₊ and the queue ), equation 1 of MoCo."""
    found = []
    for query, key in zip(queries, keys, strict=True):
        positive = math.exp(cos(query, key) / temperature)
        negatives = sum(math.exp(cos(query, other) / temperature) for other in queue)
        found.append(-math.log(positive / (positive + negatives)))
    return np.array(found)


def byol_of_the_paper(predictions: list[Array], targets: list[Array]) -> Array:
    """‖q̄ − z̄′‖² of unit vectors, equation 2, and the same with the views exchanged."""
    found = np.zeros(len(predictions[0]))
    for prediction, target in ((predictions[0], targets[1]), (predictions[1], targets[0])):
        for row, (p, z) in enumerate(zip(prediction, target, strict=True)):
            apart = p / np.linalg.norm(p) - z / np.linalg.norm(z)
            found[row] += apart @ apart
    return found


def simsiam_of_the_paper(predictions: list[Array], targets: list[Array]) -> Array:
    """½ D(p₁, z₂) + ½ D(p₂, z₁) with D the negative cosine, equation 2."""
    return np.array(
        [
            -cos(p1, z2) / 2 - cos(p2, z1) / 2
            for p1, p2, z1, z2 in zip(*predictions, *targets, strict=True)
        ]
    )


def finite_differences(loss: Callable[[list[Array]], float], at: list[Array]) -> list[Array]:
    """Gradients by central differences, number by number."""
    found = []
    for array in at:
        gradient = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept, sides = array[place], []
            for step in (1e-5, -1e-5):
                array[place] = kept + step
                sides.append(loss(at))
            array[place] = kept
            gradient[place] = (sides[0] - sides[1]) / 2e-5
        found.append(gradient)
    return found


def gradients(loss: Callable[..., Any], at: list[Any]) -> list[Array]:
    with tf.GradientTape() as tape:
        tape.watch(at)
        total = tf.reduce_sum(loss(*at))
    return [np.array(one) for one in tape.gradient(total, at, unconnected_gradients="zero")]


# --- unit vectors and cosines ---------------------------------------------------------------------


@given(
    st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 40), st.sampled_from([1e-8, 1, 1e8])
)
@settings(max_examples=30)
def test_vectors_are_brought_to_length_one(seed: int, rows: int, width: int, scale: float) -> None:
    (given_,) = vectors(seed, rows, width, 1)
    found = np.array(unit(tf.constant(given_ * scale, tf.float32)))
    assert found.dtype == np.float32
    assert np.allclose(found, given_ / np.linalg.norm(given_, axis=1, keepdims=True), atol=1e-6)


def test_shorter_than_1e_12_a_vector_is_only_divided_by_that() -> None:
    short = tf.constant([[3e-14, 0.0], [0.0, 0.0]])
    assert np.allclose(unit(short), [[3e-2, 0], [0, 0]], rtol=1e-5)


def test_half_precision_is_compared_in_float32() -> None:
    (a,) = to_float32(*vectors(1, 4, 6, 1))
    found = unit(tf.cast(a, tf.bfloat16))
    assert found.dtype == tf.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 40))
@settings(max_examples=20)
def test_a_cosine_does_not_ask_how_long_vectors_are(seed: int, rows: int, width: int) -> None:
    a, b = vectors(seed, rows, width, 2)
    expected = [cos(*pair) for pair in zip(a, b, strict=True)]
    assert np.allclose(cosine(*to_float32(a, b)), expected, atol=1e-6)


# --- SimCLR ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "width", "temperature"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_nt_xent_is_the_paper_s(rows: int, width: int, temperature: float, seed: int) -> None:
    first, second = vectors(seed, rows, width, 2)
    found = nt_xent(*to_float32(first, second), temperature, tf.ones(rows))
    assert np.allclose(found, simclr_of_the_paper(first, second, temperature), rtol=1e-5, atol=1e-5)


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(2, 20), st.floats(0.05, 5))
@settings(max_examples=25)
def test_nt_xent_is_the_paper_s_for_any(
    seed: int, rows: int, width: int, temperature: float
) -> None:
    first, second = vectors(seed, rows, width, 2)
    found = nt_xent(*to_float32(first, second), temperature, tf.ones(rows))
    assert np.allclose(found, simclr_of_the_paper(first, second, temperature), rtol=1e-4, atol=1e-4)


def test_an_image_s_own_view_is_no_negative_and_those_of_the_same_side_are() -> None:
    """Equal views all around: the positive is one of 2 N − 1."""
    for rows in (1, 2, 5):
        same = tf.ones([rows, 4])
        found = nt_xent(same, same, 0.5, tf.ones(rows))
        assert np.allclose(found, math.log(2 * rows - 1), atol=1e-6)


@given(st.integers(0, 10_000), st.lists(st.booleans(), min_size=3, max_size=9))
@settings(max_examples=25)
def test_a_masked_row_changes_nothing_for_the_others(seed: int, kept: list[bool]) -> None:
    real = np.array(kept)
    first, second = vectors(seed, len(kept), 6, 2)
    mask = tf.constant(real, tf.float32)
    found = np.array(nt_xent(*to_float32(first, second), 0.3, mask))
    assert np.isfinite(found).all()
    expected = simclr_of_the_paper(first[real], second[real], 0.3)
    assert np.allclose(found[real], expected, rtol=1e-5, atol=1e-5)


def test_a_masked_row_gets_no_gradient_and_gives_none() -> None:
    first, second = vectors(3, 5, 4, 2)
    mask = tf.constant([1.0, 1, 0, 1, 0])
    real = np.array(mask) > 0

    def loss(a: Any, b: Any) -> Any:
        return nt_xent(a, b, 0.3, mask) * mask

    def alone(a: Any, b: Any) -> Any:
        return nt_xent(a, b, 0.3, tf.ones(3))

    whole = gradients(loss, to_float32(first, second))
    part = gradients(alone, to_float32(first[real], second[real]))
    for found, expected in zip(whole, part, strict=True):
        assert np.allclose(found[real], expected, atol=1e-6)
        assert not found[~real].any()


def test_two_halves_computed_apart_are_the_whole() -> None:
    """As on two devices: each sees its rows as anchors, and everyone's as candidates."""
    first, second = to_float32(*vectors(4, 8, 6, 2))
    mask = tf.constant([1.0, 1, 1, 0, 1, 1, 0, 1])
    whole = np.array(nt_xent(first, second, 0.2, mask))
    for offset in (0, 4):
        rows = slice(offset, offset + 4)
        everyone = (first, second, mask)
        part = nt_xent(first[rows], second[rows], 0.2, mask[rows], everyone, offset)
        assert np.allclose(part, whole[rows], atol=1e-5)


def test_gradients_of_two_halves_add_up_to_the_whole_s() -> None:
    first, second = vectors(5, 6, 4, 2)
    mask = tf.constant([1.0, 1, 1, 1, 0, 1])

    def whole(a: Any, b: Any) -> Any:
        return nt_xent(a, b, 0.4, mask) * mask

    def halves(a: Any, b: Any) -> Any:
        parts = [
            nt_xent(a[at : at + 3], b[at : at + 3], 0.4, mask[at : at + 3], (a, b, mask), at)
            for at in (0, 3)
        ]
        return tf.concat(parts, 0) * mask

    for one, other in zip(
        gradients(whole, to_float32(first, second)),
        gradients(halves, to_float32(first, second)),
        strict=True,
    ):
        assert np.abs(one).max() > 1e-3
        assert np.allclose(one, other, atol=1e-6)


# --- MoCo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "width", "temperature"), CASES)
@pytest.mark.parametrize("length", [2, 13])
def test_info_nce_is_the_paper_s(rows: int, width: int, temperature: float, length: int) -> None:
    queries, keys = vectors(rows, rows, width, 2)
    (queue,) = vectors(length, length, width, 1)
    queue /= np.linalg.norm(queue, axis=1, keepdims=True)
    found = info_nce(*to_float32(queries, keys, queue), temperature)
    expected = moco_of_the_paper(queries, keys, queue, temperature)
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_query_is_not_compared_with_the_keys_of_its_batch() -> None:
    """Only with its own and with the queue: the other rows' keys change nothing."""
    queries, keys, others = vectors(6, 4, 5, 3)
    (queue,) = to_float32(np.eye(5))
    others[2] = keys[2]
    one, other = (
        np.array(info_nce(*to_float32(queries, some), queue, 0.2)) for some in (keys, others)
    )
    assert one[2] == other[2]
    assert (one[[0, 1, 3]] != other[[0, 1, 3]]).all()


# --- BYOL and SimSiam -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "reference"),
    [
        (byol_loss, byol_of_the_paper),
        (simsiam_loss, simsiam_of_the_paper),
    ],
)
@pytest.mark.parametrize(("rows", "width", "_temperature"), CASES)
def test_each_view_predicts_the_other(
    ours: Loss, reference: Loss, rows: int, width: int, _temperature: float
) -> None:
    p1, p2, z1, z2 = vectors(rows, rows, width, 4)
    q1, q2, t1, t2 = to_float32(p1, p2, z1, z2)
    found = ours((q1, q2), (t1, t2))
    assert found.shape == (rows,)
    assert np.allclose(found, reference([p1, p2], [z1, z2]), atol=1e-5)
    # Both views are treated alike.
    assert np.allclose(found, ours((q2, q1), (t2, t1)), atol=1e-6)


def test_the_best_and_the_worst_that_a_prediction_can_be() -> None:
    a, b = to_float32(*vectors(7, 3, 5, 2))
    assert np.allclose(byol_loss((a, b), (3 * b, a)), 0, atol=1e-5)
    assert np.allclose(byol_loss((a, b), (-b, -a)), 8, atol=1e-5)
    assert np.allclose(simsiam_loss((a, b), (b, 7 * a)), -1, atol=1e-6)
    assert np.allclose(simsiam_loss((a, b), (-b, -a)), 1, atol=1e-6)


# --- gradients ------------------------------------------------------------------------------------


def queue_of(width: int) -> Array:
    (queue,) = vectors(9, 5, width, 1)
    return queue / np.linalg.norm(queue, axis=1, keepdims=True)


GRADIENTS: dict[str, tuple[int, Loss, Loss]] = {
    "nt_xent": (
        2,
        lambda a, b: nt_xent(a, b, 0.3, tf.ones(3)),
        lambda a, b: simclr_of_the_paper(a, b, 0.3),
    ),
    "info_nce": (
        2,
        lambda q, k: info_nce(q, k, tf.constant(queue_of(4), tf.float32), 0.3),
        lambda q, k: moco_of_the_paper(q, k, queue_of(4), 0.3),
    ),
    "byol": (
        4,
        lambda a, b, c, d: byol_loss((a, b), (c, d)),
        lambda a, b, c, d: byol_of_the_paper([a, b], [c, d]),
    ),
    "simsiam": (
        4,
        lambda a, b, c, d: simsiam_loss((a, b), (c, d)),
        lambda a, b, c, d: simsiam_of_the_paper([a, b], [c, d]),
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_the_paper_s_formula(name: str) -> None:
    count, ours, reference = GRADIENTS[name]
    at = vectors(8, 3, 4, count)
    expected = finite_differences(lambda some: float(reference(*some).sum()), at)
    for found, one in zip(gradients(ours, to_float32(*at)), expected, strict=True):
        assert np.abs(one).max() > 1e-2
        assert np.allclose(found, one, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("which", ["one", "all"])
def test_vectors_of_zeros_give_a_finite_loss_and_finite_gradients(name: str, which: str) -> None:
    count, ours, _reference = GRADIENTS[name]
    at = vectors(10, 3, 4, count)
    for array in at:
        array[1 if which == "one" else slice(None)] = 0
    ready = to_float32(*at)
    assert np.isfinite(ours(*ready)).all()
    assert all(np.isfinite(one).all() for one in gradients(ours, ready))
