"""A table on its way: tidy cells in a file, from which one column or some rows are taken at a time.

Rows come one by one and are looked at column by column. Between the two stands a Parquet file of
strings, so that no more than a column, or a few hundred thousand cells, is ever in memory.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from training.data.characters import writable
from training.data.column_types import Column, column_of, tidy
from training.data.readers.tables import Row, TableFile, require_size
from training.data.splits import Keys
from training.errors import TrainingError
from training.events import EventLog

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: Cells, and characters in them, that are gathered before they are written.
BATCH_CELLS = 500_000
BATCH_CHARACTERS = 50_000_000
TELL_EVERY_S = 0.5


class TableCopy:
    """Gathers a table's rows, then gives its columns; a context that removes the file at its end.

    Attributes:
        rows: How many there are.
    """

    def __init__(self, table: TableFile, path: Path) -> None:
        self._table, self._path = table, path
        self._digests = bytearray()
        self._file: pq.ParquetFile | None = None
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._path.unlink(missing_ok=True)

    def fill(self, size: int, events: EventLog) -> None:
        """Read the table.

        Args:
            size: Bytes of the upload.
            events: Gets ``phase``.

        Raises:
            TrainingError: ``table_no_rows``, ``table_rows_too_many``, or what the file's reader
                says.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        # By place: names may hold anything, and a point in one would mean a nested column.
        schema = pa.schema([(str(place), pa.string()) for place in range(len(self._table.columns))])
        told = time.monotonic()
        with pq.ParquetWriter(
            self._path, schema, write_statistics=False, store_schema=False
        ) as writer:
            for rows in self._batches():
                cells = [tidy(_strings(column)) for column in zip(*rows, strict=True)]
                writer.write_table(pa.table(cells, schema))
                if time.monotonic() - told >= TELL_EVERY_S:
                    told = time.monotonic()
                    fraction = round(self._table.bytes_read / max(size, 1), 4)
                    events.emit("phase", name="reading", fraction=fraction, detail=str(self.rows))
        if not self.rows:
            raise TrainingError("table_no_rows", field="path", columns=len(self._table.columns))

    def uploaded(self) -> Keys:
        """A hash of each row as it was uploaded, 16 bytes each."""
        return np.frombuffer(bytes(self._digests), "S16")

    def column(self, place: int) -> Column:
        """A column, whole."""
        cells = self._opened().read(columns=[str(place)]).column(0)
        name = self._table.columns[place]
        comma = self._table.delimiter not in ("", ",")
        return column_of(name, cells, nested=name in self._table.nested, comma=comma)

    def batches(self, places: list[int]) -> Iterator[tuple[int, list[pa.Array]]]:
        """Some columns' cells, some rows at a time, each with the number of its first row."""
        file, start = self._opened(), 0
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=[str(place) for place in places])
            yield start, [table.column(str(place)).combine_chunks() for place in places]
            start += len(table)

    def _opened(self) -> pq.ParquetFile:
        """The file, opened once: its footer tells of each column."""
        import pyarrow.parquet as pq

        if self._file is None:
            self._file = pq.ParquetFile(self._path)
        return self._file

    def _batches(self) -> Iterator[list[Row]]:
        width = max(1, len(self._table.columns))
        waiting: list[Row] = []
        characters = 0
        for row in self._table.rows():
            self.rows += 1
            require_size(self.rows, width)
            text = "\x1f".join(["\x1e" if cell is None else cell for cell in row])
            self._digests += hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
            characters += len(text)
            waiting.append(row)
            if len(waiting) * width >= BATCH_CELLS or characters >= BATCH_CHARACTERS:
                yield waiting
                waiting, characters = [], 0
        if waiting:
            yield waiting


def _strings(cells: tuple[Any, ...]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:  # half surrogates, which JSON can escape
        known = [cell if cell is None else writable(cell) for cell in cells]
        return pa.array(known, pa.string())
