"""Which team a request is about."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from webapp.accounts import selectors


class TeamMiddleware:
    """Puts ``request.team``: the person's current team, or None.

    Asked for at once, one query: a lazy None would not be None.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.team = selectors.current_team(request.user)  # type: ignore[attr-defined]
        return self.get_response(request)
