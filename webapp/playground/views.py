"""Pages of the playground."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.permissions import check_can_edit, check_can_write
from webapp.accounts.selectors import can_write
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.models import State
from webapp.jobs.services import queue_is_served
from webapp.keys import parse_uuid
from webapp.playground import selectors, services
from webapp.playground.forms import SETTINGS, GenerateForm
from webapp.playground.models import Generation


@require_http_methods(["GET", "POST"])
def generation_new(request: PortalRequest) -> HttpResponse:
    """Choose checkpoints, write a prompt, start."""
    user, team = request.user, request.team
    if request.method == "POST":
        check_can_write(user, team)
        assert team is not None
        form = GenerateForm(request.POST, user=user, team=team)
        if form.is_valid():
            group = services.generation_start(
                checkpoints=form.checkpoints(),
                settings=form.settings(),
                team=team,
                owner=user,
            )
            return redirect("playground:group", group)
    else:
        form = GenerateForm(initial=_initial(request), user=user, team=team)
    before = _time(request.GET.get("before", ""))
    context = {
        "form": form,
        "has_checkpoints": form.fields["checkpoint"].queryset.exists(),  # type: ignore[attr-defined]
        "can_write": can_write(user, team),
        "history": selectors.history(user=user, team=team, before=before),
        "before": before,
        "full": selectors.HISTORY,
    }
    return render(
        request, "playground/new.html", context, status=422 if request.method == "POST" else 200
    )


def _initial(request: PortalRequest) -> dict[str, Any]:
    """From a checkpoint's page, or from an earlier request that is to be changed."""
    earlier = parse_uuid(request.GET.get("from", ""))
    if earlier is not None:
        return _typed(selectors.group(user=request.user, group=earlier))
    asked = {name: parse_uuid(request.GET.get(name, "")) for name in ("checkpoint", "beside")}
    return {name: pk for name, pk in asked.items() if pk is not None}


def _typed(generations: list[Generation]) -> dict[str, Any]:
    settings = generations[0].settings
    values = {name: settings[name] for name in SETTINGS if name in settings}
    values["stop"] = "\n".join(settings.get("stop", []))
    values["checkpoint"] = generations[0].checkpoint_id
    if len(generations) > 1:
        values["beside"] = generations[1].checkpoint_id
    return values


@require_GET
def generation_group(request: PortalRequest, group: uuid.UUID) -> HttpResponse:
    """The texts, growing while they are written."""
    generations = selectors.group(user=request.user, group=group)
    waiting = any(generation.job.state == State.QUEUED for generation in generations)
    unserved = waiting and not queue_is_served("interactive")
    mark = selectors.progress_mark(generations) + ("-alone" if unserved else "")
    if wants_fragment(request) and request.GET.get("seen") == mark:
        return HttpResponse(status=204)  # htmx leaves the page alone and asks again
    context = {
        "group": group,
        "first": generations[0],
        "settings": generations[0].settings,
        "answers": selectors.answers(generations),
        "mark": mark,
        "can_write": can_write(request.user, generations[0].team),
        "live": any(generation.job.is_live for generation in generations),
        "unserved": unserved,
    }
    if wants_fragment(request):
        return render(request, "playground/group.html#answers", context)
    context["history"] = selectors.history(user=request.user, team=generations[0].team)
    return render(request, "playground/group.html", context)


@require_POST
def generation_again(request: PortalRequest, group: uuid.UUID) -> HttpResponse:
    generations = selectors.group(user=request.user, group=group)
    check_can_edit(request.user, generations[0])
    return redirect(
        "playground:group",
        services.generation_again(generations=generations, owner=request.user),
    )


@require_POST
def generation_stop(request: PortalRequest, group: uuid.UUID) -> HttpResponse:
    generations = selectors.group(user=request.user, group=group)
    check_can_edit(request.user, generations[0])
    services.generation_stop(generations=generations, actor=request.user)
    return redirect("playground:group", group)


def _time(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and is_aware(found) else None
