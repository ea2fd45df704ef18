"""Pages about ensembles: the list, a new one, one with its report, one judged on other data."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from webapp.accounts import permissions
from webapp.accounts.models import Team
from webapp.accounts.selectors import can_write
from webapp.checkpoints.actions import Action, act
from webapp.checkpoints.models import Checkpoint
from webapp.ensembles import figures, selectors, services
from webapp.ensembles.forms import SETTINGS, EnsembleForm, JudgeForm
from webapp.ensembles.models import Ensemble
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.models import State
from webapp.jobs.selectors import error_sentence
from webapp.jobs.services import job_cancel, job_retry
from webapp.keys import parse_uuid
from webapp.paging import page_of
from webapp.runs.models import Run


@require_GET
def ensemble_list(request: PortalRequest) -> HttpResponse:
    rows = selectors.ensembles_for(request.user).filter(team=request.team)
    page = page_of(rows, key="created_at", descending=True, cursor=request.GET.get("cursor", ""))
    context = {"page": page, "can_write": can_write(request.user, request.team)}
    return render(request, "ensembles/list.html", context)


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def new(request: PortalRequest) -> HttpResponse:
    """Choose data, members and how they are combined; then start it."""
    permissions.check_can_write(request.user, request.team)
    team = _team(request)
    posted = request.POST if request.method == "POST" else None
    form = EnsembleForm(posted, team=team, initial=_asked_for(request, team))
    if posted is not None and form.is_valid():
        values = form.cleaned_data
        row = services.ensemble_create(
            name=values["name"].strip(),
            members=list(values["members"]),
            version=values["version"],
            settings=form.settings,
            owner=request.user,
            team=team,
        )
        return redirect("ensembles:detail", pk=row.pk)
    context = {
        "form": form,
        "has_data": selectors.versions_offered(team).exists(),
        "has_members": bool(form.known),
    }
    template = "ensembles/new.html" + ("#members" if wants_fragment(request) else "")
    return render(request, template, context, status=422 if form.errors else 200)


def _asked_for(request: PortalRequest, team: Team) -> dict[str, Any]:
    """The form as a link asks for it: ``?version=``, ``?members=`` (several), ``?like=`` (another
    ensemble, whose settings are taken); what is typed comes along when other data are chosen."""
    found: dict[str, Any] = {name: request.GET[name] for name in SETTINGS if name in request.GET}
    if like := parse_uuid(request.GET.get("like")):
        row = permissions.get_for_user(selectors.ensembles_for(request.user), request.user, pk=like)
        found |= {name: row.job.spec[name] for name in SETTINGS if name in row.job.spec}
        found |= {"version": row.dataset_version_id}
        found["members"] = [one.pk for one in row.members.all()]
    keys = [parse_uuid(word) for word in request.GET.getlist("members")]
    if keys:
        rows = Checkpoint.objects.filter(team=team, pk__in=keys)
        chosen = list(rows.only("pk", "dataset_version"))
        if len(chosen) != len(set(keys)):
            raise Http404
        found["members"] = [one.pk for one in chosen]
        found["version"] = next((one.dataset_version_id for one in chosen), None)
    if version := parse_uuid(request.GET.get("version")):
        found["version"] = version
    return found


@require_POST
def of_snapshots(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """The ensemble of a run's snapshots: the mean of their probabilities, as in the paper."""
    run = permissions.get_for_user(
        Run.objects.select_related("job", "team", "dataset_version__dataset"), request.user, pk=pk
    )
    permissions.check_can_write(request.user, run.team)
    members = selectors.snapshots_of(run)
    if len(members) < 2:
        raise Http404
    row = services.ensemble_create(
        name=services.snapshots_name(run),
        members=members,
        version=run.dataset_version,
        settings={"seed": run.job.spec["seed"]},
        owner=request.user,
        team=run.team,
    )
    return redirect("ensembles:detail", pk=row.pk)


@require_http_methods(["GET", "POST"])
def judge(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Judge an ensemble that is there on other data."""
    checkpoint = permissions.get_for_user(
        Checkpoint.objects.select_related("team"), request.user, pk=pk
    )
    permissions.check_can_write(request.user, checkpoint.team)
    if not selectors.is_ensemble(checkpoint):
        raise Http404
    posted = request.POST if request.method == "POST" else None
    form = JudgeForm(posted, checkpoint=checkpoint)
    if posted is not None and form.is_valid():
        row = services.ensemble_judge(
            checkpoint=checkpoint,
            version=form.cleaned_data["version"],
            seed=0,
            owner=request.user,
        )
        return redirect("ensembles:detail", pk=row.pk)
    context = {"form": form, "checkpoint": checkpoint}
    return render(request, "ensembles/judge.html", context, status=422 if form.errors else 200)


@require_GET
@vary_on_headers("HX-Request")
def detail(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    row = _get(request, pk)
    job = row.job
    context: dict[str, Any] = {
        "ensemble": row,
        "job": job,
        "can_write": can_write(request.user, row.team),
        "phase": figures.PHASES.get(job.phase, job.phase),
        "detail": figures.detail(str((job.live or {}).get("detail") or "")),
        "percent": None if job.fraction is None else int(100 * job.fraction),
        "sentence": error_sentence(job),
        # Then trying the ensemble again is refused, until they have been.
        "waits_in_vain": job.after.filter(state__in=[State.FAILED, State.CANCELLED]).exists(),
        "runs": row.runs.select_related("job").order_by("created_at"),
        "there": row.members.order_by("created_at"),
    }
    if job.state == State.SUCCEEDED:
        context |= figures.of_report(row)
    template = "ensembles/detail.html" + ("#body" if wants_fragment(request) else "")
    return render(request, template, context)


@require_POST
def cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_cancel)


@require_POST
def retry(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_retry)


def _act(request: PortalRequest, pk: uuid.UUID, action: Action) -> HttpResponse:
    row = _get(request, pk)
    act(request, row.job, action)
    return redirect("ensembles:detail", pk)


def _get(request: PortalRequest, pk: uuid.UUID) -> Ensemble:
    found: Ensemble = permissions.get_for_user(
        selectors.ensembles_for(request.user), request.user, pk=pk
    )
    return found


def _team(request: PortalRequest) -> Team:
    if request.team is None:
        raise PermissionDenied
    return request.team
