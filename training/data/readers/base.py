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

#: Names of a column with the second text of a pair, the likeliest first.
PAIR_NAMES = (
    "text_pair", "text2", "text_2", "text_b", "sentence2", "sentence_2", "sentence_b",
    "hypothesis", "question2", "answer", "response", "reply", "passage", "document",
    "句子2", "文本2", "假设", "回答", "答案",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """A text, its place in the upload (from 0; rows without text count), its label and its partner.

    The label is None where none is read, or the row has none; so is the second text of a pair.
    A sentence has its words and a tag of each, and its text is the words with spaces between.
    """

    id: int
    text: str
    label: str | None = None
    text_pair: str | None = None
    words: list[str] | None = None
    tags: list[str] | None = None


class Reader(ABC):
    """Streams the documents of one file, once.

    Attributes:
        format: Key of :data:`training.data.readers.READERS`.
        encoding: Codec of the file.
        columns: Names of a table's columns, in order; empty for plain text.
        text_field: The column that holds the text; empty for plain text.
        label_field: The column that holds the label; empty where none is read.
        pair_field: The column that holds the second text of a pair; empty where none is read.
        tagged: Whether documents are sentences whose words have tags.
    """

    format: str
    encoding: str
    columns: list[str]
    text_field: str
    label_field: str = ""
    pair_field: str = ""
    tagged: bool = False

    @abstractmethod
    def __init__(
        self, path: Path, text_field: str = "", label_field: str = "", pair_field: str = ""
    ) -> None: ...

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


def require_other_fields(
    columns: Sequence[str], text_field: str, label_field: str, pair_field: str
) -> None:
    """Refuse columns of labels and second texts that are not there, or are read as something else.

    Raises:
        TrainingError: ``label_column_missing``, ``label_column_is_text``, ``pair_column_missing``,
            ``pair_column_taken``.
    """
    if label_field and label_field == text_field:
        raise TrainingError(
            "label_column_is_text", field="label_field", column=label_field[:MAX_NAME]
        )
    if pair_field and pair_field in (text_field, label_field):
        raise TrainingError("pair_column_taken", field="pair_field", column=pair_field[:MAX_NAME])
    for code, field, wanted in (
        ("label_column_missing", "label_field", label_field),
        ("pair_column_missing", "pair_field", pair_field),
    ):
        if wanted and wanted not in columns:
            raise TrainingError(code, field=field, column=wanted[:MAX_NAME], columns=names(columns))


def find_text_field(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    wanted: str,
    pair_field: str = "",
) -> str:
    """The column that holds the text: the wanted one, a usual name, or the one with most text.

    Args:
        columns: All names, in order.
        rows: A table's first rows.
        wanted: A name chosen by a person, or empty.
        pair_field: The column of second texts, which is not looked at; or empty.

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
        if column != pair_field
    }
    by_name = {column.strip().casefold(): column for column in reversed(texts)}
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


def likely_pair(reader: Reader) -> str:
    """A column that looks, by its name, as if it held second texts, and is read as nothing."""
    by_name = {column.strip().casefold(): column for column in reversed(reader.columns)}
    taken = {reader.text_field, reader.label_field}
    found = (by_name[name] for name in PAIR_NAMES if name in by_name)
    return "" if reader.pair_field else next((one for one in found if one not in taken), "")
