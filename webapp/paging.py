"""Lists page by key: the next page starts after the last row seen, however many came meanwhile.

``OFFSET`` reads and throws away all rows before it, and shows rows twice when new ones arrive.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
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
        cursor: From :attr:`Page.next` or :attr:`Page.previous` in this order; anything else is
            the first page.
        size: Rows a page.
    """
    order = f"-{key}" if descending else key
    try:
        return _page(queryset, order, size, *_read(cursor, order))
    except (ValidationError, ValueError, TypeError, OverflowError):
        # Well written, but no value that the key's or the primary key's column could hold.
        if not cursor:
            raise
        return _page(queryset, order, size, False, None, None)


def _page(
    queryset: QuerySet[Any], order: str, size: int, back: bool, value: Any, pk: str | None
) -> Page:
    """The page after a row, or with ``back`` the one before it; without a row, the first."""
    key, descending = order.removeprefix("-"), order.startswith("-")
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
        next=_write(order, False, getattr(last, key), last.pk) if more or back else "",
        previous=(
            _write(order, True, getattr(first, key), first.pk) if (more if back else pk) else ""
        ),
    )


def _write(order: str, back: bool, value: Any, pk: Any) -> str:
    timed = isinstance(value, datetime)
    payload = [order, int(back), int(timed), value.isoformat() if timed else value, str(pk)]
    raw = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(cursor: str, order: str) -> tuple[bool, Any, str | None]:
    """Direction, value and primary key of a cursor of this order; no key: of none."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        written, back, timed, value, pk = json.loads(raw)
        if written != order or not isinstance(pk, str):  # of another sort
            raise ValueError
        if timed:
            value = datetime.fromisoformat(value)
            if value.tzinfo is None:
                raise ValueError
        elif not isinstance(value, str | int | float):
            raise ValueError
        return bool(back), value, pk
    except (ValueError, TypeError, RecursionError):  # cut off by a mailer, or made up
        return False, None, None
