"""Readers of uploaded files, one format a file; :data:`READERS` lists them.

A reader streams: it holds one document and one chunk of the file, whatever the file's size. A new
format is a file here with a subclass of :class:`~training.data.readers.base.Reader`, and a line in
the dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from training.data.readers.base import Document, Reader
from training.data.readers.csv import CsvReader
from training.data.readers.detect import detect_format
from training.data.readers.jsonl import JsonlReader
from training.data.readers.parquet import ParquetReader
from training.data.readers.tagged import (
    ConllReader,
    TagColumns,
    TaggedJsonlReader,
    TaggedParquetReader,
    TaggedReader,
    find_tags,
)
from training.data.readers.text import TextReader

__all__ = ["READERS", "Document", "Reader", "detect_format", "iter_documents", "open_reader"]

READERS: dict[str, type[Reader]] = {
    "text": TextReader,
    "jsonl": JsonlReader,
    "csv": CsvReader,
    "parquet": ParquetReader,
}
#: Of rows with lists of words and tags.
TAGGED: dict[str, Callable[[Path, TagColumns], TaggedReader]] = {
    "jsonl": TaggedJsonlReader,
    "parquet": TaggedParquetReader,
}


def open_reader(
    path: Path,
    format: str = "auto",
    text_field: str = "",
    filename: str = "",
    label_field: str = "",
    pair_field: str = "",
) -> Reader:
    """The reader for a file; its first rows are read already, so its columns are known.

    Args:
        format: ``auto``, ``conll`` or a key of :data:`READERS`.
        text_field: Column that holds the text, or the words; empty: found by name and content.
        filename: The name the file had, a hint for ``auto``.
        label_field: Column that holds the label, or the words' tags; empty: tags are found, and
            else none is read.
        pair_field: Column that holds the second text of a pair; empty: none is read.

    Raises:
        TrainingError: The file is not text, or its beginning is at fault.
    """
    if format == "auto":
        format = detect_format(path, filename or path.name)
    if format == "conll":
        return ConllReader(path, text_field, label_field)
    if not pair_field and (columns := find_tags(path, format, text_field, label_field)):
        return TAGGED[format](path, columns)
    return READERS[format](path, text_field, label_field, pair_field)


def iter_documents(path: Path, format: str = "auto", text_field: str = "") -> Iterator[Document]:
    """Every document of a file, empty ones included."""
    yield from open_reader(path, format, text_field)
