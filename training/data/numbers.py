"""Numbers as labels: whether labels are such, can be learned, and splits that keep them.

A split is stratified: the examples are put in order of their number and cut into up to
:data:`STRATA` parts of one size, and each part has the same share in every split, up to rounding.
So low and high numbers are in all of them. Copies go together, with the number of the first.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.column_statistics import describe_numbers
from training.data.column_types import MISSING, NUMBER, NUMBER_COMMA, THOUSANDS, ZERO_FIRST
from training.data.labels import Groups, Labels, stratify, too_many
from training.data.prepare_spec import LabelType
from training.data.remarks import remark
from training.errors import TrainingError

Numbers = npt.NDArray[np.float64]

#: Parts that examples in order of their number are cut into.
STRATA = 10
#: Numbers beyond this overflow on the way through a network.
LARGEST = 1e30
#: More classes than this that are all whole numbers are worth a word.
MANY_WHOLE = 20
#: Characters of a label that a sentence repeats.
MAX_VALUE = 40

_NOT_FINITE = re.compile(r"[+-]?(nan|inf(inity)?)", re.IGNORECASE)
_MISSING = frozenset(MISSING) - {"nan", "-nan"}


def as_numbers(labels: Labels, wanted: LabelType) -> Numbers | None:
    """The number of each example; NaN where its label means that nothing is known.

    Args:
        labels: As they were read.
        wanted: ``number`` or ``classes``; ``auto``: numbers are what could not be classes, because
            they have fractions or are too many.

    Returns:
        None: they are classes.

    Raises:
        TrainingError: ``numbers_not_finite``; where numbers are wanted, ``labels_no_numbers``.
    """
    if wanted == "classes":
        return None
    names, counts = labels.names, np.bincount(labels.of, minlength=len(labels.names))
    comma = any(_has_decimal_comma(name) for name in names)
    read = [None if name.lower() in _MISSING else _read(name, comma) for name in names]
    others = [
        place
        for place, value in enumerate(read)
        if value is None and names[place].lower() not in _MISSING
    ]
    if wanted == "auto" and (others or not _are_quantities(names, read, int(counts.sum()))):
        return None
    _refuse("labels_no_numbers", labels, others, counts)
    beyond = [
        place
        for place, value in enumerate(read)
        if value is not None and not abs(value) <= LARGEST  # nor is NaN
    ]
    _refuse("numbers_not_finite", labels, beyond, counts)
    values = np.array([math.nan if value is None else value for value in read], np.float64)
    return values[np.array(labels.of, np.int64)]


def _has_decimal_comma(name: str) -> bool:
    """1,234 alone is read as neither 1.234 nor 1234."""
    return "," in name and bool(
        re.match(NUMBER_COMMA, name, re.ASCII) and not re.match(THOUSANDS, name)
    )


def _read(name: str, comma: bool) -> float | None:
    """A number, finite or not; None: it is none.

    Args:
        name: A label.
        comma: Whether "3,14" is a number too.
    """
    if re.match(NUMBER, name, re.ASCII) or _NOT_FINITE.fullmatch(name):
        return float(name)
    if comma and re.match(NUMBER_COMMA, name, re.ASCII):
        return float(name.replace(",", "."))
    return None


def _are_quantities(names: list[str], read: list[float | None], examples: int) -> bool:
    """Whether numbers are no names of classes."""
    if any(re.match(ZERO_FIRST, name) for name in names):
        return False
    known = [value for value in read if value is not None]
    if any(value % 1 for value in known if math.isfinite(value)):
        return len(known) > 2
    return too_many(len(known), examples)


def _refuse(code: str, labels: Labels, places: list[int], counts: npt.NDArray[np.int64]) -> None:
    if places:
        raise TrainingError(
            code,
            field="label_type",
            examples=int(counts[places].sum()),
            value=labels.names[places[0]][:MAX_VALUE],
        )


def require_learnable(numbers: Numbers, needed: int) -> None:
    """Refuse numbers that nothing can be learned from.

    Args:
        numbers: Of each different example.
        needed: How many there must be: one for each split.

    Raises:
        TrainingError: ``numbers_too_few``, ``numbers_constant``.
    """
    if len(numbers) < needed:
        raise TrainingError(
            "numbers_too_few", field="label_field", examples=len(numbers), needed=needed
        )
    if numbers.min() == numbers.max():
        raise TrainingError("numbers_constant", field="label_field", value=f"{numbers[0]:g}")


def strata(numbers: Numbers, drawn: npt.NDArray[Any], least: int) -> npt.NDArray[np.int64]:
    """Which part each number is in, the lowest in part 0.

    Args:
        numbers: Of each example.
        drawn: Decides among equal ones.
        least: Examples that a part has at least, where there are so many.
    """
    parts = min(STRATA, max(1, len(numbers) // least))
    found = np.empty(len(numbers), np.int64)
    found[np.lexsort((drawn, numbers))] = np.arange(len(numbers)) * parts // len(numbers)
    return found


def divide(
    drawn: npt.NDArray[np.uint64],
    parts: npt.NDArray[np.int64],
    validation_percent: float,
    test_percent: float,
) -> npt.NDArray[np.int8]:
    """The split of each example: 0 training, 1 validation, 2 test.

    What is rounded off in one part is made up for in the next, so that the whole has the shares
    that were asked for.

    Args:
        drawn: A number for each example that follows from it and the seed.
        parts: From :func:`strata`.
        validation_percent: Share held out to watch training.
        test_percent: Share held out for the report; 0: there is no test split.
    """
    if not parts.any():
        return stratify(drawn, parts, validation_percent, test_percent)
    splits = np.zeros(len(drawn), np.int8)
    before = 0
    for one in range(int(parts.max()) + 1):
        members = np.flatnonzero(parts == one)
        members = members[np.argsort(drawn[members], kind="stable")]
        after = before + len(members)
        test, validation = (
            round(after * share / 100) - round(before * share / 100)
            for share in (test_percent, validation_percent)
        )
        splits[members[:test]] = 2
        splits[members[test : test + validation]] = 1
        before = after
    return splits


def few_numbers(numbers: Numbers, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Places of so many examples, low and high numbers in their share.

    Args:
        numbers: Of each example.
        count: How many are wanted.
        seed: Decides which.
    """
    total = len(numbers)
    if count >= total:
        return np.arange(total)
    drawn = np.random.default_rng(seed).permutation(total)
    order = np.lexsort((drawn, numbers))
    # One of each of so many parts of one size.
    starts = np.arange(count + 1) * total // count
    chosen = [
        part[np.argmin(drawn[part])] for part in (order[low:high] for low, high in pairwise(starts))
    ]
    return np.sort(np.array(chosen, np.int64))


def describe(labels: Labels, numbers: Numbers, train: Numbers, groups: Groups) -> dict[str, Any]:
    """``labels`` of ``dataset.json``, where they are numbers.

    Args:
        labels: As they were read.
        numbers: Of each example; NaN where there is none.
        train: Of the training split.
        groups: Examples that are copies of each other.
    """
    missing = int(np.isnan(numbers).sum())
    return {
        "field": labels.column,
        "type": "number",
        **describe_numbers(train),
        "different": len(np.unique(numbers[~np.isnan(numbers)])),
        "unlabelled": labels.unlabelled + missing,
        "conflicts": groups.conflicts,
    }


def remarks(labels: dict[str, Any], wanted: LabelType) -> list[dict[str, Any]]:
    """Warnings as ``{code, params, message}``, from :func:`describe` of numbers."""
    found = []
    if wanted == "auto":
        found.append(remark("warning_labels_are_numbers", different=labels["different"]))
    if labels["unlabelled"]:
        found.append(remark("warning_unlabelled", examples=labels["unlabelled"]))
    if labels["conflicts"]:
        found.append(remark("warning_conflicts", examples=labels["conflicts"]))
    return found


def many_whole(labels: dict[str, Any]) -> list[dict[str, Any]]:
    """A warning where classes are whole numbers, and so many that they may be quantities.

    Args:
        labels: Of ``dataset.json``, with ``classes``.
    """
    names = [one["name"] for one in labels["classes"]]
    if len(names) <= MANY_WHOLE or not all(re.match(NUMBER, name) for name in names):
        return []
    return [remark("warning_classes_are_numbers", classes=len(names))]
