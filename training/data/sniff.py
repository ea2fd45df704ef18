"""What a file is, by its first bytes: names lie, and a pickle must never reach a loader.

Pure Python and small on purpose: the web process asks before it takes an upload in, the training
process again before it reads one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from training.errors import TrainingError

#: How much of a file's beginning is needed.
HEAD_BYTES = 4096

#: First bytes → code of the refusal, and the kind's own name, the same in every language.
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "content_archive", "ZIP"),
    (b"PK\x05\x06", "content_archive", "ZIP"),
    (b"\x1f\x8b", "content_archive", "gzip"),
    (b"BZh", "content_archive", "bzip2"),
    (b"\xfd7zXZ\x00", "content_archive", "xz"),
    (b"\x28\xb5\x2f\xfd", "content_archive", "Zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "content_archive", "7-Zip"),
    (b"Rar!\x1a\x07", "content_archive", "RAR"),
    (b"\x89PNG\r\n\x1a\n", "content_image", "PNG"),
    (b"\xff\xd8\xff", "content_image", "JPEG"),
    (b"GIF87a", "content_image", "GIF"),
    (b"GIF89a", "content_image", "GIF"),
    (b"II*\x00", "content_image", "TIFF"),
    (b"MM\x00*", "content_image", "TIFF"),
    (b"\x89HDF\r\n\x1a\n", "content_model", "HDF5"),
    (b"\x93NUMPY", "content_model", "NumPy"),
    (b"GGUF", "content_model", "GGUF"),
    (b"PAR1", "content_table", "Parquet"),
    (b"ARROW1", "content_table", "Arrow"),
    (b"SQLite format 3\x00", "content_table", "SQLite"),
    (b"%PDF-", "content_document", "PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "content_document", "Word / Excel 97"),
    (b"{\\rtf", "content_document", "RTF"),
    (b"\x7fELF", "content_binary", "ELF"),
    (b"MZ\x90\x00", "content_binary", "EXE"),
)

#: Protocols 2 to 5 start with an opcode and their number, which no text does in any encoding;
#: 0 and 1 are text that starts with a global, a list or a dict.
_PICKLE = re.compile(rb"\x80[\x02-\x05]|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\([dl]p\d+\n")
#: A safetensors file: eight bytes of length, then a JSON object.
_SAFETENSORS = re.compile(rb"[\x00-\xff]{5}\x00\x00\x00\{[\s\"}]", re.DOTALL)

#: Byte-order mark → codec, the longer ones first.
_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


@dataclass(frozen=True)
class Content:
    """What the first bytes say.

    Attributes:
        code: ``text``, ``file_empty``, or the code of the refusal in ``errors.MESSAGES``.
        kind: The kind's name (``PNG``); for text the codec (``utf-8``, ``utf-16-le`` …).
        mark: Length of the byte-order mark in bytes.
    """

    code: str
    kind: str
    mark: int = 0

    @property
    def is_text(self) -> bool:
        return self.code == "text"

    @property
    def is_zip(self) -> bool:
        return self.kind == "ZIP"

    @property
    def is_parquet(self) -> bool:
        return self.kind == "Parquet"

    def refusal(self) -> TrainingError:
        """The error that says what the file is instead of text."""
        return TrainingError(self.code, field="path", kind=self.kind)


def sniff(head: bytes) -> Content:
    """Judge a file by its first :data:`HEAD_BYTES` bytes (all of them, if it has fewer)."""
    if not head:
        return Content("file_empty", "")
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return Content("text", codec, len(mark))
    for signature, code, kind in _SIGNATURES:
        if head.startswith(signature):
            return Content(code, kind)
    if _PICKLE.match(head):
        return Content("content_pickle", "pickle")
    if _SAFETENSORS.match(head):
        return Content("content_model", "safetensors")
    if head[:4] == b"RIFF":
        return Content("content_image" if head[8:12] == b"WEBP" else "content_binary", "RIFF")
    if head[4:8] == b"ftyp":
        return Content("content_binary", "MP4")
    if head[257:262] == b"ustar":
        return Content("content_archive", "tar")
    if 0 in head:
        if _looks_like_utf16(head):
            return Content("content_utf16", "UTF-16")
        return Content("content_binary", "NUL")
    if _control_share(head) > 0.05:
        return Content("content_binary", "binary")
    return Content("text", "utf-8")


def likely_encoding(sample: bytes) -> str | None:
    """A guess at what bytes that are no UTF-8 may be, to suggest and never to act on."""
    high = sum(byte >= 0x80 for byte in sample)
    # Random high bytes often decode as rare characters; a real text is full of its common ones.
    # Korean first and more strictly: half of Chinese reads as Hangul, all of Hangul as Chinese.
    for codec, name, wanted, share in (
        ("euc_kr", "EUC-KR", _HANGUL, 0.8),
        ("gb2312", "GB18030", _HAN, 0.6),
        ("big5", "Big5", _HAN, 0.6),
        ("shift_jis", "Shift JIS", _KANA, 0.6),
    ):
        text = _decoded(sample, codec)
        if text and len(wanted.findall(text)) * 2 > share * high:
            return name
    text = _decoded(sample, "cp1252")
    if text and high < 0.3 * len(sample) and _control_share(sample) == 0:
        return "Windows-1252 (Latin-1)"
    return None


_HAN = re.compile("[\u4e00-\u9fff]")
_KANA = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")


def _decoded(sample: bytes, codec: str) -> str | None:
    # The sample may be cut inside a character at either end.
    for start in range(2):
        for end in range(2):
            try:
                return sample[start : len(sample) - end].decode(codec)
            except UnicodeDecodeError:
                continue
    return None


def _looks_like_utf16(head: bytes) -> bool:
    """Whether nearly every second byte is NUL, as in Latin text without a byte-order mark."""
    half = len(head) // 2
    return half > 1 and any(head[start::2].count(0) > 0.7 * half for start in (0, 1))


def _control_share(head: bytes) -> float:
    control = sum(byte < 0x20 and byte not in b"\t\n\r\x0b\x0c\x1b" for byte in head)
    return control / len(head)
