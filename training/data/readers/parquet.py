"""Apache Parquet: columns of a table, read a batch of rows at a time.

The format is binary and its reader large: only the training process, in its sandbox, opens one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from training.data.readers.base import (
    MAX_COLUMNS,
    MAX_NAME,
    SAMPLE_CHARACTERS,
    SAMPLE_ROWS,
    Document,
    Reader,
    find_text_field,
    require_other_fields,
)
from training.errors import TrainingError

#: Rows in memory at a time; a text may be as long as a book.
BATCH_ROWS = 256


class ParquetReader(Reader):
    """A table whose text column holds strings; labels may be strings, numbers or truths."""

    format = "parquet"
    encoding = "utf-8"

    def __init__(
        self, path: Path, text_field: str = "", label_field: str = "", pair_field: str = ""
    ) -> None:
        import pyarrow.parquet as pq

        if not path.is_file():
            raise TrainingError("file_missing", field="path")
        with naming_damage():
            self._file = pq.ParquetFile(path)
        schema = self._file.schema_arrow
        self._strings = [field.name for field in schema if _holds_text(field.type)]
        names = list(schema.names)
        for field, wanted in (("text_field", text_field), ("pair_field", pair_field)):
            if wanted in names and wanted not in self._strings:
                raise TrainingError(
                    "parquet_text_not_string",
                    field=field,
                    column=wanted[:MAX_NAME],
                    type=str(schema.field(wanted).type)[:MAX_NAME],
                )
        # Of a file with numbers alone there is nothing to sample, and nothing to find.
        rows = self._sample() if self._strings else []
        self.text_field = find_text_field(names, rows, text_field, pair_field)
        require_other_fields(names, self.text_field, label_field, pair_field)
        self.label_field, self.pair_field = label_field, pair_field
        if label_field and is_nested(schema.field(label_field).type):
            raise TrainingError(
                "parquet_label_not_simple",
                field="label_field",
                column=label_field[:MAX_NAME],
                type=str(schema.field(label_field).type)[:MAX_NAME],
            )
        self.columns = [name[:MAX_NAME] for name in names][:MAX_COLUMNS]
        self._size = path.stat().st_size
        self._seen = 0

    @property
    def bytes_read(self) -> int:
        """As the share of rows that passed by: columns that are not read take no time."""
        return round(self._size * self._seen / max(1, self._file.metadata.num_rows))

    def __iter__(self) -> Iterator[Document]:
        wanted = [one for one in (self.text_field, self.label_field, self.pair_field) if one]
        for number, row in enumerate(self._rows(wanted)):
            self._seen = number + 1
            yield Document(
                number,
                row[self.text_field] or "",
                _label(row.get(self.label_field)),
                row.get(self.pair_field),
            )

    def _sample(self) -> list[dict[str, Any]]:
        found, size = [], 0
        for row in islice(self._rows(self._strings), SAMPLE_ROWS):
            found.append(row)
            size += sum(len(value) for value in row.values() if value is not None)
            if size >= SAMPLE_CHARACTERS:
                break
        return found

    def _rows(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        with naming_damage():
            for batch in self._file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
                yield from batch.to_pylist()


@contextmanager
def naming_damage() -> Iterator[None]:
    """Turn what the library says of a damaged file into a refusal."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TrainingError(
            "parquet_broken", field="path", detail=str(error).split("\n")[0][:200]
        ) from error


def _label(value: Any) -> str | None:
    if value is None:
        return None
    # As JSON writes it: true, 3, 0.5; what JSON cannot write (a date), as it is called.
    text = value if isinstance(value, str) else json.dumps(value, default=str).strip('"')
    return text.strip() or None


def _holds_text(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_nested(kind: Any) -> bool:
    """Whether values of a type are lists, structures or maps."""
    import pyarrow.types as types

    return bool(types.is_nested(kind))
