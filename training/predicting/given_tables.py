"""Rows of a table that are predicted, as a model's own columns have them.

What a model knows decides, and not what another table's training rows hold: a category is unseen
when the *model* has never seen it. Columns are found by name. One of another type is read as what
the model knows: a category's text as a number, a number as the category of that number; what
cannot be is missing, or unseen, and counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.data.column_types import number_of
from training.data.readers.base import names
from training.data.readers.tables import ROW
from training.data.table_features import NAMED, CategoryFeature, TableFeatures
from training.data.tables import FIRST, MISSING, UNSEEN, Table, TableColumn, read_columns
from training.errors import TrainingError
from training.predicting.given import SPLITS, Given, require_split
from training.predicting.targets import Target
from training.predicting.truth import Truth, named_places, truth_of, written

if TYPE_CHECKING:
    import pyarrow as pa

#: Categories that a model has never seen, or values that are no numbers: as many are named.
MOST_NAMED = 5


@dataclass
class ColumnRead:
    """How a column that a model looks at was read.

    Attributes:
        name: Of it.
        type: That the model learned: ``number`` or ``category``.
        found: That the data have.
        missing: Rows without a value.
        unread: Of a number, values that are none → rows; they count as missing.
        unseen: Of a category, names that the model has never seen → rows.
    """

    name: str
    type: str
    found: str
    missing: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "found": self.found,
            "missing": self.missing,
            "unread": _told(self.unread),
            "unseen": _told(self.unseen),
        }


def _told(counts: Counter[str]) -> dict[str, Any]:
    return {
        "rows": sum(counts.values()),
        "values": len(counts),
        "largest": [{"name": name, "rows": rows} for name, rows in counts.most_common(MOST_NAMED)],
    }


class GivenTable(Given):
    """Rows of a table.

    Args:
        dataset: A prepared table.
        split: One of its splits, or ``all``.
        wanted: Inputs of the model, or of several: name → type.
        targets: What they predict.

    Attributes:
        read: How each input was read, once a model was shown it.
        extra: Columns that no model looks at.

    Raises:
        TrainingError: ``dataset_not_table``, ``split_missing``, ``predict_columns_missing``.
    """

    kind = "table"

    def __init__(
        self, dataset: Path, split: str, wanted: Mapping[str, str], targets: Sequence[str]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._columns = {one.name: one for one in read_columns(dataset)}
        missing = [name for name in wanted if name not in self._columns]
        if missing:
            raise TrainingError(
                "predict_columns_missing",
                field="data.path",
                columns=_why_missing(dataset, missing),
                count=len(missing),
                known=names(list(self._columns)),
            )
        self.wanted = dict(wanted)
        self.extra = [name for name in self._columns if name not in {*wanted, *targets}]
        self.read: dict[str, ColumnRead] = {}
        used = [name for name in self._columns if name in {*wanted, *targets}]
        parts, found = [], []
        for name in SPLITS if split == "all" else (split,):
            path = dataset / f"{name}.parquet"
            if path.is_file() and (part := pq.read_table(path, columns=[ROW, *used])).num_rows:
                parts.append(part)
                found += [name] * part.num_rows
        require_split(parts, split)
        whole = pa.concat_tables(parts)
        ids = whole.column(ROW).to_numpy()
        order = np.argsort(ids, kind="stable")
        self._table = whole.take(pa.array(order)).combine_chunks()
        self.ids = np.asarray(ids[order], np.int64)
        self.splits = [found[place] for place in order]

    @property
    def other_types(self) -> list[str]:
        """Inputs that the data have as another type than the models."""
        return [name for name, type in self.wanted.items() if self._columns[name].type != type]

    def truth(self, target: Target) -> Truth | None:
        if target.name not in self._columns:
            return None
        return truth_of(self._table.column(target.name).to_pylist(), target)

    def shown(self, place: int) -> dict[str, Any]:
        values = []
        for name in self.wanted:
            value = self._table.column(name)[place].as_py()
            if isinstance(value, float):
                value = f"{value:.7g}"
            values.append((name, value))
        return {"id": int(self.ids[place]), "split": self.splits[place], "values": values}

    # --- as a model has it -------------------------------------------------------------------

    def table_of(self, features: TableFeatures) -> Table:
        """The rows as a model's own columns have them, without targets.

        Args:
            features: Of the model.
        """
        numbers = np.zeros((len(self), len(features.numbers)), np.float32)
        for place, number in enumerate(features.numbers):
            numbers[:, place] = self._numbers(number.name)
        codes = np.zeros((len(self), len(features.categories)), np.int32)
        for place, category in enumerate(features.categories):
            codes[:, place] = self._codes(category)
        return Table(
            self.ids,
            tuple(TableColumn(one.name, "number", False) for one in features.numbers),
            numbers,
            tuple(
                TableColumn(one.name, "category", False, one.categories)
                for one in features.categories
            ),
            codes,
            (),
        )

    def _reading(self, name: str, type: str) -> tuple[ColumnRead, pa.ChunkedArray]:
        values = self._table.column(name)
        told = ColumnRead(name, type, self._columns[name].type, values.null_count)
        # Two models may know other categories: the one that has seen fewer is told.
        before = self.read.get(name)
        if before is None or before.type != type:
            self.read[name] = told
        return told, values

    def _numbers(self, name: str) -> npt.NDArray[np.float32]:
        told, column = self._reading(name, "number")
        if told.found == "number":
            exact = np.asarray(column.to_numpy(), np.float64)
        else:
            values, places, counts = _distinct(column)
            parsed = [number_of(str(value)) for value in values]
            told.unread.update(
                {
                    str(v): rows
                    for v, rows, n in zip(values, counts, parsed, strict=True)
                    if n is None
                }
            )
            # Place -1, a missing value, is the last.
            exact = np.array([*parsed, None], np.float64)[places]
        most = np.finfo(np.float32).max
        return np.asarray(np.clip(exact, -most, most), np.float32)

    def _codes(self, feature: CategoryFeature) -> npt.NDArray[np.int32]:
        told, column = self._reading(feature.name, "category")
        known = named_places(feature.categories)
        values, places, counts = _distinct(column)
        told.unseen.update(
            {written(v): rows for v, rows in zip(values, counts, strict=True) if v not in known}
        )
        if told.unseen.total() > self.read[feature.name].unseen.total():
            self.read[feature.name] = told
        codes = [known[value] + FIRST if value in known else UNSEEN for value in values]
        return np.array([*codes, MISSING], np.int32)[places]


def inputs_of(features: Sequence[TableFeatures]) -> dict[str, str]:
    """Inputs of models of tables: name → type, in the order of the first."""
    found: dict[str, str] = {}
    for one in features:
        for number in one.numbers:
            found.setdefault(number.name, "number")
        for category in one.categories:
            found.setdefault(category.name, "category")
    return found


def _distinct(
    column: pa.ChunkedArray,
) -> tuple[list[str | float], npt.NDArray[np.int64], list[int]]:
    """Different values, the place among them of each row, -1 where it has none, and their rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pa.chunked_array(column).combine_chunks().dictionary_encode()
    places = np.asarray(pc.fill_null(encoded.indices, -1), np.int64)
    values = encoded.dictionary.to_pylist()
    return values, places, np.bincount(places[places >= 0], minlength=len(values)).tolist()


def _why_missing(dataset: Path, missing: Sequence[str]) -> str:
    """Names of columns, with what became of those that were uploaded and left out."""
    about = json.loads((dataset / "dataset.json").read_bytes())
    reasons = {one["name"]: one["reason"] for one in about.get("columns", ())}
    told = [f"{name} ({reasons[name]})" if reasons.get(name) else name for name in missing[:NAMED]]
    return ", ".join(told) + (", …" if len(missing) > NAMED else "")
