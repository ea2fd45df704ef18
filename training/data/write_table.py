"""A prepared table's files: a Parquet file a split, what its columns are, a few rows to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.data.column_types import numbers
from training.data.readers.tables import COLUMNS_VERSION, ROW
from training.data.splits import spread
from training.data.table_copy import BATCH_CELLS, TableCopy
from training.data.typed_columns import Typed
from training.durable import json_bytes

if TYPE_CHECKING:
    import pyarrow as pa

PREVIEW_ROWS = 12
PREVIEW_COLUMNS = 50
PREVIEW_CHARACTERS = 80

Mask = npt.NDArray[np.bool_]


def write_splits(
    folder: Path, copy: TableCopy, columns: Sequence[Typed], members: Mapping[str, Mask]
) -> None:
    """Write ``SPLIT.parquet`` for every split.

    Numbers are float64, categories strings; null is missing. Rows keep the upload's order.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    used = [column for column in columns if column.used]
    kinds = {"number": pa.float64(), "category": pa.string()}
    schema = pa.schema(
        [
            pa.field(ROW, pa.int64(), nullable=False),
            *(pa.field(column.name, kinds[column.type]) for column in used),
        ]
    )
    waiting: dict[str, list[pa.Table]] = {split: [] for split in members}

    with ExitStack() as stack:
        # Without Arrow's own schema, whose bytes differ between versions of the library.
        files = {
            split: stack.enter_context(
                pq.ParquetWriter(folder / f"{split}.parquet", schema, store_schema=False)
            )
            for split in members
        }

        def flush(split: str) -> None:
            if waiting[split]:
                files[split].write_table(pa.concat_tables(waiting[split]).combine_chunks())
                waiting[split] = []

        for start, cells in copy.batches([column.place for column in used]):
            found = [
                numbers(values, comma=column.comma) if column.type == "number" else values
                for column, values in zip(used, cells, strict=True)
            ]
            count = len(cells[0])
            table = pa.table([pa.array(np.arange(start, start + count)), *found], schema)
            for split, rows in members.items():
                waiting[split].append(table.filter(pa.array(rows[start : start + count])))
                if sum(len(one) for one in waiting[split]) * len(schema) >= BATCH_CELLS:
                    flush(split)
        for split in members:
            flush(split)


def write_columns(
    folder: Path, columns: Sequence[Typed], categories: Mapping[str, Sequence[str]]
) -> None:
    """Write ``columns.json``: what is in the Parquet files, for whoever learns from them.

    Args:
        folder: Where to.
        columns: All columns.
        categories: Of each category's column the names that stand in training, the most frequent
            first; the order of their codes.
    """
    about = [
        {
            "name": column.name,
            "type": column.type,
            "role": "target" if column.target else "input",
            **({"categories": categories[column.name]} if column.type == "category" else {}),
        }
        for column in columns
        if column.used
    ]
    content = {"version": COLUMNS_VERSION, "columns": about}
    (folder / "columns.json").write_bytes(json_bytes(content))


def write_preview(
    folder: Path, copy: TableCopy, columns: Sequence[Typed], members: Mapping[str, Mask]
) -> None:
    """Write ``preview.json``: a few rows, spread over the table, as they were uploaded."""
    kept = np.logical_or.reduce(list(members.values()))
    wanted = spread(kept, PREVIEW_ROWS)
    shown = columns[:PREVIEW_COLUMNS]
    rows: list[dict[str, Any]] = []
    for start, cells in copy.batches([column.place for column in shown]):
        for row in wanted:
            if start <= row < start + len(cells[0]):
                values = [column[row - start].as_py() for column in cells]
                rows.append(
                    {
                        "id": row,
                        "split": next(split for split, here in members.items() if here[row]),
                        "values": [
                            value if value is None else value[:PREVIEW_CHARACTERS]
                            for value in values
                        ],
                    }
                )
    about = {"columns": [column.name for column in shown], "rows": rows}
    (folder / "preview.json").write_bytes(json_bytes(about))
