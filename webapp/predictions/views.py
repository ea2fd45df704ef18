"""Pages about predictions: the list, new ones, and those that are there with their report."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from webapp import storage
from webapp.accounts import permissions
from webapp.accounts.selectors import can_write
from webapp.checkpoints.actions import Action, act
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.models import State
from webapp.jobs.selectors import error_sentence, sentence
from webapp.jobs.services import job_cancel, job_retry
from webapp.keys import parse_uuid
from webapp.paging import page_of
from webapp.predictions import figures, selectors, services
from webapp.predictions.forms import SETTINGS, PredictionForm
from webapp.predictions.models import Prediction


@require_GET
def prediction_list(request: PortalRequest) -> HttpResponse:
    rows = selectors.predictions_for(request.user).filter(team=request.team).defer("job__report")
    page = page_of(rows, key="created_at", descending=True, cursor=request.GET.get("cursor", ""))
    context = {"page": page, "can_write": can_write(request.user, request.team)}
    return render(request, "predictions/list.html", context)


@require_http_methods(["GET", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    """Choose a model, data, and what is done with what the model does not know."""
    permissions.check_can_write(request.user, request.team)
    team = request.team
    if team is None:
        raise PermissionDenied
    posted = request.POST if request.method == "POST" else None
    form = PredictionForm(posted, team=team, initial=_asked_for(request))
    if posted is not None and form.is_valid():
        row = services.prediction_create(
            name=form.cleaned_data["name"].strip(),
            model=form.chosen,
            version=form.cleaned_data["version"],
            settings=form.settings,
            owner=request.user,
            team=team,
        )
        return redirect("predictions:detail", pk=row.pk)
    context = {
        "form": form,
        "has_models": bool(form.known),
        "has_data": selectors.versions_offered(team).exists(),
    }
    return render(request, "predictions/new.html", context, status=422 if form.errors else 200)


def _asked_for(request: PortalRequest) -> dict[str, Any]:
    """The form as a link asks for it: ``?checkpoint=``, ``?head=``, ``?data=``, ``?like=``
    (other predictions, whose settings are taken)."""
    found: dict[str, Any] = {}
    if like := parse_uuid(request.GET.get("like")):
        row = permissions.get_for_user(
            selectors.predictions_for(request.user), request.user, pk=like
        )
        found = {name: row.job.spec[name] for name in SETTINGS if name in row.job.spec}
        key = f"head/{row.head_id}" if row.head_id else f"checkpoint/{row.checkpoint_id}"
        found |= {"model": key, "version": row.dataset_version_id}
    for name in ("checkpoint", "head"):
        if pk := parse_uuid(request.GET.get(name)):
            found["model"] = f"{name}/{pk}"
    if pk := parse_uuid(request.GET.get("data")):
        found["version"] = pk
    return found


@require_GET
@vary_on_headers("HX-Request")
def detail(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    row = _get(request, pk)
    job = row.job
    context: dict[str, Any] = {
        "prediction": row,
        "job": job,
        "can_write": can_write(request.user, row.team),
        "phase": figures.PHASES.get(job.phase, job.phase),
        "percent": None if job.fraction is None else int(100 * job.fraction),
        "sentence": error_sentence(job),
        "split_asked": figures.SPLITS.get(job.spec["split"], job.spec["split"]),
    }
    if job.state == State.SUCCEEDED:
        number = request.GET.get("page", "")
        try:
            context["page"] = figures.page_of(
                row,
                request.GET.get("order", ""),
                int(number) if number.isdecimal() and len(number) < 6 else 1,
            )
        except storage.BlobMissing as error:
            messages.error(request, sentence("input_missing", {"detail": str(error)}))
        if wants_fragment(request) and "page" in request.GET:
            return render(request, "predictions/detail.html#examples", context)
        context |= figures.of_report(row)
    template = "predictions/detail.html" + ("#body" if wants_fragment(request) else "")
    return render(request, template, context)


@require_GET
def download(request: PortalRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The file with all predictions."""
    row = _get(request, pk)
    if not row.manifest:
        return redirect("predictions:detail", pk)
    file = row.job.report["file"]
    try:
        content = storage.open_blob(row.manifest[file]["blake3"])
    except storage.BlobMissing as error:
        messages.error(request, sentence("input_missing", {"detail": str(error)}))
        return redirect("predictions:detail", pk)
    name = slugify(row.name, allow_unicode=True)[:80] or str(row.pk)[:8]
    kinds = {"csv": "text/csv; charset=utf-8"}
    suffix = file.rpartition(".")[2]
    return FileResponse(
        content,
        as_attachment=True,
        filename=f"{name}.{suffix}",
        content_type=kinds.get(suffix, "application/octet-stream"),
    )


@require_POST
def cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_cancel)


@require_POST
def retry(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_retry)


def _act(request: PortalRequest, pk: uuid.UUID, action: Action) -> HttpResponse:
    row = _get(request, pk)
    act(request, row.job, action)
    return redirect("predictions:detail", pk)


def _get(request: PortalRequest, pk: uuid.UUID) -> Prediction:
    found: Prediction = permissions.get_for_user(
        selectors.predictions_for(request.user), request.user, pk=pk
    )
    return found
