"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
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
    names,
    require_other_fields,
)
from training.data.readers.lines import Lines
from training.errors import TrainingError

Row = tuple[int, dict[str, Any]]


class JsonlReader(Reader):
    """A file of one JSON object a line; blank lines are passed over and count as lines."""

    format = "jsonl"

    def __init__(
        self, path: Path, text_field: str = "", label_field: str = "", pair_field: str = ""
    ) -> None:
        self._lines = Lines(path)
        self.encoding = self._lines.encoding
        self._rows = objects(self._lines)
        self._sample: list[Row] = []
        size = 0
        for line, row in self._rows:
            self._sample.append((line, row))
            size += sum(len(value) for value in row.values() if isinstance(value, str))
            if len(self._sample) >= SAMPLE_ROWS or size >= SAMPLE_CHARACTERS:
                break
        found = dict.fromkeys(key for _, row in self._sample for key in row)
        rows = [row for _, row in self._sample]
        if text_field and text_field in found:
            self.text_field = text_field
        elif rows:
            self.text_field = find_text_field(list(found), rows, text_field, pair_field)
        else:
            self.text_field = text_field
        require_other_fields(list(found), self.text_field, label_field, pair_field)
        self.label_field, self.pair_field = label_field, pair_field
        self.columns = [key[:MAX_NAME] for key in found][:MAX_COLUMNS]

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def __iter__(self) -> Iterator[Document]:
        for number, (line, row) in enumerate(chain(self._sample, self._rows)):
            yield Document(
                number, self._text(line, row), self._label(line, row), self._pair(line, row)
            )

    def _label(self, line: int, row: dict[str, Any]) -> str | None:
        value = row.get(self.label_field) if self.label_field else None
        if value is None:
            return None
        if isinstance(value, list | dict):
            raise TrainingError(
                "json_label_not_simple",
                field="label_field",
                line=line,
                column=self.label_field[:MAX_NAME],
                type=_type_name(value),
            )
        # As JSON writes it: true, 3, 0.5.
        return (value if isinstance(value, str) else json.dumps(value)).strip() or None

    def _text(self, line: int, row: dict[str, Any]) -> str:
        column = self.text_field[:MAX_NAME]
        if self.text_field not in row:
            raise TrainingError(
                "json_text_missing",
                field="text_field",
                line=line,
                column=column,
                columns=names(list(row)),
            )
        value = row[self.text_field]
        if value is None:
            raise TrainingError("json_text_null", field="path", line=line, column=column)
        return _string(value, line, column)

    def _pair(self, line: int, row: dict[str, Any]) -> str | None:
        value = row.get(self.pair_field) if self.pair_field else None
        return None if value is None else _string(value, line, self.pair_field[:MAX_NAME])


def objects(lines: Lines) -> Iterator[Row]:
    """The object of each line that is not blank, with the line's number.

    Raises:
        TrainingError: ``json_list``, ``json_row_invalid``, ``json_row_not_object``, or what the
            lines say.
    """
    good = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        # ValueError beside JSONDecodeError: an integer of more than 4,300 digits.
        except (ValueError, RecursionError) as error:
            if good == 0 and line.lstrip().startswith("["):
                raise TrainingError("json_list", field="path") from error
            detail = getattr(error, "msg", None) or type(error).__name__
            column = getattr(error, "colno", 1)
            raise TrainingError(
                "json_row_invalid",
                field="path",
                line=number,
                character=column,
                detail=detail,
                good=good,
            ) from error
        if not isinstance(row, dict):
            if good == 0 and isinstance(row, list):
                raise TrainingError("json_list", field="path")
            raise TrainingError(
                "json_row_not_object",
                field="path",
                line=number,
                type=_type_name(row),
                good=good,
            )
        good += 1
        yield number, row


def _string(value: Any, line: int, column: str) -> str:
    if not isinstance(value, str):
        raise TrainingError(
            "json_text_not_string",
            field="path",
            line=line,
            column=column,
            type=_type_name(value),
        )
    return value


def _type_name(value: Any) -> str:
    """JSON's own name of a value's type."""
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")
