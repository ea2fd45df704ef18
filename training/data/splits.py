"""Which split an example is in: it follows from (seed, its content) alone.

So copies never end up on both sides, and the split stays as it is when the data set grows. With
labels each class has the same share in every split (:func:`training.data.labels.stratify`), or low
and high numbers have (:func:`training.data.numbers.strata`).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data import numbers as quantities
from training.data.labels import Labels, describe, group, require_learnable, stratify
from training.data.labels import remarks as class_remarks
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
        numbers: The number of each example, where labels are such, float64 [examples].
    """

    names: tuple[str, ...]
    of: npt.NDArray[np.int8]
    kept: npt.NDArray[np.bool_]
    duplicates: int
    labels: dict[str, Any] | None
    numbers: quantities.Numbers | None = None

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
        labels: The class or the number of each, where there are labels.

    Raises:
        TrainingError: ``labels_one_class``, ``labels_too_many``, ``label_rare``,
            ``labels_no_numbers``, ``numbers_*``.
    """
    numbers = None if labels is None else quantities.as_numbers(labels, spec.label_type)
    if labels is not None and numbers is not None:
        return _divide_numbers(spec, keys, labels, numbers)
    _, first = np.unique(keys, return_index=True)
    is_first = np.zeros(len(keys), bool)
    is_first[first] = True
    kept = is_first if spec.remove_duplicates else np.ones(len(keys), bool)
    drawn, names = draws(keys, spec.seed), splits_of(spec)
    duplicates = len(keys) - len(first)
    if labels is None:
        of = assign(drawn, spec.validation_percent, spec.test_percent)
        return Division(names, of, kept, duplicates, None)
    groups = group(keys, np.array(labels.of, np.int64))
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


def label_remarks(spec: PrepareSpec, labels: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Warnings about labels as ``{code, params, message}``.

    Args:
        spec: What was asked for.
        labels: ``labels`` of ``dataset.json``.
    """
    if labels is None:
        return []
    if "classes" not in labels:
        return quantities.remarks(labels, spec.label_type)
    whole = quantities.many_whole(labels) if spec.label_type == "auto" else []
    return [*class_remarks(labels), *whole]


def _divide_numbers(
    spec: PrepareSpec, keys: Keys, labels: Labels, numbers: quantities.Numbers
) -> Division:
    """Divide examples that have a number each; those without are left out."""
    names, there = splits_of(spec), np.flatnonzero(~np.isnan(numbers))
    known, values = keys[there], numbers[there]
    _, first = np.unique(known, return_index=True)
    quantities.require_learnable(values[first], len(names))
    groups = group(known, np.unique(values, return_inverse=True)[1])
    drawn = draws(known[first], spec.seed)
    held_out = (spec.validation_percent, spec.test_percent)
    # A part is large enough to give each split one example.
    shares = [share for share in (*held_out, 100 - sum(held_out)) if share]
    parts = quantities.strata(values[first], drawn, math.ceil(100 / min(shares)))
    splits = quantities.divide(drawn, parts, *held_out)
    of, kept = np.zeros(len(keys), np.int8), np.zeros(len(keys), bool)
    of[there] = splits[groups.group]
    kept[there[first] if spec.remove_duplicates else there] = True
    about = quantities.describe(labels, numbers, numbers[kept & (of == 0)], groups)
    return Division(names, of, kept, len(known) - len(first), about, numbers)


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
