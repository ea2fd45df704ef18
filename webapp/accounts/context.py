"""What every page needs to know."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def portal(request: HttpRequest) -> dict[str, Any]:
    """``team``: the person's current team, or None."""
    return {"team": getattr(request, "team", None)}
