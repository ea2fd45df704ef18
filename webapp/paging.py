"""Lists page by key: the next page starts after the last row seen, however many came meanwhile.

``OFFSET`` reads and throws away all rows before it, and shows rows twice when new ones arrive.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

PAGE_SIZE = 25


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        items: Its rows.
        next: Cursor of the page after it; empty on the last.
        previous: Cursor of the page before it; empty on the first.
    """

    items: list[Any]
    next: str = ""
    previous: str = ""


def page_of(
    queryset: QuerySet[Any], *, key: str, descending: bool, cursor: str = "", size: int = PAGE_SIZE
) -> Page:
    """The page that a cursor names, in the order of a key; one query.

    Args:
        queryset: The rows, filtered; its order is replaced.
        key: A field or annotation that is never null; the primary key breaks ties.
        descending: Largest first.
        cursor: From :attr:`Page.next` or :attr:`Page.previous`; anything else is the first page.
        size: Rows a page.
    """
    back, value, pk = _read(cursor)
    # Going back reads the rows before the cursor in reverse and turns them round.
    falling = descending != back
    if pk is not None:
        beyond = "lt" if falling else "gt"
        queryset = queryset.filter(
            Q(**{f"{key}__{beyond}": value}) | Q(**{key: value, f"pk__{beyond}": pk})
        )
    sign = "-" if falling else ""
    rows = list(queryset.order_by(f"{sign}{key}", f"{sign}pk")[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    if back:
        rows.reverse()
    if not rows:
        return Page([])
    first, last = rows[0], rows[-1]
    return Page(
        rows,
        next=_write(False, getattr(last, key), last.pk) if more or back else "",
        previous=_write(True, getattr(first, key), first.pk) if (more if back else pk) else "",
    )


def _write(back: bool, value: Any, pk: Any) -> str:
    timed = isinstance(value, datetime)
    payload = [int(back), int(timed), value.isoformat() if timed else value, str(pk)]
    raw = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(cursor: str) -> tuple[bool, Any, str | None]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        back, timed, value, pk = json.loads(raw)
        if isinstance(value, dict | list) or not isinstance(pk, str):
            raise ValueError
        return bool(back), datetime.fromisoformat(value) if timed else value, pk
    except (ValueError, TypeError):  # cut off by a mailer, or made up
        return False, None, None
