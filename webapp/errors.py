"""Pages for what went wrong: what happened, what was kept, what to do next."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def _page(request: HttpRequest, status: int, icon: str, heading: str, text: str) -> HttpResponse:
    context = {"icon": icon, "heading": heading, "text": text}
    return render(request, "error.html", context, status=status)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request,
        403,
        "lock",
        _("You may look at this but not change it"),
        _(
            "Nothing was changed. If you should be able to do this, ask an admin of the team to "
            "give you another role."
        ),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request,
        404,
        "signpost-split",
        _("There is nothing here"),
        _(
            "The address is not complete, what it names is gone, or it belongs to a team that you "
            "are not in. Check the link, and ask whoever gave it to you."
        ),
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request,
        400,
        "exclamation-circle",
        _("The browser sent something that Graft does not understand"),
        _("Nothing was changed. Go back, load the page anew and try again."),
    )


@login_not_required
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token did not fit: mostly a page left open since before signing in."""
    return _page(
        request,
        403,
        "arrow-clockwise",
        _("This page was open for too long"),
        _(
            "Nothing was changed: the form came from a page opened before you last signed in. Go "
            "back, load it anew and send it again. Cookies must be allowed for this address."
        ),
    )


def locked_out(
    request: HttpRequest, original_response: Any = None, credentials: Any = None
) -> HttpResponse:
    """Too many wrong passwords (django-axes)."""
    return _page(
        request,
        429,
        "hourglass-split",
        _("Too many wrong passwords"),
        _(
            "To keep guessers out, this address cannot sign in with a password for an hour. A "
            "sign-in link from an admin of your team works all the same."
        ),
    )
