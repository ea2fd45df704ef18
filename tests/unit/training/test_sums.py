"""Sums do not depend on whose memory is free when they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from training.sums import sum_in_order


def summed(add: Callable[[Sequence[Any]], Any], held: int) -> bytes:
    """A sum of six, the first of which are still needed by somebody else."""

    @tf.function
    def sums(values: Any) -> Any:
        parts = [values * scale for scale in (1.0, 1e3, 1e-2, -1e3, 7.0, 0.3)]
        return add(parts), parts[:held]

    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    return bytes(sums(tf.constant(values))[0].numpy().tobytes())


@pytest.mark.parametrize("held", [2, 3, 4, 5])
def test_it_is_the_same_whatever_is_held(held: int) -> None:
    assert summed(sum_in_order, held) == summed(sum_in_order, 0)


def test_tensorflows_own_is_not() -> None:
    """When this fails, TensorFlow has mended it, and ``sum_in_order`` can go."""
    adds = tf.add_n  # noqa: TID251
    assert any(summed(adds, held) != summed(adds, 0) for held in (2, 3, 4, 5))


def test_it_is_the_sum() -> None:
    parts = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    np.testing.assert_array_equal(sum_in_order(list(map(tf.constant, parts))), parts.sum(0))
