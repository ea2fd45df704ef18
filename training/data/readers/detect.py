"""Which format a file has: its content where that is plain, else its name."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from training.data.readers.base import SAMPLE_ROWS, TEXT_NAMES
from training.data.readers.csv import Records, sniff_delimiter
from training.data.readers.jsonl import objects
from training.data.readers.lines import Lines
from training.data.readers.parquet import is_nested, naming_damage
from training.data.readers.tagged import find_tags, looks_like_conll
from training.data.sniff import HEAD_BYTES, Content, sniff
from training.errors import TrainingError

BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    **dict.fromkeys((".conll", ".conllu", ".iob", ".iob2", ".bio"), "conll"),
}


#: More columns than this are no texts with something about each.
MANY_COLUMNS = 100
#: Characters and spaces, on average, from which values are texts: of a table with few columns …
SHORT, SHORT_SPACES = 20, 2
#: … and with several, one of which may hold names or addresses.
SEVERAL, NAME, SENTENCE_SPACES = 4, 60, 5

_HAN = re.compile("[\u3400-\u9fff]")

#: A table's columns, and its first rows.
Sample = tuple[list[str], list[dict[str, Any]]]


def detect_format(path: Path, filename: str) -> str:
    """``text``, ``jsonl``, ``csv``, ``parquet`` or ``conll``.

    Parquet begins with its name. A line that is a JSON object is JSON Lines, and words with tags a
    line are CoNLL, whatever the name; otherwise the suffix decides, and without a known one whether
    the first lines look like a table.

    Raises:
        TrainingError: The file is missing, empty, or neither text nor Parquet.
    """
    if _head(path).is_parquet:
        return "parquet"
    beginning = list(islice((line for line in Lines(path) if line.strip()), 20))
    if beginning and _is_object(beginning[0]):
        return "jsonl"
    found = BY_SUFFIX.get(PurePath(filename).suffix.lower())
    if found in (None, "text", "csv") and looks_like_conll(path):
        return "conll"
    if found:
        return found
    return "csv" if _is_table(path, beginning) else "text"


def looks_like_table(path: Path, filename: str, label_field: str = "") -> bool:
    """Whether a file is a table of values rather than of texts, by its first rows.

    A table of texts has a column with a usual name for them, or one whose values are long; one of
    sentences has lists of words and of tags.

    Args:
        path: Where it is.
        filename: What it is called.
        label_field: The column with labels or tags that a person named, or empty.

    Raises:
        TrainingError: The file is missing, empty, or neither text nor Parquet.
    """
    format = detect_format(path, filename)
    if format not in _SAMPLES:
        return False
    try:
        if find_tags(path, format, tags=label_field):
            return False
        columns, rows = _SAMPLES[format](path)
    except TrainingError:
        return False  # whoever reads it says what is wrong with it
    if len(columns) > MANY_COLUMNS:
        return True
    texts = {
        column: [value for row in rows if isinstance(value := row.get(column), str) and value]
        for column in columns
    }
    usual = {column.strip().casefold() for column, found in texts.items() if found}
    if len(columns) < 2 or not rows or usual & set(TEXT_NAMES):
        return False
    longest = max(sum(map(_length, found)) / max(1, len(found)) for found in texts.values())
    spaces = max(
        sum(one.count(" ") for one in found) / max(1, len(found)) for found in texts.values()
    )
    if len(columns) >= SEVERAL:
        return longest < NAME and spaces < SENTENCE_SPACES
    return longest < SHORT and spaces < SHORT_SPACES


def _length(text: str) -> int:
    """Characters, of which a Han character says as much as three letters."""
    return len(text) if text.isascii() else len(text) + 2 * len(_HAN.findall(text))


def _csv_sample(path: Path) -> Sample:
    rows = islice(Records(path), SAMPLE_ROWS)
    _, header = next(rows, (0, []))
    return header, [dict(zip(header, row, strict=False)) for _, row in rows]


def _jsonl_sample(path: Path) -> Sample:
    rows = [row for _, row in islice(objects(Lines(path)), SAMPLE_ROWS)]
    return list(dict.fromkeys(key for row in rows for key in row)), rows


def _parquet_sample(path: Path) -> Sample:
    import pyarrow.parquet as pq

    with naming_damage():
        file = pq.ParquetFile(path)
        if file.metadata.num_columns > MANY_COLUMNS:
            return [str(place) for place in range(file.metadata.num_columns)], []
        flat = [field.name for field in file.schema_arrow if not is_nested(field.type)]
        batch = next(file.iter_batches(SAMPLE_ROWS, columns=flat, use_threads=False), None)
        return list(file.schema_arrow.names), batch.to_pylist() if batch is not None else []


_SAMPLES: dict[str, Callable[[Path], Sample]] = {
    "csv": _csv_sample,
    "jsonl": _jsonl_sample,
    "parquet": _parquet_sample,
}


def _head(path: Path) -> Content:
    try:
        with path.open("rb") as file:
            return sniff(file.read(HEAD_BYTES))
    except FileNotFoundError as error:
        raise TrainingError("file_missing", field="path") from error


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_table(path: Path, beginning: list[str]) -> bool:
    """Whether three rows or more have the same number of fields under a header of short names."""
    delimiter = sniff_delimiter(path)
    try:
        rows = list(csv.reader(beginning, delimiter=delimiter))
    except csv.Error:
        return False
    return (
        len(rows) >= 3
        and len(rows[0]) >= 2
        and len({len(row) for row in rows[:-1]}) == 1
        and all(0 < len(name.strip()) <= 40 for name in rows[0])
    )
