"""What a team does with its library of checkpoints: promote, compare, look into the tensors."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.permissions import check_can_edit, get_for_user
from webapp.checkpoints import layers, pages, selectors, services
from webapp.checkpoints.actions import act
from webapp.checkpoints.comparison import compare
from webapp.checkpoints.errors import StageMoved
from webapp.checkpoints.forms import StageForm
from webapp.checkpoints.models import Checkpoint
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.services import job_cancel
from webapp.keys import parse_uuid


@require_POST
def checkpoint_stage(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Put it into another stage; where that cannot be done, the reason is still there."""
    checkpoint = get_for_user(
        Checkpoint.objects.select_related("owner", "team", "dataset_version__dataset", "job"),
        request.user,
        pk=pk,
    )
    check_can_edit(request.user, checkpoint)
    form = StageForm(request.POST)
    if form.is_valid():
        try:
            services.checkpoint_promote(
                checkpoint=checkpoint, actor=request.user, **form.cleaned_data
            )
        except StageMoved:
            said = gettext("It has changed in the meantime; this is how it stands.")
            messages.info(request, said)
            checkpoint.refresh_from_db(fields=["stage", "updated_at"])
            status = 409
        else:
            messages.success(request, gettext("Saved."))
            return redirect(reverse("checkpoints:detail", args=[pk]) + "#stage")
    else:
        messages.error(request, gettext("Choose one of the stages, and at most 300 characters."))
        status = 422
    context = pages.detail(request, checkpoint) | {"reason": request.POST.get("reason", "")}
    return render(request, "checkpoints/detail.html", context, status=status)


@require_GET
def checkpoint_compare(request: PortalRequest) -> HttpResponse:
    """Two side by side (``?ids=``, twice or with a comma); with one, what to choose beside it."""
    found = selectors.compared(user=request.user, keys=_keys(request))
    context: dict[str, Any] = {"chosen": found}
    if len(found) == 2:
        context["comparison"] = compare(found[0], found[1], request.user)
    elif len(found) == 1:
        context["others"] = selectors.comparable(found[0], request.user)
    return render(request, "checkpoints/compare.html", context)


def _keys(request: PortalRequest) -> list[uuid.UUID]:
    """The ids in the address, each once; what is none is left out."""
    found = map(parse_uuid, ",".join(request.GET.getlist("ids")).split(","))
    return list(dict.fromkeys(key for key in found if key is not None))


@require_GET
def checkpoint_layers(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Rows of one block; without htmx, the page with that block opened."""
    checkpoint = _with_tensors(request, pk)
    block, start = request.GET.get("block", ""), pages.start_of(request)
    if not wants_fragment(request):
        query = urlencode({"block": block, "from": start})
        return redirect(f"{reverse('checkpoints:detail', args=[pk])}?{query}#layers")
    context = pages.layers_context(request, checkpoint, block, start)
    part = "rows" if start else "table"
    return render(request, f"checkpoints/layers.html#{part}", context)


@require_http_methods(["GET", "POST"])
def checkpoint_statistics(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask for the values of all tensors, and see how far that is.

    The part of the page that polls this becomes the whole layer table, with its new columns, when
    they are there.
    """
    checkpoint = _light(request, pk)
    if request.method == "POST":
        check_can_edit(request.user, checkpoint)
        services.statistics_start(checkpoint=checkpoint, actor=request.user)
    return _statistics(request, checkpoint)


@require_POST
def statistics_cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Stop looking at the values; it can be asked for again."""
    checkpoint = _light(request, pk)
    statistics = selectors.statistics_of(checkpoint)
    if statistics is None:
        raise Http404
    act(request, statistics.job, job_cancel)
    return _statistics(request, checkpoint)


def _statistics(request: PortalRequest, checkpoint: Checkpoint) -> HttpResponse:
    """How far the look at the values is; without htmx, the page that says it."""
    pk = checkpoint.pk
    if not wants_fragment(request):
        return redirect(reverse("checkpoints:detail", args=[pk]) + "#layers")
    statistics = selectors.statistics_of(checkpoint)
    if statistics is not None and statistics.values:
        context = pages.layers_context(request, _with_tensors(request, pk), "", 0)
        response = render(request, "checkpoints/layers.html#panel", context)
        response["HX-Retarget"], response["HX-Reswap"] = "#layers", "outerHTML"
        return response
    context = pages.statistics_context(request, checkpoint, statistics)
    return render(request, "checkpoints/layers.html#status", context)


@require_GET
def checkpoint_histogram(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """One tensor's values (``?tensor=``): inside the table, or as a page of its own."""
    checkpoint = _light(request, pk)
    statistics = selectors.statistics_of(checkpoint, heavy=True)
    drawn = None
    if statistics is not None:
        drawn = layers.histogram(statistics, request.GET.get("tensor", ""))
    if drawn is None:
        raise Http404
    template = "checkpoints/histogram.html" + ("#drawing" if wants_fragment(request) else "")
    return render(request, template, {"checkpoint": checkpoint, "histogram": drawn})


def _light(request: PortalRequest, pk: uuid.UUID) -> Checkpoint:
    light = Checkpoint.objects.select_related("team").defer(*selectors.HEAVY)
    return get_for_user(light, request.user, pk=pk)


def _with_tensors(request: PortalRequest, pk: uuid.UUID) -> Checkpoint:
    rows = Checkpoint.objects.select_related("team").defer("card", "manifest")
    return get_for_user(rows, request.user, pk=pk)
