"""What each column of a table is used as: what was found, and what a person said instead."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.column_types import (
    MOST_CATEGORIES,
    MOSTLY_NUMBERS,
    Column,
    Finding,
    Floats,
    find_type,
    numbers_of,
)
from training.data.labels import MAX_CLASSES
from training.data.prepare_spec import PrepareSpec, Type
from training.data.readers.base import MAX_NAME, names
from training.errors import TrainingError

Codes = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

#: What a missing value counts as when rows are compared.
_MISSING_WORD = np.uint64(0x6D697373696E67)
#: Characters of a value that a sentence repeats.
MAX_VALUE = 40


@dataclass(frozen=True)
class Typed:
    """A column with its type.

    Attributes:
        place: Its place in the table.
        name: Its name.
        type: What it is used as.
        finding: What it seemed to be.
        target: Whether it is to be predicted.
        missing: Rows of the upload without a value.
        distinct: Different values.
        slips: Of a column of numbers, rows whose value is none; they count as missing.
        slip: The most frequent of those values.
        comma: Whether its numbers may have a decimal comma.
    """

    place: int
    name: str
    type: Type
    finding: Finding
    target: bool
    missing: int
    distinct: int
    slips: int = 0
    slip: str = ""
    comma: bool = False

    @property
    def used(self) -> bool:
        """Whether it is in the prepared data at all."""
        return self.type != "ignored"

    def about(self) -> dict[str, Any]:
        """What ``dataset.json`` says of it, without its values."""
        return {
            "name": self.name,
            "type": self.type,
            "found": self.finding.type,
            "reason": self.finding.reason,
            "target": self.target,
            "missing": self.missing,
            "distinct": self.distinct,
            "slips": self.slips,
        }


def require_known(spec: PrepareSpec, columns: Sequence[str]) -> None:
    """Refuse names of columns that the table does not have.

    Raises:
        TrainingError: ``table_column_unknown``.
    """
    for field, wanted in (("targets", spec.targets), ("columns", spec.columns)):
        for name in wanted:
            if name not in columns:
                raise TrainingError(
                    "table_column_unknown",
                    field=field,
                    column=name[:MAX_NAME],
                    columns=names(columns),
                )


def typed(place: int, column: Column, spec: PrepareSpec, parsed: Floats) -> Typed:
    """Decide on a column's type.

    Args:
        place: Its place in the table.
        column: The column.
        spec: Has the types that a person chose, and the targets.
        parsed: From :func:`~training.data.column_types.numbers_of`.

    Raises:
        TrainingError: ``table_target_*``, ``table_column_*``, ``table_categories_too_many``,
            ``labels_one_class``, ``labels_too_many``: what was chosen does not fit.
    """
    name, finding = column.name, find_type(column, parsed)
    chosen, target = spec.columns.get(name), name in spec.targets
    type = chosen or finding.type
    if column.nested and (target or type != "ignored"):
        field = "targets" if target else "columns"
        raise TrainingError("table_column_nested", field=field, column=name[:MAX_NAME])
    if target and type == "ignored":
        type = _of_target(column, parsed, is_chosen=chosen is not None)
    are = ~np.isnan(parsed)
    if type == "number" and not are.any() and column.known:
        raise TrainingError(
            "table_column_not_number",
            field="columns",
            column=name[:MAX_NAME],
            value=column.values[0].as_py()[:MAX_VALUE],
        )
    if type == "category" and len(column.values) > MOST_CATEGORIES:
        raise TrainingError(
            "table_categories_too_many",
            field="columns",
            column=name[:MAX_NAME],
            values=len(column.values),
            most=MOST_CATEGORIES,
        )
    if target:
        _require_target(column, type, parsed)
    slips, slip = 0, ""
    if type == "number" and not are.all():
        others = np.flatnonzero(~are)
        slips = int(column.counts[others].sum())
        slip = column.values[int(others[column.counts[others].argmax()])].as_py()[:MAX_VALUE]
    return Typed(
        place,
        name,
        type,
        finding,
        target,
        column.missing,
        len(column.values),
        slips,
        slip,
        column.comma,
    )


def _of_target(column: Column, parsed: Floats, *, is_chosen: bool) -> Type:
    """The type of a target that would be left out otherwise."""
    if is_chosen:
        raise TrainingError("table_target_ignored", field="targets", column=column.name[:MAX_NAME])
    known = column.counts[~np.isnan(parsed)].sum()
    return "number" if known and known >= MOSTLY_NUMBERS * column.known else "category"


def _require_target(column: Column, type: Type, parsed: Floats) -> None:
    """Refuse a target from which nothing can be learned."""
    name = column.name[:MAX_NAME]
    if not column.known:
        raise TrainingError("table_target_empty", field="targets", column=name)
    if type == "number" and len(np.unique(parsed[~np.isnan(parsed)])) < 2:
        raise TrainingError(
            "table_target_constant",
            field="targets",
            column=name,
            value=column.values[0].as_py()[:MAX_VALUE],
        )
    if type == "category" and len(column.values) == 1:
        raise TrainingError(
            "table_target_one_class",
            field="targets",
            column=name,
            value=column.values[0].as_py()[:MAX_VALUE],
            rows=column.known,
        )
    if type == "category" and len(column.values) > max(2, min(MAX_CLASSES, column.known // 2)):
        raise TrainingError(
            "table_target_too_many",
            field="targets",
            column=name,
            values=len(column.values),
            rows=column.known,
            most=MAX_CLASSES,
        )


def words(column: Column, type: Type, parsed: Floats) -> Words:
    """64 bits of each row's value, the same for equal values, uint64 [rows].

    Numbers are equal however they are written (1, 1.0, 1e0).
    """
    if type == "number":
        # With the one zero there is, and the one NaN.
        of_values = np.where(np.isnan(parsed), np.nan, parsed + 0.0).view(np.uint64).copy()
        of_values[np.isnan(parsed)] = _MISSING_WORD
    else:
        digests = (
            hashlib.sha256(value.encode()).digest()[:8] for value in column.values.to_pylist()
        )
        of_values = np.frombuffer(b"".join(digests), np.uint64)
    if not len(of_values):
        return np.full(len(column.codes), _MISSING_WORD)
    return np.where(column.codes < 0, _MISSING_WORD, of_values[column.codes])


@dataclass(frozen=True)
class Target:
    """What is to be predicted.

    Attributes:
        name: The column's name.
        type: ``category``: classes are told apart; ``number``: it is estimated.
        present: Which rows have it, bool [rows].
        codes: Of classes, the class of each row as an index into ``names``, -1 where it is
            missing, int64 [rows]; empty for numbers.
        names: The classes, in the order in which they appear.
    """

    name: str
    type: Type
    present: npt.NDArray[np.bool_]
    codes: Codes
    names: list[str]


def target_of(column: Column, type: Type, parsed: Floats) -> Target:
    """A column as a target."""
    if type == "category":
        codes = column.codes.astype(np.int64)
        return Target(column.name, type, codes >= 0, codes, column.values.to_pylist())
    present = np.zeros(len(column.codes), bool)
    known = column.codes >= 0
    present[known] = ~np.isnan(parsed[column.codes[known]])
    return Target(column.name, type, present, np.zeros(0, np.int64), [])


def row_numbers(column: Column) -> Floats:
    """The number of each row, NaN where there is none, float64 [rows]."""
    parsed = np.append(numbers_of(column), np.nan)  # code -1 is the last one
    return np.asarray(parsed[column.codes])
