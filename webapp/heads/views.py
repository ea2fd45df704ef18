"""Pages about heads: the list, a new one, and one with its report."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec
from webapp import classifiers, regressions, storage
from webapp.accounts import permissions
from webapp.accounts.selectors import can_write
from webapp.checkpoints import downloads
from webapp.checkpoints.actions import Action, act
from webapp.heads import figures, maps, selectors, services
from webapp.heads.forms import SETTINGS, HeadForm
from webapp.heads.models import Head
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.models import State
from webapp.jobs.selectors import error_sentence, sentence
from webapp.jobs.services import job_cancel, job_retry
from webapp.keys import parse_uuid
from webapp.paging import page_of
from webapp.predictions import selectors as predictions


@require_GET
def head_list(request: PortalRequest) -> HttpResponse:
    rows = selectors.heads_for(request.user).filter(team=request.team)
    page = page_of(rows, key="created_at", descending=True, cursor=request.GET.get("cursor", ""))
    context = {"page": page, "can_write": can_write(request.user, request.team)}
    return render(request, "heads/list.html", context)


@require_http_methods(["GET", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    permissions.check_can_write(request.user, request.team)
    team = request.team
    if team is None:
        raise PermissionDenied
    form = HeadForm(request.POST or None, team=team, initial=_asked_for(request))
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        head = services.head_create(
            name=values["name"].strip(),
            checkpoint=values["checkpoint"],
            version=values["version"],
            spec=form.spec,
            owner=request.user,
            team=team,
        )
        return redirect("heads:detail", pk=head.pk)
    context = {
        "form": form,
        "has_checkpoints": selectors.checkpoints_offered(team).exists(),
        "has_data": selectors.versions_offered(team).exists(),
    }
    return render(request, "heads/new.html", context, status=422 if form.errors else 200)


def _asked_for(request: PortalRequest) -> dict[str, Any]:
    """The form as a link asks for it: ``?checkpoint=``, ``?data=``, ``?like=`` (another head)."""
    found: dict[str, Any] = {}
    if like := parse_uuid(request.GET.get("like")):
        head = permissions.get_for_user(selectors.heads_for(request.user), request.user, pk=like)
        spec = FrozenFeaturesSpec.model_validate(head.job.spec).model_dump(mode="json")
        found = {name: spec[name] for name in SETTINGS}
        found |= {"checkpoint": head.checkpoint_id, "version": head.dataset_version_id}
    for name, field in (("checkpoint", "checkpoint"), ("data", "version")):
        if pk := parse_uuid(request.GET.get(name)):
            found[field] = pk
    return found


@require_GET
@vary_on_headers("HX-Request")
def detail(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    head = _get(request, pk)
    job = head.job
    context: dict[str, Any] = {
        "head": head,
        "job": job,
        "can_write": can_write(request.user, head.team),
        "phase": figures.PHASES.get(job.phase, job.phase),
        "detail": figures.detail(str((job.live or {}).get("detail") or "")),
        "percent": None if job.fraction is None else int(100 * job.fraction),
        "sentence": error_sentence(job),
        "settings_used": figures.settings_used(head),
        "predictions": predictions.of_head(request.user, head),
    }
    if job.state == State.SUCCEEDED:
        report = job.report
        context |= {
            "report": report,
            "mine": report["scores"]["model"],
            "features": figures.features(report),
            "split": figures.SPLITS.get(report["split"], report["split"]),
            **(_of_number(report) if "target" in report else _of_classes(report)),
        }
    template = "heads/detail.html" + ("#body" if wants_fragment(request) else "")
    return render(request, template, context)


def _of_classes(report: dict[str, Any]) -> dict[str, Any]:
    return {
        "verdict": classifiers.verdict(report),
        "sides": classifiers.sides(report),
        "confusion": classifiers.confusion(report),
    }


def _of_number(report: dict[str, Any]) -> dict[str, Any]:
    return {
        "verdict": regressions.verdict(report),
        "sides": regressions.sides(report),
        "scatter": regressions.scatter(report),
    }


@require_GET
@vary_on_headers("HX-Request")
def feature_map(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """The examples laid out by their features; one of them with its neighbours."""
    head = _get(request, pk)
    if not head.has_map:
        raise Http404
    try:
        document = maps.read(head)
    except storage.BlobMissing as error:
        messages.error(request, sentence("input_missing", {"detail": str(error)}))
        return redirect("heads:detail", pk)
    chosen = request.GET.get("class", "")
    worst = head.job.report.get("predictions") or [{}]
    first = worst[0].get("point") or 0
    try:
        looked_at = maps.item(document, int(request.GET.get("item", first)))
    except (ValueError, IndexError) as error:
        raise Http404 from error
    context: dict[str, Any] = {
        "head": head,
        "item": looked_at,
        "chosen": chosen,
        "kind": head.dataset_version.kind,
        "split_label": figures.SPLITS.get(looked_at.point["split"], ""),
    }
    template = "heads/map.html#item"
    if not wants_fragment(request):
        template = "heads/map.html"
        context |= {
            "spots": maps.spots(document, chosen),
            "legend": maps.legend(document, chosen),
            "agreement": document["agreement"],
            "width": maps.WIDTH,
            "height": maps.HEIGHT,
        }
    return render(request, template, context)


@require_GET
def download(request: PortalRequest, pk: uuid.UUID) -> HttpResponseBase:
    head = _get(request, pk)
    if not head.manifest:
        return redirect("heads:detail", pk)
    try:
        return downloads.response(head.manifest, f"head-{str(head.pk)[:8]}")
    except storage.BlobMissing as error:
        messages.error(request, sentence("input_missing", {"detail": str(error)}))
        return redirect("heads:detail", pk)


@require_POST
def cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_cancel)


@require_POST
def retry(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_retry)


def _act(request: PortalRequest, pk: uuid.UUID, action: Action) -> HttpResponse:
    head = _get(request, pk)
    act(request, head.job, action)
    return redirect("heads:detail", pk)


def _get(request: PortalRequest, pk: uuid.UUID) -> Head:
    found: Head = permissions.get_for_user(selectors.heads_for(request.user), request.user, pk=pk)
    return found
