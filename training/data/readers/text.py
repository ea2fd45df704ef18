"""Plain text: paragraphs gathered into documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from training.data.readers.base import Document, Reader, require_other_fields
from training.data.readers.lines import Lines

#: A document ends at the first blank line after so many characters …
ENOUGH_CHARACTERS = 1_000
#: … and, in a text without blank lines, at a line's or sentence's end after four times that.
AT_MOST = 4

_SENTENCE_END = re.compile(r"[.!?][\"')\]”’]*\s|[。！？…][”’」』）]*")


class TextReader(Reader):
    """A text file as documents of whole paragraphs, of 1,000 characters or little more.

    Args:
        enough: Characters after which a document may end; a short text is cut finer, so that it
            can still be split.
    """

    format = "text"

    def __init__(
        self,
        path: Path,
        text_field: str = "",
        label_field: str = "",
        pair_field: str = "",
        enough: int = ENOUGH_CHARACTERS,
    ) -> None:
        require_other_fields([], "", label_field, pair_field)
        self._lines = Lines(path)
        self._enough = enough
        self.encoding = self._lines.encoding
        self.columns: list[str] = []
        self.text_field = ""

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def __iter__(self) -> Iterator[Document]:
        for number, text in enumerate(self._passages()):
            yield Document(number, text)

    def _passages(self) -> Iterator[str]:
        gathered: list[str] = []
        length = 0
        most = AT_MOST * self._enough

        for line in self._lines:
            if len(line) > most:  # a whole book may stand on one line
                if length:
                    yield "\n".join(gathered).strip("\n")
                *full, line = _sentences(line, self._enough)
                yield from full
                gathered, length = [], 0
            if line.strip():
                gathered.append(line)
                length += len(line) + 1
                if length < most:
                    continue
            elif length < self._enough:
                gathered.append("")
                continue
            yield "\n".join(gathered).strip("\n")
            gathered, length = [], 0
        if length:
            yield "\n".join(gathered).strip("\n")


def _sentences(line: str, enough: int) -> Iterator[str]:
    """Cut a long line after sentences, each piece of ``enough`` characters or little more."""
    start = 0
    while start < len(line):
        found = _SENTENCE_END.search(line, start + enough, start + AT_MOST * enough)
        end = found.end() if found else start + AT_MOST * enough
        if len(line) - end < enough // 4:
            end = len(line)
        yield line[start:end].strip()
        start = end
