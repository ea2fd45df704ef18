"""Who asks, and which team a request is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse

from webapp.accounts import selectors
from webapp.htmx import wants_fragment


class SignedInMiddleware(LoginRequiredMiddleware):
    """Sends strangers to the sign-in page; a page whose session has ended stays as it is.

    A fragment that htmx asks for would otherwise be replaced by the sign-in page, and with it what
    somebody has typed. The page says what to do (portal.js).
    """

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        if wants_fragment(request):
            return HttpResponse(status=401)
        return super().handle_no_permission(request, view_func)


class TeamMiddleware:
    """Puts ``request.team``: the person's current team, or None.

    Asked for at once, one query: a lazy None would not be None.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.team = selectors.current_team(request.user)  # type: ignore[attr-defined]
        return self.get_response(request)
