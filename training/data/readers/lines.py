"""A file's lines as text: any Unicode encoding, bounded memory, faults named by place."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from training.data.sniff import HEAD_BYTES, likely_encoding, sniff
from training.errors import TrainingError

CHUNK_BYTES = 256 * 1024
#: A longer line is no text that a person wrote or a program should hold in memory.
MAX_LINE_CHARACTERS = 16 * 2**20


class Lines:
    """Iterates over the lines of a text file, without their ends (``\\n``, ``\\r\\n`` or ``\\r``).

    Raises:
        TrainingError: At once when the file is missing, empty or by its first bytes no text; while
            reading, ``text_not_utf8`` and its kin, ``text_nul`` or ``line_too_long``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self.head = file.read(HEAD_BYTES)
        except FileNotFoundError as error:
            raise TrainingError("file_missing", field="path") from error
        content = sniff(self.head)
        if not content.is_text:
            raise content.refusal()
        self.encoding = content.kind
        self._mark = content.mark
        if path.stat().st_size == content.mark:
            raise TrainingError("file_empty", field="path", kind="")
        self.bytes_read = 0

    def __iter__(self) -> Iterator[str]:
        parts: list[str] = []
        length, number = 0, 1
        for text in self._texts():
            *complete, rest = text.split("\n")
            for line in complete:
                if length + len(line) > MAX_LINE_CHARACTERS:
                    raise self._too_long(number)
                yield "".join([*parts, line]) if parts else line
                parts, length = [], 0
                number += 1
            if rest:
                parts.append(rest)
                length += len(rest)
                # Told while the line still grows: a line of 2 GB never gets into memory.
                if length > MAX_LINE_CHARACTERS:
                    raise self._too_long(number)
        if parts:
            yield "".join(parts)

    def _texts(self) -> Iterator[str]:
        """The file chunk by chunk, decoded, with every line end as ``\\n``."""
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        ends = io.IncrementalNewlineDecoder(None, translate=True)
        line = 1
        with self._path.open("rb") as file:
            self.bytes_read = file.seek(self._mark)
            while True:
                chunk = file.read(CHUNK_BYTES)
                pending = decoder.getstate()[0]
                try:
                    decoded = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    offset = self.bytes_read - len(pending) + error.start
                    before = error.object[: error.start].decode(self.encoding)
                    raise self._not_decodable(
                        offset, line + ends.decode(before).count("\n"), error.object, error.start
                    ) from error
                text = ends.decode(decoded, final=not chunk)
                if (place := text.find("\0")) >= 0:
                    raise TrainingError(
                        "text_nul", field="path", line=line + text.count("\n", 0, place)
                    )
                self.bytes_read += len(chunk)
                line += text.count("\n")
                yield text
                if not chunk:
                    return

    def _too_long(self, number: int) -> TrainingError:
        return TrainingError(
            "line_too_long", field="path", line=number, limit=MAX_LINE_CHARACTERS // 2**20
        )

    def _not_decodable(self, offset: int, line: int, data: bytes, start: int) -> TrainingError:
        if not self.encoding.startswith("utf-8"):
            return TrainingError(
                "text_broken", field="path", byte=offset, line=line, encoding=self.encoding.upper()
            )
        guess = likely_encoding(bytes(data[max(0, start - 2000) : start + 4000]))
        # The head may tell more than a place deep in the file, and the other way round.
        if guess is None:
            return TrainingError("text_not_utf8", field="path", byte=offset, line=line)
        return TrainingError(
            "text_not_utf8_like", field="path", byte=offset, line=line, encoding=guess
        )
