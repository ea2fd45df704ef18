"""Primary keys as addresses and forms name them."""

from __future__ import annotations

import uuid


def parse_uuid(text: str | None) -> uuid.UUID | None:
    """The key that a text names; None when it names none."""
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
