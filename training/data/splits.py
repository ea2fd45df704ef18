"""Which split an example is in: it follows from (seed, its content) alone.

So copies never end up on both sides, and the split stays as it is when the data set grows. With
labels each class has the same share in every split (:func:`training.data.labels.stratify`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.labels import Labels, describe, group, require_learnable, stratify
from training.data.prepare_spec import PrepareSpec

SPLITS = ("train", "validation", "test")

Draws = npt.NDArray[np.uint64]
Keys = npt.NDArray[np.bytes_]


@dataclass(frozen=True)
class Division:
    """How the examples of an upload are divided.

    Attributes:
        names: The splits there are.
        of: Split of each example, an index into ``names``, int8 [examples].
        kept: Whether it is in the data set at all, bool [examples].
        duplicates: Examples that are copies of an earlier one.
        labels: ``labels`` of ``dataset.json``; None where there are none.
    """

    names: tuple[str, ...]
    of: npt.NDArray[np.int8]
    kept: npt.NDArray[np.bool_]
    duplicates: int
    labels: dict[str, Any] | None

    def members(self, number: int) -> npt.NDArray[np.bool_]:
        """Which examples are in a split."""
        return np.asarray(self.kept & (self.of == number))


def splits_of(spec: PrepareSpec) -> tuple[str, ...]:
    """The splits that are wanted."""
    return SPLITS if spec.test_percent else SPLITS[:2]


def divide(spec: PrepareSpec, keys: Keys, labels: Labels | None) -> Division:
    """Divide examples among the splits.

    Args:
        spec: Shares, seed, what happens to copies and to rare classes.
        keys: 16 bytes of a hash of each example's content; at least as many different ones as
            there are splits.
        labels: The class of each, where there are labels.

    Raises:
        TrainingError: ``labels_one_class``, ``labels_too_many``, ``label_rare``.
    """
    _, first = np.unique(keys, return_index=True)
    is_first = np.zeros(len(keys), bool)
    is_first[first] = True
    kept = is_first if spec.remove_duplicates else np.ones(len(keys), bool)
    drawn, names = draws(keys, spec.seed), splits_of(spec)
    duplicates = len(keys) - len(first)
    if labels is None:
        of = assign(drawn, spec.validation_percent, spec.test_percent)
        return Division(names, of, kept, duplicates, None)
    groups = group(keys, labels)
    left_out = require_learnable(labels, groups.classes, len(names), leave_out=spec.leave_out_rare)
    gone = np.array([name in left_out for name in labels.names])
    in_use = ~gone[groups.classes]
    splits = np.zeros(len(groups.classes), np.int8)
    splits[in_use] = stratify(
        drawn[first][in_use],
        groups.classes[in_use],
        spec.validation_percent,
        spec.test_percent,
    )
    classes = np.array(labels.of, np.int64)
    # A copy of a kept example may itself bear a class that is left out.
    kept = kept & in_use[groups.group] & ~gone[classes]
    of = splits[groups.group]
    counted = [classes[kept & (of == number)] for number in range(len(names))]
    about = describe(labels, counted, names, groups.conflicts, left_out)
    return Division(names, of, kept, duplicates, about)


def draws(keys: Keys, seed: int) -> Draws:
    """A number for each document, uniform in 0 … 2⁶⁴ − 1, that follows from (seed, text)."""
    start = hashlib.sha256(seed.to_bytes(8, "little"))
    found = np.empty(len(keys), np.uint64)
    for index, key in enumerate(keys):
        one = start.copy()
        one.update(key.ljust(16, b"\0"))
        found[index] = int.from_bytes(one.digest()[:8], "little")
    return found


def assign(drawn: Draws, validation_percent: float, test_percent: float) -> npt.NDArray[np.int8]:
    """The split of each example, as an index into :data:`SPLITS`.

    The lowest draws are the test's, the next the validation's. When one of the two would get none,
    it gets the example next to its range; training keeps at least one, the highest.

    Args:
        drawn: From :func:`draws`; at least as many different ones as there are splits wanted.
    """
    distinct = np.unique(drawn)
    count = len(distinct)
    test = int(np.searchsorted(distinct, _threshold(test_percent)))
    held_out = int(np.searchsorted(distinct, _threshold(test_percent + validation_percent)))
    # Clamped into 1 … count: test < held_out < count.
    test = min(max(test, 1), count - 2) if test_percent else 0
    held_out = min(max(held_out, test + 1), count - 1)
    ranks = np.searchsorted(distinct, drawn)
    return np.where(ranks < test, 2, np.where(ranks < held_out, 1, 0)).astype(np.int8)


def _threshold(percent: float) -> np.uint64:
    return np.uint64(min(int(percent / 100 * 2**64), 2**64 - 1))


def spread(kept: npt.NDArray[np.bool_], most: int) -> list[int]:
    """Places of a few of the examples that are kept, evenly from the first to the last."""
    places = np.flatnonzero(kept)
    shown = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
    return [int(place) for place in places[shown]]


def histogram(values: npt.NDArray[np.int64], counted: str) -> list[dict[str, int]]:
    """Examples by size: from ≤ value < to, each range twice as wide as the one before.

    Args:
        values: One of each example, from 0.
        counted: What the examples are called.
    """
    exponents = np.floor(np.log2(np.maximum(values, 1))).astype(int)
    numbers = np.bincount(exponents)
    lowest = int(exponents.min())
    return [
        {"from": 2**exponent, "to": 2 ** (exponent + 1), counted: int(numbers[exponent])}
        for exponent in range(lowest, len(numbers))
    ]
