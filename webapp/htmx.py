"""The request as our views see it, and answers that htmx and plain browsers both understand."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from webapp.accounts.models import Team, User


class PortalRequest(HttpRequest):
    """A signed-in person's request, after the middleware. For annotations only."""

    user: User
    team: Team | None
    htmx: HtmxDetails


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asked for a part of the page (and not for the whole one, boosted)."""
    details: HtmxDetails | None = getattr(request, "htmx", None)
    if not details:
        return False
    return not details.boosted and not details.history_restore_request
