"""Comma-separated values, and the other separators people call by that name."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

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
from training.data.readers.lines import MAX_LINE_CHARACTERS, Lines
from training.errors import TrainingError

DELIMITERS = ",\t;|"
#: The default, 131,072 characters, refuses long articles; unbounded, an open quote would take the
#: whole file into memory. The limit is the csv module's own and global, so it is set at each use.
MAX_FIELD_CHARACTERS = MAX_LINE_CHARACTERS
#: Characters of the beginning by which the delimiter is chosen.
SNIFF_CHARACTERS = 64 * 1024

Row = tuple[int, list[str]]


class Records:
    """Rows that are not blank, each with the number of the line it starts on; the header is one.

    Raises:
        TrainingError: What :class:`~training.data.readers.lines.Lines` says of the file; while
            reading, ``csv_quote_open`` or ``csv_row_invalid``.
    """

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self.encoding = self._lines.encoding
        self.delimiter = sniff_delimiter(path)
        self._line = 0

    @property
    def bytes_read(self) -> int:
        """How far into the file the rows are."""
        return self._lines.bytes_read

    def __iter__(self) -> Iterator[Row]:
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        reader = csv.reader(self._numbered(), delimiter=self.delimiter, strict=True)
        number = 0
        while True:
            start = self._line + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                open_quote = "field larger" in str(error) or "unexpected end" in str(error)
                raise TrainingError(
                    "csv_quote_open" if open_quote else "csv_row_invalid",
                    field="path",
                    row=number,
                    line=start,
                    detail=str(error),
                ) from error
            if row:
                yield start, row
                number += 1

    def _numbered(self) -> Iterator[str]:
        for line in self._lines:
            self._line += 1
            yield line + "\n"


class CsvReader(Reader):
    """A table whose first row names the columns; quoted fields may hold line breaks."""

    format = "csv"

    def __init__(
        self, path: Path, text_field: str = "", label_field: str = "", pair_field: str = ""
    ) -> None:
        self._records = Records(path)
        self.encoding = self._records.encoding
        self.delimiter = self._records.delimiter
        self._rows = iter(self._records)
        _, header = next(self._rows, (0, []))
        if not header:
            raise TrainingError("documents_all_empty", field="path", empty=0)
        self._names = named(header)
        self._sample: list[Row] = []
        size = 0
        for line, row in self._rows:
            self._sample.append((line, row))
            size += sum(map(len, row))
            if len(self._sample) >= SAMPLE_ROWS or size >= SAMPLE_CHARACTERS:
                break
        rows = [dict(zip(self._names, row, strict=False)) for _, row in self._sample]
        self.text_field = find_text_field(self._names, rows, text_field, pair_field)
        require_other_fields(self._names, self.text_field, label_field, pair_field)
        self.label_field, self.pair_field = label_field, pair_field
        self.columns = [name[:MAX_NAME] for name in self._names][:MAX_COLUMNS]

    @property
    def bytes_read(self) -> int:
        return self._records.bytes_read

    def __iter__(self) -> Iterator[Document]:
        place, width = self._names.index(self.text_field), len(self._names)
        label = self._names.index(self.label_field) if self.label_field else None
        pair = self._names.index(self.pair_field) if self.pair_field else None
        for number, (line, row) in enumerate(chain(self._sample, self._rows)):
            require_width(row, width, number + 1, line)
            found = row[label].strip() if label is not None else ""
            second = row[pair] if pair is not None else None
            yield Document(number, row[place], found or None, second)


def sniff_delimiter(path: Path) -> str:
    """The delimiter that cuts the first rows into the same number of fields, and into the most.

    ``csv.Sniffer`` takes letters and spaces for delimiters when texts are long.
    """
    sample: list[str] = []
    size = 0
    for line in Lines(path):
        sample.append(line + "\n")
        size += len(line)
        if size >= SNIFF_CHARACTERS or len(sample) >= SAMPLE_ROWS:
            break
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    best, best_score = DELIMITERS[0], (0.0, 0)
    for delimiter in DELIMITERS:
        widths = []
        try:
            for row in csv.reader(sample, delimiter=delimiter):
                if row:
                    widths.append(len(row))
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        agreeing = sum(width == widths[0] for width in widths) / len(widths)
        if (agreeing, widths[0]) > best_score:
            best, best_score = delimiter, (agreeing, widths[0])
    return best


def require_width(row: list[str], expected: int, number: int, line: int) -> None:
    """Refuse a row with more or fewer fields than the header.

    Raises:
        TrainingError: ``csv_fields``.
    """
    if len(row) != expected:
        raise TrainingError(
            "csv_fields", field="path", row=number, line=line, found=len(row), expected=expected
        )


def named(header: Iterable[str]) -> list[str]:
    """The header's names, made distinct: a nameless or repeated column is called by its number."""
    found: dict[str, None] = {}
    for number, name in enumerate(header, 1):
        name = name.strip()
        while not name or name in found:
            name = f"{name} #{number}".strip()
        found[name] = None
    return list(found)
