"""django-rq's own pages, for superusers, under our Content-Security-Policy.

Its templates hold one inline script and a few inline styles. They are allowed by their hashes, on
these pages only; the hashes come from the installed package, so that an upgrade brings its own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import django_rq
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

_INLINE = re.compile(r"<(script|style)(?: type=\"[\w/]+\")?>(.*?)</\1>", re.DOTALL)


@cache
def inline_hashes() -> dict[str, list[str]]:
    """CSP sources for what stands inline in the package's templates."""
    found: dict[str, set[str]] = {"script": set(), "style": set()}
    folder = Path(django_rq.__file__).parent / "templates"
    for path in folder.rglob("*.html"):
        for kind, body in _INLINE.findall(path.read_text(encoding="utf-8")):
            if "{{" not in body and "{%" not in body:  # else every page would have another hash
                digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
                found[kind].add(f"'sha256-{digest}'")
    return {f"{kind}-src": sorted(hashes) for kind, hashes in found.items()}


class QueuePagesMiddleware:
    """Lets superusers only into the queues' pages, and allows these pages their own script."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(_prefixes()):
            return self.get_response(request)
        # Strangers are sent to the sign-in page by the view itself.
        if request.user.is_authenticated and not request.user.is_superuser:
            raise PermissionDenied
        response = self.get_response(request)
        response._csp_update = inline_hashes()  # type: ignore[attr-defined]
        return response

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """A broker that is away is no fault of the portal: jobs wait in the database."""
        if not isinstance(exception, RedisError) or not request.path.startswith(_prefixes()):
            return None
        context = {
            "icon": "hdd-stack",
            "heading": _("The broker does not answer"),
            "text": _("Nothing is lost: the jobs wait in the database and go on when it is back."),
        }
        return render(request, "error.html", context, status=503)


def _prefixes() -> tuple[str, str]:
    admin = reverse("admin:index")
    return f"{admin}queues/", f"{admin}django_rq/"
