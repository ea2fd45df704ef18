"""A prepared table as arrays, for methods to learn from (no TensorFlow).

Codes of categories are 0 for a missing value, 1 for one that is not in the training rows, and from
2 on the categories of ``columns.json``, the most frequent first. A method that looks codes up in a
table of ``len(categories) + 2`` rows therefore has a row for what it will meet later on, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.data.readers.tables import COLUMNS_VERSION, ROW
from training.errors import TrainingError

if TYPE_CHECKING:
    import pyarrow as pa

#: Codes of a category's column.
MISSING, UNSEEN, FIRST = 0, 1, 2
#: Class of a row whose target is missing, or is a class that no training row has.
NO_CLASS, UNSEEN_CLASS = -1, -2
#: Values read at a time.
BATCH_CELLS = 2_000_000

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TableColumn:
    """A column of a prepared table.

    Attributes:
        name: Its name.
        type: ``number`` or ``category``.
        is_target: Whether it is to be predicted.
        categories: Of a category the names in the order of their codes; of a target the classes.
    """

    name: str
    type: str
    is_target: bool
    categories: tuple[str, ...] = ()

    @property
    def codes(self) -> int:
        """How many codes an input's categories have, those for missing and unseen included."""
        return len(self.categories) + FIRST


@dataclass(frozen=True)
class TargetValues:
    """What is to be predicted in each row.

    Attributes:
        column: The target.
        values: float32 [rows] of a number, NaN where it is missing; int32 [rows] of a class, an
            index into ``column.categories``, below 0 where it is missing or unseen.
        present: Where there is something to learn or to score, bool [rows].
    """

    column: TableColumn
    values: Floats | Codes
    present: Mask


@dataclass(frozen=True)
class Table:
    """A split.

    Attributes:
        rows: Place of each row in the upload, int64 [rows].
        number_columns: Inputs that are numbers.
        numbers: Their values as they were uploaded, float32 [rows, numbers]; NaN is missing.
        category_columns: Inputs that are categories.
        categories: Their codes, int32 [rows, categories].
        targets: In the table's order.
    """

    rows: npt.NDArray[np.int64]
    number_columns: tuple[TableColumn, ...]
    numbers: Floats
    category_columns: tuple[TableColumn, ...]
    categories: Codes
    targets: tuple[TargetValues, ...]

    def __len__(self) -> int:
        return len(self.rows)


def read_columns(dataset: Path) -> tuple[TableColumn, ...]:
    """The columns of a prepared table, in its order.

    Raises:
        TrainingError: ``dataset_not_table``.
    """
    try:
        about: dict[str, Any] = json.loads((dataset / "columns.json").read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError("dataset_not_table", field="data.path") from error
    if about.get("version") != COLUMNS_VERSION:
        raise TrainingError("dataset_not_table", field="data.path")
    return tuple(
        TableColumn(
            column["name"],
            column["type"],
            column["role"] == "target",
            tuple(column.get("categories", ())),
        )
        for column in about["columns"]
    )


def read_table(dataset: Path, split: str) -> Table | None:
    """A split of a prepared table; None where there is no such split.

    In memory are the arrays, 4 bytes a value, and one batch of rows.

    Args:
        dataset: A prepared data set's folder.
        split: ``train``, ``validation`` or ``test``.

    Raises:
        TrainingError: ``dataset_not_table``.
    """
    import pyarrow.parquet as pq

    columns = read_columns(dataset)
    path = dataset / f"{split}.parquet"
    if not path.is_file():
        return None
    numeric = tuple(one for one in columns if one.type == "number" and not one.is_target)
    sorted_in = tuple(one for one in columns if one.type == "category" and not one.is_target)
    wanted = tuple(one for one in columns if one.is_target)
    with pq.ParquetFile(path) as file:
        count = file.metadata.num_rows
        rows = np.empty(count, np.int64)
        numbers = np.empty((count, len(numeric)), np.float32)
        categories = np.empty((count, len(sorted_in)), np.int32)
        targets: dict[str, Floats | Codes] = {
            one.name: np.empty(count, np.float32 if one.type == "number" else np.int32)
            for one in wanted
        }
        encoders = {one.name: _Encoder(one) for one in columns if one.type == "category"}
        start = 0
        for batch in file.iter_batches(max(1, BATCH_CELLS // (len(columns) + 1))):
            here = slice(start, start + len(batch))
            rows[here] = batch.column(ROW).to_numpy()
            for place, one in enumerate(numeric):
                numbers[here, place] = _floats(batch.column(one.name))
            for place, one in enumerate(sorted_in):
                categories[here, place] = encoders[one.name].codes(batch.column(one.name))
            for one in wanted:
                values = batch.column(one.name)
                targets[one.name][here] = (
                    _floats(values) if one.type == "number" else encoders[one.name].classes(values)
                )
            start += len(batch)
    return Table(
        rows,
        numeric,
        numbers,
        sorted_in,
        categories,
        tuple(TargetValues(one, targets[one.name], _present(targets[one.name])) for one in wanted),
    )


class _Encoder:
    """Names of categories to their codes."""

    def __init__(self, column: TableColumn) -> None:
        import pyarrow as pa

        self._known = pa.array(column.categories, pa.string())

    def codes(self, values: pa.Array) -> Codes:
        """Codes of an input."""
        import pyarrow.compute as pc

        places = pc.index_in(values, self._known)
        found = np.asarray(pc.fill_null(places, UNSEEN - FIRST), np.int32) + np.int32(FIRST)
        found[np.asarray(values.is_null())] = MISSING
        return found

    def classes(self, values: pa.Array) -> Codes:
        """Classes of a target."""
        import pyarrow.compute as pc

        found = np.array(pc.fill_null(pc.index_in(values, self._known), UNSEEN_CLASS), np.int32)
        found[np.asarray(values.is_null())] = NO_CLASS
        return found


def _floats(values: pa.Array) -> Floats:
    # A float64 beyond float32's range becomes infinite, which no method could learn from.
    most = np.finfo(np.float32).max
    return np.asarray(np.clip(values.to_numpy(zero_copy_only=False), -most, most), np.float32)


def _present(values: Floats | Codes) -> Mask:
    if values.dtype == np.float32:
        return np.asarray(~np.isnan(values))
    return np.asarray(values >= 0)
