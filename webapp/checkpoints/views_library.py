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
from webapp.accounts.selectors import can_write
from webapp.checkpoints import layers, selectors, services
from webapp.checkpoints.comparison import compare
from webapp.checkpoints.errors import StageMoved
from webapp.checkpoints.forms import StageForm
from webapp.checkpoints.models import Checkpoint
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.selectors import error_sentence


@require_POST
def checkpoint_stage(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Put it into another stage."""
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    check_can_edit(request.user, checkpoint)
    form = StageForm(request.POST)
    if not form.is_valid():
        messages.error(request, gettext("Choose one of the stages, and at most 300 characters."))
        return redirect("checkpoints:detail", pk)
    try:
        services.checkpoint_promote(checkpoint=checkpoint, actor=request.user, **form.cleaned_data)
    except StageMoved:
        messages.info(request, gettext("It has changed in the meantime; this is how it stands."))
    else:
        messages.success(request, gettext("Saved."))
    return redirect(reverse("checkpoints:detail", args=[pk]) + "#stage")


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
    found = []
    for text in ",".join(request.GET.getlist("ids")).split(","):
        try:
            found.append(uuid.UUID(text))
        except ValueError:
            continue
    return list(dict.fromkeys(found))


# --- inside ---------------------------------------------------------------------------------------


def layers_context(
    request: PortalRequest, checkpoint: Checkpoint, block: str, start: int
) -> dict[str, Any]:
    """The layer table with one block opened.

    Args:
        request: Who looks.
        checkpoint: Whose tensors.
        block: Name of the block that is open; unknown or empty: the first.
        start: The first of its rows that is shown.
    """
    found = layers.blocks(checkpoint)
    statistics = selectors.statistics_of(checkpoint)
    has_values = statistics is not None and bool(statistics.values)
    opened = next((one for one in found if one.name == block), found[0] if found else None)
    values = statistics.values if statistics is not None else {}
    return {
        "checkpoint": checkpoint,
        "blocks": found,
        "part": layers.part_of(opened, start, values) if opened is not None else None,
        "has_values": has_values,
        **_statistics_context(request, checkpoint, statistics),
    }


def _statistics_context(
    request: PortalRequest, checkpoint: Checkpoint, statistics: Any
) -> dict[str, Any]:
    job = statistics.job if statistics is not None else None
    return {
        "checkpoint": checkpoint,
        "statistics": statistics,
        "statistics_job": job,
        "statistics_error": error_sentence(job) if job is not None else "",
        "can_write": can_write(request.user, checkpoint.team),
    }


@require_GET
def checkpoint_layers(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Rows of one block; without htmx, the page with that block opened."""
    checkpoint = _with_tensors(request, pk)
    block, start = request.GET.get("block", ""), start_of(request)
    if not wants_fragment(request):
        query = urlencode({"block": block, "from": start})
        return redirect(f"{reverse('checkpoints:detail', args=[pk])}?{query}#layers")
    context = layers_context(request, checkpoint, block, start)
    part = "rows" if start else "table"
    return render(request, f"checkpoints/layers.html#{part}", context)


def start_of(request: PortalRequest) -> int:
    """``?from=``, or 0."""
    text = request.GET.get("from", "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


@require_http_methods(["GET", "POST"])
def checkpoint_statistics(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask for the values of all tensors, and see how far that is.

    The part of the page that polls this becomes the whole layer table, with its new columns, when
    they are there.
    """
    light = Checkpoint.objects.select_related("team").defer(*selectors.HEAVY)
    checkpoint = get_for_user(light, request.user, pk=pk)
    if request.method == "POST":
        check_can_edit(request.user, checkpoint)
        services.statistics_start(checkpoint=checkpoint, actor=request.user)
    if not wants_fragment(request):
        return redirect(reverse("checkpoints:detail", args=[pk]) + "#layers")
    statistics = selectors.statistics_of(checkpoint)
    if statistics is not None and statistics.values:
        context = layers_context(request, _with_tensors(request, pk), "", 0)
        response = render(request, "checkpoints/layers.html#panel", context)
        response["HX-Retarget"], response["HX-Reswap"] = "#layers", "outerHTML"
        return response
    context = _statistics_context(request, checkpoint, statistics)
    return render(request, "checkpoints/layers.html#status", context)


@require_GET
def checkpoint_histogram(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """One tensor's values (``?tensor=``): inside the table, or as a page of its own."""
    checkpoint = get_for_user(Checkpoint.objects.defer(*selectors.HEAVY), request.user, pk=pk)
    statistics = selectors.statistics_of(checkpoint, heavy=True)
    drawn = None
    if statistics is not None:
        drawn = layers.histogram(statistics, request.GET.get("tensor", ""))
    if drawn is None:
        raise Http404
    template = "checkpoints/histogram.html" + ("#drawing" if wants_fragment(request) else "")
    return render(request, template, {"checkpoint": checkpoint, "histogram": drawn})


def _with_tensors(request: PortalRequest, pk: uuid.UUID) -> Checkpoint:
    rows = Checkpoint.objects.select_related("team").defer("card", "manifest")
    return get_for_user(rows, request.user, pk=pk)
