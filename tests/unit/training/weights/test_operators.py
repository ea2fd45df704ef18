"""The steps of a plan against plain NumPy, and their shapes without any tensor."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from training.weights.operators import (
    Interpolate,
    InterpolateGrid,
    Scale,
    Slice,
    Split,
    Tile,
    Tokens,
    Transpose,
    apply,
    shape_after,
)

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(size=(6, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([Transpose()], MATRIX.T),
        ([Slice(axis=0, start=1, stop=4)], MATRIX[1:4]),
        ([Slice(axis=1, stop=3)], MATRIX[:, :3]),
        ([Split(axis=0, part=2, parts=3)], MATRIX[4:]),
        ([Split(axis=0, part=1, parts=3), Transpose()], MATRIX[2:4].T),
        ([Tile(axis=1, to=7)], np.concatenate([MATRIX, MATRIX[:, :3]], 1)),
        ([Scale(factor=0.5)], MATRIX / 2),
        (
            [Tile(axis=0, to=8, divide=True)],
            np.concatenate([MATRIX, MATRIX[:2]])
            / np.array([[2], [2], [1], [1], [1], [1], [2], [2]]),
        ),
        (
            [Tokens(rows=((3,), (0, 1), (), (5, 5, 2)))],
            np.stack([MATRIX[3], MATRIX[:2].mean(0), np.zeros(4), MATRIX[[5, 5, 2]].mean(0)]),
        ),
    ],
)
def test_each_step_is_what_it_says(steps: list[Any], expected: np.ndarray) -> None:
    found = apply(MATRIX, steps)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert shape_after(MATRIX.shape, steps) == found.shape


@pytest.mark.parametrize("to", [1, 3, 6, 11])
def test_stretched_positions_are_those_of_numpy(to: int) -> None:
    found = apply(MATRIX, [Interpolate(axis=0, to=to)])
    places = np.linspace(0, 5, to)
    expected = np.stack([np.interp(places, np.arange(6), MATRIX[:, c]) for c in range(4)], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_grid_is_stretched_in_both_directions_and_what_stands_before_it_stays() -> None:
    grid = np.add.outer(np.arange(3.0), 10 * np.arange(3.0)).astype(np.float32)
    table = np.concatenate([[-1.0], grid.ravel()]).astype(np.float32).reshape(1, 10, 1)
    found = apply(table, [InterpolateGrid(axis=1, prefix=1, to=5)])
    assert found.shape == shape_after(table.shape, [InterpolateGrid(axis=1, prefix=1, to=5)])
    expected = np.add.outer(np.linspace(0, 2, 5), 10 * np.linspace(0, 2, 5))
    assert found[0, 0, 0] == -1
    np.testing.assert_allclose(found[0, 1:, 0].reshape(5, 5), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_a_smaller_type_stays_and_means_are_rounded_once(dtype: type) -> None:
    small = MATRIX.astype(dtype)
    moved = apply(small, [Transpose(), Slice(axis=0, stop=2), Tile(axis=1, to=9)])
    assert moved.dtype == dtype
    assert moved.tobytes() == np.concatenate([small.T, small.T], 1)[:2, :9].tobytes()
    mean = apply(small, [Tokens(rows=((0, 1, 2),))])
    assert (
        mean.tobytes()
        == small[:3].astype(np.float32).mean(0, keepdims=True).astype(dtype).tobytes()
    )


@pytest.mark.parametrize(
    ("shape", "step", "said"),
    [
        ((2, 3, 4), Transpose(), "is no matrix"),
        ((6, 4), Slice(axis=0, stop=7), "0…7 of 6"),
        ((6, 4), Slice(axis=0, start=3, stop=3), "3…3 of 6"),
        ((6, 4), Split(axis=0, part=0, parts=4), "6 in 4 parts"),
        ((6, 4), Split(axis=0, part=3, parts=3), "6 in 3 parts"),
        ((6, 4), Tile(axis=0, to=5), "6 to 5"),
        ((1, 11, 4), InterpolateGrid(axis=1, prefix=1, to=4), "10 is not a square"),
    ],
)
def test_a_step_that_does_not_fit_is_refused(shape: tuple[int, ...], step: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shape_after(shape, [step])
