"""Tables as rows of cells, whatever file they come in: CSV, JSON Lines or Parquet.

A cell is a string, or None where the file itself says that there is nothing. What a cell means, a
number, a category or a missing value, is found for whole columns
(:mod:`training.data.column_types`), alike for every format.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.data.characters import writable
from training.data.readers.csv import Records, named, require_width
from training.data.readers.jsonl import objects
from training.data.readers.lines import Lines
from training.data.readers.parquet import is_nested, naming_damage
from training.errors import TrainingError

#: More columns are pixels, tokens or a table that lies on its side.
MOST_COLUMNS = 1_000
MOST_ROWS = 2_000_000
#: Rows times columns.
MOST_CELLS = 100_000_000
#: Characters of a column's name that are kept.
MAX_COLUMN_NAME = 200
#: Of a prepared table, the column with a row's place in the upload; an "id" may well be there.
ROW = "__row__"
#: … and of the file that says what the others hold.
COLUMNS_VERSION = 1
#: Cells and rows of a Parquet file in memory at a time; a few bytes there may stand for long texts.
BATCH_CELLS, BATCH_ROWS = 100_000, 4_096

Row = list[str | None]


class TableFile(ABC):
    """A table, read once from its first row to its last.

    Attributes:
        format: ``csv``, ``jsonl`` or ``parquet``.
        encoding: Codec of the file.
        delimiter: Of CSV; empty of the others.
        columns: All names, in order, distinct.
        nested: Columns that hold lists or objects somewhere. Known when all rows were read.
        unread: Whether there are columns whose cells are None because nobody reads them.
    """

    format: str
    encoding: str
    delimiter = ""
    columns: list[str]
    nested: set[str]
    unread = False

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """The cells of each row, in the order of the columns."""

    @property
    @abstractmethod
    def bytes_read(self) -> int:
        """How far into the file the reader is."""


class CsvTable(TableFile):
    """A table whose first row names the columns."""

    format = "csv"

    def __init__(self, path: Path) -> None:
        self._records = Records(path)
        self.encoding, self.delimiter = self._records.encoding, self._records.delimiter
        self._rows = iter(self._records)
        _, header = next(self._rows, (0, []))
        _require_columns(len(header))
        self.columns = column_names(header)
        self.nested = set()

    @property
    def bytes_read(self) -> int:
        return self._records.bytes_read

    def rows(self) -> Iterator[Row]:
        width = len(self.columns)
        for number, (line, row) in enumerate(self._rows, 1):
            require_width(row, width, number, line)
            yield list(row)


class JsonlTable(TableFile):
    """An object a line; a key that an object does not have is missing there.

    The keys may come late, so the file is read twice: for its keys, and for its rows.
    """

    format = "jsonl"

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self.encoding = self._lines.encoding
        keys: dict[str, None] = {}
        for _number, row in objects(self._lines):
            keys.update(dict.fromkeys(row))
            _require_columns(len(keys))
        self._keys = list(keys)
        self.columns = column_names(self._keys)
        self.nested = set()

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def rows(self) -> Iterator[Row]:
        for _number, row in objects(self._lines):
            yield [
                self._cell(name, row.get(key))
                for name, key in zip(self.columns, self._keys, strict=True)
            ]

    def _cell(self, name: str, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, list | dict):
            self.nested.add(name)
        # As JSON writes it: true, 3, 0.5.
        return json.dumps(value)


class ParquetTable(TableFile):
    """A Parquet file; values are written as JSON would, dates as ISO 8601 does."""

    format = "parquet"
    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        if not path.is_file():
            raise TrainingError("file_missing", field="path")
        with naming_damage():
            self._file = pq.ParquetFile(path)
            # Counted before the schema is made into Arrow's, which takes memory for each column.
            _require_columns(self._file.metadata.num_columns)
            require_size(self._file.metadata.num_rows, self._file.metadata.num_columns)
            schema = self._file.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise TrainingError("table_names_twice", field="path", column=_first_twice(schema))
        self._flat = [field.name for field in schema if _is_flat(field.type)]
        self._names = list(schema.names)
        self.columns = column_names(self._names)
        self.nested = {
            name
            for name, field in zip(self.columns, schema, strict=True)
            if not _is_flat(field.type)
        }
        self.unread = bool(self.nested)
        self._size = path.stat().st_size
        self._seen = 0

    @property
    def bytes_read(self) -> int:
        return round(self._size * self._seen / max(1, self._file.metadata.num_rows))

    def rows(self) -> Iterator[Row]:
        import pyarrow as pa

        size = max(16, min(BATCH_ROWS, BATCH_CELLS // max(1, len(self._names))))
        if not self._flat:
            return
        with naming_damage():
            for batch in self._file.iter_batches(size, columns=self._flat, use_threads=False):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                nothing = [None] * len(batch)
                cells = [
                    columns[name].cast(pa.string()).to_pylist() if name in columns else nothing
                    for name in self._names
                ]
                for row in zip(*cells, strict=True):
                    self._seen += 1
                    yield list(row)


TABLES: dict[str, type[TableFile]] = {
    "csv": CsvTable,
    "jsonl": JsonlTable,
    "parquet": ParquetTable,
}


def require_size(rows: int, columns: int) -> None:
    """Refuse a table that is too large to be read here.

    Raises:
        TrainingError: ``table_rows_too_many``.
    """
    if rows > MOST_ROWS or rows * columns > MOST_CELLS:
        raise TrainingError(
            "table_rows_too_many",
            field="path",
            columns=columns,
            most=min(MOST_ROWS, MOST_CELLS // max(1, columns)),
        )


def column_names(raw: list[str]) -> list[str]:
    """Names as they are kept: writable, not longer than 200 characters, distinct, not ours."""
    kept = (writable(name).strip()[:MAX_COLUMN_NAME] for name in raw)
    return named(f"{name}_" if name == ROW else name for name in kept)


def _require_columns(columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise TrainingError(
            "table_columns_too_many", field="path", columns=columns, most=MOST_COLUMNS
        )


def _first_twice(schema: Any) -> str:
    seen: set[str] = set()
    for name in schema.names:
        if name in seen:
            break
        seen.add(name)
    return str(name)[:MAX_COLUMN_NAME]


def _is_flat(kind: Any) -> bool:
    """Whether values of a type can be written as one string each."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return not (is_nested(kind) or binary or types.is_fixed_size_binary(kind))
