"""What a model of tables is shown of a row; learned from the training rows, kept in ``table.json``.

- A **number** becomes (x − mean) / deviation, within ±20 and 0 where it is missing, a sign of
  whether it is, and its **pieces**: how far it has come from each knot to the next, 0..1 [0]; knots
  are quantiles of the values that differ, so that a few large ones count for as much as a thousand
  zeros. It becomes a **bucket** too: 0 missing, then 1, 2, … between quantiles of the training
  rows.
- A **category** becomes a code: 0 missing, 1 unseen, then its place among those known.
- A **cross** of several columns becomes a code of its own (:mod:`training.data.crosses`); a number
  takes part by its bucket.

Columns are found by name, whatever their order. Mean, deviation, buckets and categories are those
of the training rows, and of a source where there is one: a row of weights then means what it meant
there, and categories and combinations that the source does not have get rows behind its own.

- [0] Gorishniy et al., 2022, "On Embeddings for Numerical Features in Tabular Deep Learning"
  (piecewise linear encoding), https://arxiv.org/abs/2203.05556
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.crosses import Codes, Cross, find_cross
from training.data.tables import FIRST, MISSING, UNSEEN, Table, TableColumn
from training.durable import json_bytes
from training.errors import TrainingError

Floats = npt.NDArray[np.float32]

TABLE_FILE = "table.json"
VERSION = 1
#: Deviations from the mean: a slip of a key must not be all that the network sees of a row.
FARTHEST = 20.0
#: Columns that a refusal names.
NAMED = 8


@dataclass(frozen=True)
class NumberFeature:
    """A column of numbers: how it is standardised, where its buckets part, its pieces' knots."""

    name: str
    mean: float
    deviation: float
    boundaries: tuple[float, ...]
    knots: tuple[float, ...]

    @property
    def pieces(self) -> int:
        """How many there are."""
        return max(0, len(self.knots) - 1)

    @property
    def rows(self) -> int:
        """How many buckets there are, that for a missing value included."""
        return len(self.boundaries) + 2

    def encoded(self, values: Floats) -> Floats:
        """What the deep part is shown, float32 [rows, 2 + pieces]."""
        exact = values.astype(np.float64)
        missing = np.isnan(exact)
        standardised = np.clip((exact - self.mean) / self.deviation, -FARTHEST, FARTHEST)
        knots = np.array(self.knots, np.float64)
        pieces = np.clip((exact[:, None] - knots[:-1]) / np.diff(knots), 0, 1)
        whole = np.concatenate([standardised[:, None], missing[:, None], pieces], 1)
        return np.nan_to_num(whole, nan=0.0).astype(np.float32)

    def buckets(self, values: Floats) -> Codes:
        """int32; a value on a boundary is in the upper bucket."""
        found = np.searchsorted(np.array(self.boundaries, np.float32), values, side="right") + 1
        return np.where(np.isnan(values), MISSING, found).astype(np.int32)


@dataclass(frozen=True)
class CategoryFeature:
    """A column of categories, in the order of their codes."""

    name: str
    categories: tuple[str, ...]

    @property
    def rows(self) -> int:
        return len(self.categories) + FIRST

    def codes(self, column: TableColumn, codes: Codes) -> Codes:
        """Codes of a table's own as those of this."""
        places = {name: place + FIRST for place, name in enumerate(self.categories)}
        new = [places.get(name, UNSEEN) for name in column.categories]
        return np.array([MISSING, UNSEEN, *new], np.int32)[codes]


@dataclass(frozen=True)
class Features:
    """What is shown of so many rows.

    Attributes:
        numbers: As they are, float32 [rows, numbers]; NaN is missing.
        buckets: int32 [rows, numbers].
        codes: int32 [rows, categories].
        crosses: int32 [rows, crosses].
        columns: How numbers are encoded.
    """

    numbers: Floats
    buckets: Codes
    codes: Codes
    crosses: Codes
    columns: tuple[NumberFeature, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def chosen(self, rows: npt.NDArray[np.int64]) -> Features:
        """Some of the rows."""
        return Features(
            self.numbers[rows],
            self.buckets[rows],
            self.codes[rows],
            self.crosses[rows],
            self.columns,
        )

    def take(self, rows: npt.NDArray[np.int64]) -> tuple[np.ndarray, ...]:
        """Some of the rows, as the model takes them.

        Pieces are many times as large as what they are made of, and made for a batch at a time.
        """
        one = self.chosen(rows)
        encoded = [c.encoded(one.numbers[:, place]) for place, c in enumerate(self.columns)]
        numbers = np.concatenate([np.zeros((len(rows), 0), np.float32), *encoded], 1)
        return numbers, one.buckets, one.codes, one.crosses


@dataclass(frozen=True)
class TableFeatures:
    """How rows become features.

    Attributes:
        numbers: In the order of the model.
        categories: The same.
        crosses: The same.
        target: What is predicted.
        classes: Its classes, in the order of the model's outputs.
    """

    numbers: tuple[NumberFeature, ...]
    categories: tuple[CategoryFeature, ...]
    crosses: tuple[Cross, ...]
    target: str
    classes: tuple[str, ...]

    def of(self, table: Table) -> Features:
        """What is shown of a table's rows.

        Raises:
            TrainingError: ``table_columns_missing``.
        """
        self._require_columns(table)
        return self._features(table)

    def _features(self, table: Table) -> Features:
        buckets, codes = self._buckets(table), self._codes(table)
        numbers = np.zeros((len(table), len(self.numbers)), np.float32)
        for place, number in enumerate(self.numbers):
            numbers[:, place] = _number(table, number.name)
        crosses = np.zeros((len(table), len(self.crosses)), np.int32)
        for place, cross in enumerate(self.crosses):
            crosses[:, place] = cross.codes(self._parts(cross.columns, buckets, codes))
        return Features(numbers, buckets, codes, crosses, self.numbers)

    def _buckets(self, table: Table) -> Codes:
        found = np.zeros((len(table), len(self.numbers)), np.int32)
        for place, number in enumerate(self.numbers):
            found[:, place] = number.buckets(_number(table, number.name))
        return found

    def _codes(self, table: Table) -> Codes:
        found = np.zeros((len(table), len(self.categories)), np.int32)
        for place, feature in enumerate(self.categories):
            column, codes = _category(table, feature.name)
            found[:, place] = feature.codes(column, codes)
        return found

    def _parts(self, columns: Sequence[str], buckets: Codes, codes: Codes) -> Codes:
        """Codes of the columns of a cross, int32 [rows, columns]."""
        places = {one.name: buckets[:, place] for place, one in enumerate(self.numbers)}
        places |= {one.name: codes[:, place] for place, one in enumerate(self.categories)}
        return np.stack([places[name] for name in columns], axis=1)

    def _require_columns(self, table: Table) -> None:
        have = {one.name: one.type for one in (*table.number_columns, *table.category_columns)}
        want = {one.name: "number" for one in self.numbers}
        want |= {one.name: "category" for one in self.categories}
        wrong = [name for name, type in want.items() if have.get(name) != type]
        if wrong:
            raise TrainingError(
                "table_columns_missing", field="data.path", columns=", ".join(wrong[:NAMED])
            )

    def require_no_others(self, table: Table) -> None:
        """Refuse a table with columns that these do not look at.

        Raises:
            TrainingError: ``table_columns_missing``, ``table_columns_new``.
        """
        self._require_columns(table)
        known = {one.name for one in self.numbers} | {one.name for one in self.categories}
        columns = (*table.number_columns, *table.category_columns)
        if new := [one.name for one in columns if one.name not in known]:
            raise TrainingError(
                "table_columns_new", field="data.path", columns=", ".join(new[:NAMED])
            )

    def extended(self, table: Table, *, most: int, least: int) -> TableFeatures:
        """With rows for what these training rows have and a source has not, behind its own.

        Args:
            table: The training rows.
            most: See :func:`training.data.crosses.find_cross`.
            least: The same.

        Raises:
            TrainingError: ``table_columns_missing``, ``table_columns_new``.
        """
        self.require_no_others(table)
        categories = []
        for one in self.categories:
            column, _codes = _category(table, one.name)
            new = [name for name in column.categories if name not in set(one.categories)]
            categories.append(replace(one, categories=(*one.categories, *new)))
        found = replace(self, categories=tuple(categories))
        buckets, codes = found._buckets(table), found._codes(table)
        crosses = [
            find_cross(
                one.columns,
                found._parts(one.columns, buckets, codes),
                most=max(most, len(one.combinations)),
                least=least,
                known=one,
            )
            for one in self.crosses
        ]
        return replace(found, crosses=tuple(crosses))

    def to_json(self) -> dict[str, Any]:
        """As ``table.json`` has it."""
        return {
            "version": VERSION,
            "target": self.target,
            "classes": list(self.classes),
            "numbers": [
                {
                    "name": one.name,
                    "mean": one.mean,
                    "deviation": one.deviation,
                    "boundaries": list(one.boundaries),
                    "knots": list(one.knots),
                }
                for one in self.numbers
            ],
            "categories": [
                {"name": one.name, "categories": list(one.categories)} for one in self.categories
            ],
            "crosses": [
                {
                    "columns": list(one.columns),
                    "combinations": [list(codes) for codes in one.combinations],
                }
                for one in self.crosses
            ],
        }

    def write(self, folder: Path) -> None:
        """Write ``table.json`` into a checkpoint's folder."""
        (folder / TABLE_FILE).write_bytes(json_bytes(self.to_json()))


def read_features(folder: Path) -> TableFeatures:
    """``table.json`` of a checkpoint.

    Raises:
        TrainingError: ``checkpoint_without_table``.
    """
    try:
        told: Mapping[str, Any] = json.loads((folder / TABLE_FILE).read_bytes())
        if told["version"] != VERSION:
            raise ValueError("unknown version")
        return TableFeatures(
            tuple(
                NumberFeature(
                    str(one["name"]),
                    float(one["mean"]),
                    float(one["deviation"]),
                    tuple(map(float, one["boundaries"])),
                    tuple(map(float, one["knots"])),
                )
                for one in told["numbers"]
            ),
            tuple(
                CategoryFeature(str(one["name"]), tuple(map(str, one["categories"])))
                for one in told["categories"]
            ),
            tuple(
                Cross(
                    tuple(map(str, one["columns"])),
                    tuple(tuple(map(int, codes)) for codes in one["combinations"]),
                )
                for one in told["crosses"]
            ),
            str(told["target"]),
            tuple(map(str, told["classes"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError("checkpoint_without_table", field="source.checkpoint") from error


def find_features(
    table: Table,
    target: TableColumn,
    *,
    buckets: int,
    pieces: int,
    crosses: Sequence[Sequence[str]],
    most: int,
    least: int,
) -> TableFeatures:
    """Features of training rows.

    Args:
        table: The training rows.
        target: What is predicted.
        buckets: Of a number, at most: values that many rows share make fewer.
        pieces: Of a number, at most.
        crosses: Names of the columns of each.
        most: Combinations of a cross with a code of their own.
        least: Training rows that such a combination has.

    Raises:
        TrainingError: ``cross_column_unknown``.
    """
    known = [one.name for one in (*table.number_columns, *table.category_columns)]
    for number, names in enumerate(crosses):
        for name in names:
            if name not in known:
                raise TrainingError(
                    "cross_column_unknown",
                    field=f"features.crosses.{number}",
                    column=name,
                    known=", ".join(known),
                )
    found = TableFeatures(
        tuple(
            find_number(one.name, _number(table, one.name), buckets, pieces)
            for one in table.number_columns
        ),
        tuple(CategoryFeature(one.name, one.categories) for one in table.category_columns),
        (),
        target.name,
        target.categories,
    )
    bucketed, codes = found._buckets(table), found._codes(table)
    return replace(
        found,
        crosses=tuple(
            find_cross(names, found._parts(names, bucketed, codes), most=most, least=least)
            for names in crosses
        ),
    )


def find_number(name: str, values: Floats, buckets: int, pieces: int) -> NumberFeature:
    """Mean, deviation, quantiles and knots of the values that are there.

    Args:
        name: Of the column.
        values: float [rows]; NaN: missing.
        buckets: At most.
        pieces: At most; one fewer than there are different values is enough.
    """
    there = values[~np.isnan(values)].astype(np.float64)
    if not len(there):
        return NumberFeature(name, 0.0, 1.0, (), ())
    shares = np.arange(1, buckets) / buckets
    # Values themselves, not points between them: counts and years stay whole.
    parted = np.unique(np.quantile(there, shares, method="higher"))
    # Nothing lies below the least value: a bucket there would be empty.
    parted = parted[parted > there.min()]
    different = np.unique(there)
    # Values themselves here too: where they are few, the pieces between two would all say the same.
    knots = np.unique(np.quantile(different, np.linspace(0, 1, pieces + 1), method="nearest"))
    return NumberFeature(
        name,
        float(there.mean()),
        float(there.std()) or 1.0,
        tuple(parted.tolist()),
        tuple(knots.tolist()) if len(knots) > 1 else (),
    )


def _number(table: Table, name: str) -> Floats:
    place = [one.name for one in table.number_columns].index(name)
    return table.numbers[:, place]


def _category(table: Table, name: str) -> tuple[TableColumn, Codes]:
    place = [one.name for one in table.category_columns].index(name)
    return table.category_columns[place], table.categories[:, place]
