"""What every reader offers, and how a text column is found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import TrainingError

#: Rows looked at to learn a table's columns, and the most characters these rows may have together.
SAMPLE_ROWS = 100
SAMPLE_CHARACTERS = 1_000_000
#: Columns and characters of a name that errors and ``dataset.json`` repeat.
MAX_COLUMNS = 100
MAX_NAME = 100

#: Names of a text column, the likeliest first.
TEXT_NAMES = (
    "text", "content", "document", "body", "article", "passage", "paragraph", "paragraphs",
    "story", "sentence", "review", "message", "description", "文本", "正文", "内容", "文章", "句子",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """A text, its place in the upload (from 0; rows without text count), and its label.

    The label is None where none is read, or the row has none.
    """

    id: int
    text: str
    label: str | None = None


class Reader(ABC):
    """Streams the documents of one file, once.

    Attributes:
        format: Key of :data:`training.data.readers.READERS`.
        encoding: Codec of the file.
        columns: Names of a table's columns, in order; empty for plain text.
        text_field: The column that holds the text; empty for plain text.
        label_field: The column that holds the label; empty where none is read.
    """

    format: str
    encoding: str
    columns: list[str]
    text_field: str
    label_field: str = ""

    @abstractmethod
    def __init__(self, path: Path, text_field: str = "", label_field: str = "") -> None: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Document]:
        """The documents, empty ones included.

        Raises:
            TrainingError: Names the place of the first fault.
        """

    @property
    @abstractmethod
    def bytes_read(self) -> int:
        """How far into the file the reader is."""


def names(columns: Sequence[str]) -> str:
    """Columns as a sentence shows them."""
    shown = [column[:MAX_NAME] for column in columns[:20]]
    return ", ".join(shown) + (" …" if len(columns) > 20 else "") if shown else "–"


def require_label_field(columns: Sequence[str], text_field: str, wanted: str) -> None:
    """Refuse a label's column that is not there, or is the text's.

    Raises:
        TrainingError: ``label_column_missing``, ``label_column_is_text``.
    """
    if wanted and wanted == text_field:
        raise TrainingError("label_column_is_text", field="label_field", column=wanted[:MAX_NAME])
    if wanted and wanted not in columns:
        raise TrainingError(
            "label_column_missing",
            field="label_field",
            column=wanted[:MAX_NAME],
            columns=names(columns),
        )


def find_text_field(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], wanted: str) -> str:
    """The column that holds the text: the wanted one, a usual name, or the one with most text.

    Args:
        columns: All names, in order.
        rows: A table's first rows.
        wanted: A name chosen by a person, or empty.

    Raises:
        TrainingError: ``text_column_missing`` when the wanted one is not there,
            ``text_column_not_found`` when no column holds text.
    """
    if wanted:
        if wanted in columns:
            return wanted
        raise TrainingError(
            "text_column_missing",
            field="text_field",
            column=wanted[:MAX_NAME],
            columns=names(columns),
        )
    texts = {
        column: [row[column] for row in rows if isinstance(row.get(column), str)]
        for column in columns
    }
    by_name = {column.strip().casefold(): column for column in reversed(columns)}
    for name in TEXT_NAMES:
        column = by_name.get(name)
        if column is not None and (texts[column] or not rows):
            return column
    lengths = {column: sum(map(len, found)) for column, found in texts.items()}
    best = max(lengths, key=lambda column: lengths[column], default="")
    # Below three characters a row it is numbers, codes or labels, not text.
    if not best or lengths[best] < 3 * len(texts[best]) or not lengths[best]:
        raise TrainingError("text_column_not_found", field="text_field", columns=names(columns))
    return best
