"""What makes two texts the same, and which characters can be written down at all."""

from __future__ import annotations

import unicodedata


def normalise(text: str) -> str:
    """What makes two texts the same: their characters in NFC, however the white space runs."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def writable(text: str) -> str:
    """The text without what UTF-8 (half surrogates) or a database (NUL) cannot hold."""
    if "\0" not in text:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    # By way of UTF-16, two escaped halves that stand together become the character they mean.
    halves = text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "replace")
