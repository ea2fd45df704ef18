"""The portal's own pages: the start page and the health check."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from webapp import home as start
from webapp.accounts.selectors import can_write
from webapp.htmx import PortalRequest, wants_fragment


@require_GET
@vary_on_headers("HX-Request")
def home(request: PortalRequest) -> HttpResponse:
    if not request.team:
        return render(request, "home.html", {"overview": None})
    if wants_fragment(request):
        live = start.live_runs(request.user, request.team)
        return render(request, "home.html#live", {"live": live, "was_live": True})
    overview = start.overview(request.user, request.team)
    context = {
        "overview": overview,
        "live": overview.live,
        "can_write": can_write(request.user, request.team),
    }
    return render(request, "home.html", context)


def admin_sign_in(request: PortalRequest) -> HttpResponse:
    """Where the admin sends those who may not enter: strangers have signed in by now."""
    if request.user.is_staff and request.user.is_active:
        return redirect("admin:index")
    raise PermissionDenied


@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """Answers when the web process and its database do; for load balancers and ``make run``."""
    connection.ensure_connection()
    return JsonResponse({"status": "ok"})
