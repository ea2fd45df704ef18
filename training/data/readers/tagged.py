"""Sentences whose words have tags: a word a line (CoNLL), or lists of words and tags in a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from training.data.characters import writable
from training.data.labels import MAX_LABEL
from training.data.readers.base import (
    MAX_COLUMNS,
    MAX_NAME,
    SAMPLE_ROWS,
    Document,
    Reader,
)
from training.data.readers.jsonl import objects
from training.data.readers.lines import Lines
from training.data.readers.parquet import BATCH_ROWS, naming_damage
from training.errors import TrainingError

#: Names of a column with lists of words, and of one with lists of their tags, the likeliest first.
WORDS_NAMES = ("tokens", "words", "词", "词语", "分词")
TAGS_NAMES = (
    "tags", "labels", "ner_tags", "pos_tags", "ner", "pos", "upos", "xpos", "chunk_tags",
    "标签", "标注", "词性",
)  # fmt: skip

#: Lines of the beginning that tell what is in a file of columns.
LOOKED_AT = 400
#: Columns of CoNLL-U: word and universal part of speech are the second and the fourth.
CONLLU_WIDTH, CONLLU_WORD, CONLLU_TAG = 10, 1, 3
_DOCUMENT = "-DOCSTART-"
_COMMENT = re.compile(r"#.* = ")
#: Of CoNLL-U: words written as one, and words that are not written.
_NOT_A_WORD = re.compile(r"\d+[-.]\d+")
_SPACE = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class TagColumns:
    """Which columns hold words and their tags; ``others`` hold tags too, and are not read."""

    words: str
    tags: str
    others: tuple[str, ...] = ()


def tag_columns(
    words: Sequence[str], tags: Sequence[str], wanted_words: str, wanted_tags: str
) -> TagColumns | None:
    """The columns with words and tags; None: the file is read as something else.

    Args:
        words: Columns that hold lists of strings.
        tags: Columns that hold lists of strings or whole numbers.
        wanted_words: A name chosen by a person, or empty.
        wanted_tags: The same.
    """
    if (wanted_words and wanted_words not in words) or (wanted_tags and wanted_tags not in tags):
        return None
    by_name = {column.strip().casefold(): column for column in reversed(words)}
    first = next((by_name[name] for name in WORDS_NAMES if name in by_name), "")
    if not first and wanted_tags:
        first = next((column for column in words if column != wanted_tags), "")
    first = wanted_words or first
    by_name = {column.strip().casefold(): column for column in reversed(tags) if column != first}
    known = [by_name[name] for name in TAGS_NAMES if name in by_name]
    second = wanted_tags or next(iter(known), "")
    if not first or not second or first == second:
        return None
    return TagColumns(first, second, tuple(one for one in known if one != second))


def find_tags(path: Path, format: str, words: str = "", tags: str = "") -> TagColumns | None:
    """The columns with words and tags of a file in JSON Lines or Parquet; None: it has none."""
    return _FIND[format](path, words, tags) if format in _FIND else None


def _find_jsonl(path: Path, words: str, tags: str) -> TagColumns | None:
    rows = [row for _, row in islice(objects(Lines(path)), SAMPLE_ROWS)]
    lists = {
        key: [value for row in rows if isinstance(value := row.get(key), list)]
        for key in dict.fromkeys(key for row in rows for key in row)
    }
    named = {words, tags}
    strings, either = [], []
    for key, found in lists.items():
        values = [value for one in found for value in one]
        # Most are enough: whoever reads the column says what is wrong with the others.
        if found and (key in named or 2 * sum(isinstance(v, str) for v in values) > len(values)):
            strings.append(key)
        if found and (
            key in named or 2 * sum(isinstance(v, str | int) for v in values) > len(values)
        ):
            either.append(key)
    return tag_columns(strings, either, words, tags)


def _find_parquet(path: Path, words: str, tags: str) -> TagColumns | None:
    import pyarrow.parquet as pq
    import pyarrow.types as types

    with naming_damage():
        schema = pq.ParquetFile(path).schema_arrow
    inner = {
        one.name: one.type.value_type
        for one in schema
        if types.is_list(one.type) or types.is_large_list(one.type)
    }
    strings = [
        name for name, kind in inner.items() if types.is_string(kind) or types.is_large_string(kind)
    ]
    whole = [name for name, kind in inner.items() if types.is_integer(kind)]
    return tag_columns(strings, [*strings, *whole], words, tags)


_FIND = {"jsonl": _find_jsonl, "parquet": _find_parquet}


class TaggedReader(Reader):
    """Sentences as documents with words and tags; ``text_field`` holds the words, ``label_field``
    the tags.

    Attributes:
        others: Columns that hold tags too.
    """

    tagged = True
    others: tuple[str, ...] = ()

    def _document(self, number: int, line: int, words: Any, tags: Any) -> Document:
        """A row's sentence.

        Raises:
            TrainingError: ``words_not_list``, ``tags_not_list``, ``tags_lengths``, ``tag_missing``.
        """
        place: dict[str, Any] = {"field": "path", "line": line}
        column = self.text_field[:MAX_NAME]
        if words is None and tags is None:
            words, tags = [], []
        if not isinstance(words, list) or any(not isinstance(word, str) for word in words):
            raise TrainingError("words_not_list", **place, column=column)
        column = self.label_field[:MAX_NAME]
        if not isinstance(tags, list):
            raise TrainingError("tags_not_list", **place, column=column)
        if len(words) != len(tags):
            raise TrainingError("tags_lengths", **place, words=len(words), tags=len(tags))
        named = [self._tag(tag) for tag in tags]
        if "" in named:
            at = named.index("")
            raise TrainingError("tag_missing", **place, word=words[at][:MAX_NAME], place=at + 1)
        return Document(number, " ".join(words), words=words, tags=named)

    def _tag(self, value: Any) -> str:
        """What a tag is called; empty where it is none."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return ""
        return writable(str(value)).strip()[:MAX_LABEL]


class TaggedJsonlReader(TaggedReader):
    """JSON Lines: an object with a list of words and a list of tags a line."""

    format = "jsonl"

    def __init__(self, path: Path, columns: TagColumns) -> None:
        self._lines = Lines(path)
        self.encoding = self._lines.encoding
        self.text_field, self.label_field = columns.words, columns.tags
        self.others = columns.others
        keys = dict.fromkeys(
            key for _, row in islice(objects(Lines(path)), SAMPLE_ROWS) for key in row
        )
        self.columns = [key[:MAX_NAME] for key in keys][:MAX_COLUMNS]

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def __iter__(self) -> Iterator[Document]:
        for number, (line, row) in enumerate(objects(self._lines)):
            yield self._document(number, line, row.get(self.text_field), row.get(self.label_field))


class TaggedParquetReader(TaggedReader):
    """Parquet: a list of words and a list of tags a row; numbers are named where the file says."""

    format = "parquet"
    encoding = "utf-8"

    def __init__(self, path: Path, columns: TagColumns) -> None:
        import pyarrow.parquet as pq

        with naming_damage():
            self._file = pq.ParquetFile(path)
        schema = self._file.schema_arrow
        self.text_field, self.label_field = columns.words, columns.tags
        self.others = columns.others
        self.columns = [name[:MAX_NAME] for name in schema.names][:MAX_COLUMNS]
        self._names = _class_names(schema.metadata or {}, columns.tags)
        self._size, self._seen = path.stat().st_size, 0

    @property
    def bytes_read(self) -> int:
        return round(self._size * self._seen / max(1, self._file.metadata.num_rows))

    def __iter__(self) -> Iterator[Document]:
        wanted = [self.text_field, self.label_field]
        with naming_damage():
            for batch in self._file.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    self._seen += 1
                    yield self._document(
                        self._seen - 1, self._seen, row[self.text_field], row[self.label_field]
                    )

    def _tag(self, value: Any) -> str:
        if isinstance(value, int) and self._names:
            return self._names[value] if 0 <= value < len(self._names) else ""
        return super()._tag(value)


def _class_names(metadata: dict[bytes, bytes], column: str) -> list[str]:
    """What the numbers in a column of lists mean, as ``datasets`` writes it; empty: nobody says."""
    try:
        feature = json.loads(metadata[b"huggingface"])["info"]["features"][column]
        names = feature["feature"]["names"]
        return [writable(str(name)).strip()[:MAX_LABEL] for name in names]
    except (KeyError, TypeError, ValueError):
        return []


class ConllReader(TaggedReader):
    """A word a line with its tag in a column of its own; a blank line ends a sentence.

    Columns are parted by tabs, or else by spaces, and counted from 1 (from −1 backwards). Found are
    the first, or in CoNLL-U the second, for words; and for tags the last, in CoNLL-U the fourth.
    Comments, ``-DOCSTART-`` and CoNLL-U's words written as one are passed over.
    """

    format = "conll"

    def __init__(self, path: Path, words: str = "", tags: str = "") -> None:
        self._lines = Lines(path)
        self.encoding = self._lines.encoding
        found = columns_of(path)
        if found is None:
            raise TrainingError("conll_no_columns", field="path")
        self._width, self._tabs = found
        self.columns = [str(number + 1) for number in range(self._width)]
        unified = self._width == CONLLU_WIDTH
        self._word = self._place(words, "text_field", CONLLU_WORD if unified else 0)
        self._tag_place = self._place(
            tags, "label_field", CONLLU_TAG if unified else self._width - 1
        )
        if self._word == self._tag_place:
            raise TrainingError(
                "label_column_is_text", field="label_field", column=str(self._word + 1)
            )
        self.text_field, self.label_field = str(self._word + 1), str(self._tag_place + 1)
        self._skips = unified

    def _place(self, wanted: str, field: str, usual: int) -> int:
        if not wanted:
            return usual
        number = int(wanted) if re.fullmatch(r"-?\d{1,3}", wanted) else 0
        place = number - 1 if number > 0 else self._width + number
        if not number or not 0 <= place < self._width:
            raise TrainingError(
                "conll_column", field=field, column=wanted[:MAX_NAME], columns=self._width
            )
        return place

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def __iter__(self) -> Iterator[Document]:
        number, start = 0, 0
        words: list[str] = []
        tags: list[str] = []
        for line, text in enumerate(self._lines, 1):
            cells = _cells(text, self._tabs)
            blank = not text.strip() or cells[0] == _DOCUMENT
            if blank and words:
                yield self._document(number, start, words, tags)
                number, words, tags = number + 1, [], []
            if blank or _is_comment(text, cells, self._width):
                continue
            if len(cells) != self._width:
                raise TrainingError(
                    "conll_columns",
                    field="path",
                    line=line,
                    found=len(cells),
                    expected=self._width,
                )
            if self._skips and _NOT_A_WORD.fullmatch(cells[0]):
                continue
            start = start if words else line
            words.append(cells[self._word])
            tags.append(cells[self._tag_place])
        if words:
            yield self._document(number, start, words, tags)


def columns_of(path: Path) -> tuple[int, bool] | None:
    """How many columns a file has, and whether tabs part them, by its first lines; None: it has
    no two."""
    lines = [line for line in islice(Lines(path), LOOKED_AT) if line.strip()]
    for tabs in (True, False):
        widths = [
            len(cells)
            for line in lines
            if (cells := _cells(line, tabs))[0] != _DOCUMENT and not line.startswith("#")
        ]
        width = max(set(widths), key=widths.count, default=0)
        if width > 1:
            return width, tabs
    return None


def looks_like_conll(path: Path) -> bool:
    """Whether a file is a word and its tag a line: all lines of one width, blank ones between
    sentences, and a last column that repeats itself."""
    found = columns_of(path)
    if found is None:
        return False
    width, tabs = found
    rows, sentences, within = [], 0, False
    for line in islice(Lines(path), LOOKED_AT):
        cells = _cells(line, tabs)
        if not line.strip() or cells[0] == _DOCUMENT:
            sentences, within = sentences + within, False
        elif not _is_comment(line, cells, width):
            rows.append(cells)
            within = True
    sentences += within
    if sentences < 2 or len(rows) < 2 * sentences or any(len(row) != width for row in rows):
        return False
    tags = {row[CONLLU_TAG if width == CONLLU_WIDTH else -1] for row in rows}
    return 1 < len(tags) <= max(2, len(rows) // 3) and max(map(len, tags)) <= MAX_NAME


def _cells(line: str, tabs: bool) -> list[str]:
    # Not at other white space: a word may hold a space that does not break.
    parts = line.rstrip("\r\n").split("\t") if tabs else _SPACE.split(line.strip(" \t"))
    return [part.strip(" ") for part in parts]


def _is_comment(line: str, cells: list[str], width: int) -> bool:
    """A line with # first; # may also be a word."""
    return line.startswith("#") and (len(cells) != width or bool(_COMMENT.match(line)))
