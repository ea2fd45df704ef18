"""Which format a file has: its content where that is plain, else its name."""

from __future__ import annotations

import csv
import json
from itertools import islice
from pathlib import Path, PurePath

from training.data.readers.csv import sniff_delimiter
from training.data.readers.lines import Lines
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
}


def detect_format(path: Path, filename: str) -> str:
    """``text``, ``jsonl``, ``csv`` or ``parquet``.

    Parquet begins with its name. A line that is a JSON object is JSON Lines, whatever the name;
    otherwise the suffix decides, and without a known one whether the first lines look like a table.

    Raises:
        TrainingError: The file is missing, empty, or neither text nor Parquet.
    """
    if _head(path).is_parquet:
        return "parquet"
    beginning = list(islice((line for line in Lines(path) if line.strip()), 20))
    if beginning and _is_object(beginning[0]):
        return "jsonl"
    if found := BY_SUFFIX.get(PurePath(filename).suffix.lower()):
        return found
    return "csv" if _is_table(path, beginning) else "text"


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
