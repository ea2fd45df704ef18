"""Pages about runs: the list, a new run, one run, its report, and runs side by side."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from training.backbones.gpt2.config import PRESETS
from webapp.accounts import permissions
from webapp.accounts.models import Team
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.models import Job, State
from webapp.jobs.selectors import log_lines
from webapp.jobs.services import job_cancel, job_pause, job_resume, job_retry
from webapp.keys import parse_uuid
from webapp.playing import playable
from webapp.runs import curves as run_curves
from webapp.runs import estimates, pages, pictures, report_page, selectors, services
from webapp.runs import sources as run_sources
from webapp.runs.data import learnable
from webapp.runs.drafts import draft, start
from webapp.runs.form import SCRATCH, TRANSFER, RunForm
from webapp.runs.form_causal_lm import preset_values
from webapp.runs.forms import FORMS, form_class
from webapp.runs.methods import METHODS
from webapp.runs.models import Run
from webapp.runs.spec_yaml import method_of, to_yaml

#: Data versions offered in the form: the newest.
MOST_VERSIONS = 200


@require_GET
def run_list(request: PortalRequest) -> HttpResponse:
    filters = selectors.Filters.from_query(request.GET)
    page = selectors.run_list(request.user, filters, request.GET.get("cursor", ""))
    address = request.GET.copy()
    address.pop("cursor", None)
    context = {
        "filters": filters,
        "page": page,
        "query": address.urlencode(),
        "sorts": pages.sort_links(request.GET, filters),
        "can_write": pages.may_start(request.user, request.team),
    }
    if wants_fragment(request):
        return render(request, "runs/list.html#rows", context)
    context |= {
        "choices": selectors.filter_choices(request.user),
        "states": State.choices,
        "methods": [(name, shown.name) for name, shown in METHODS.items()],
    }
    return render(request, "runs/list.html", context)


# --- a new run ------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    permissions.check_can_write(request.user, request.team)
    team = _team(request)
    if request.method == "GET":
        return _form_page(request, _prefilled(request, team))
    form = _posted(request, team)
    match request.POST.get("action", "start"):
        case "yaml":
            text = request.POST.get("yaml", "")
            form = form_class(method_of(text) or form.method).from_yaml(text, form)
        case "preset" if form.values.get("preset") in PRESETS:
            form = type(form)(form.values | preset_values(form.values["preset"]), team)
        case "check":
            form.submitted = False
        case _:
            checked = draft(form)
            if not form.errors:
                return redirect(start(checked, owner=request.user, team=team))
            return _form_page(request, form, checked, status=422)
    return _form_page(request, form)


@require_POST
def check(request: PortalRequest) -> HttpResponse:
    """Errors, estimate, plan and YAML of what has been typed so far; changes nothing."""
    permissions.check_can_write(request.user, request.team)
    form = _posted(request, _team(request), submitted=False)
    checked = draft(form)
    context = {"draft": checked, "form": form, "oob": True}
    return render(request, "runs/new.html#checked", context)


@require_GET
def sources(request: PortalRequest) -> HttpResponse:
    """Checkpoints and runs to start from, by name."""
    permissions.check_can_write(request.user, request.team)
    team = _team(request)
    method = form_class(request.GET.get("method")).method
    words = request.GET.get("source_search", "")
    context = {
        "sources": run_sources.search(team, words, method),
        "chosen": request.GET.get("source", ""),
        "search": words,
        "method": method,
    }
    return render(request, "runs/new.html#sources", context)


def _team(request: PortalRequest) -> Team:
    if request.team is None:
        raise PermissionDenied
    return request.team


def _posted(request: PortalRequest, team: Team, *, submitted: bool = True) -> RunForm:
    return form_class(request.POST.get("method")).from_post(request.POST, team, submitted=submitted)


def _prefilled(request: PortalRequest, team: Team) -> RunForm:
    """The form as a link asks for it: ``?method=``, ``?data=``, ``?source=`` (a checkpoint's or a
    run's id), ``?like=`` (a run whose settings are taken)."""
    query = request.GET
    if like := parse_uuid(query.get("like")):
        run = permissions.get_for_user(Run.objects.select_related("job"), request.user, pk=like)
        form = form_class(run.method).from_spec(run.job.spec, team)
        form.values["twin"] = hasattr(run, "twin")
        form.values["name"] = run.name
    else:
        form = form_class(query.get("method") or _method_for(query, team)).of(team)
    if pk := parse_uuid(query.get("data")):
        form.choose_data(pk)
    if pk := parse_uuid(query.get("source")):
        for kind in ("checkpoint", "run"):
            source = run_sources.source_of(f"store:{kind}/{pk}", team, form.method)
            if source is not None:
                form.choose_source(source, f"{kind}/{pk}", keep=bool(like))
                break
    elif query.get("how") in {SCRATCH, TRANSFER}:
        form.choose_how(query["how"])
    return form


def _method_for(query: Mapping[str, str], team: Team) -> str | None:
    """The first method that trains the source which a link names, and takes the data if it names
    any; of a source that predicts a number, regression, and of one that tags words, tagging."""
    pk, data = parse_uuid(query.get("source")), parse_uuid(query.get("data"))
    found = {}
    for method in FORMS if pk else ():
        for kind in ("checkpoint", "run"):
            if source := run_sources.source_of(f"store:{kind}/{pk}", team, method):
                found[method] = source
    if data is not None:
        takes = [method for method in found if learnable(team, method).filter(pk=data).exists()]
        found = {method: found[method] for method in takes} or found
    first = next(iter(found), None)
    if first and "regression" in found and found[first].predicts_number:
        return "regression"
    if first and "token_classification" in found and found[first].tags_words:
        return "token_classification"
    return first


def _form_page(
    request: PortalRequest, form: RunForm, checked: Any = None, status: int = 200
) -> HttpResponse:
    team = form.team
    if checked is None:
        checked = draft(form)
    chosen = form.values["source"]
    found = run_sources.search(team, "", form.method)
    if form.source is not None:
        # What is chosen stands first, even when it is an old one.
        found = [form.source, *(source for source in found if source.key != form.source.key)]
        chosen = form.source.key
    versions = (
        form.offered.exclude(job__state__in=[State.FAILED, State.CANCELLED])
        .select_related("dataset", "job")
        .defer("preview", "manifest")
        .order_by("-created_at")[:MOST_VERSIONS]
    )
    context = {
        "form": form,
        "draft": checked,
        "versions": versions,
        "sources": found,
        "chosen": chosen,
        "search": "",
        "method": form.method,
        "methods": METHODS.items(),
        "presets": [
            (name, config.parameter_count(), json.dumps(preset_values(name)))
            for name, config in PRESETS.items()
        ],
        "hosts": estimates.hosts(),
        "pasted": request.POST.get("yaml", "") if form.errors.get("yaml") else "",
    }
    return render(request, "runs/new.html", context, status=status)


# --- one run --------------------------------------------------------------------------------------


def _run(request: PortalRequest, pk: uuid.UUID) -> Run:
    return permissions.get_for_user(selectors.runs_with_all(request.user), request.user, pk=pk)


@require_GET
def detail(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    run = _run(request, pk)
    return render(request, "runs/detail.html", pages.detail_context(run, request.user))


@require_GET
def live(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """What changes while a run works: state and numbers, and what came since ``?seq=``."""
    run = _run(request, pk)
    seq = int(request.GET["seq"]) if request.GET.get("seq", "").isdecimal() else 0
    context = pages.live_context(run, request.user)
    context |= {
        "oob": True,
        "fresh_samples": pages.samples(run, seq),
        "fresh_log": log_lines(run.job, after_seq=seq),
    }
    if request.GET.get("outcome") != context["outcome_key"]:
        # What it made, and what can be done with it, stand there without a reload too.
        context |= pages.outcome_context(run, request.user) | pages.where_context(run, request.user)
        context["show_outcome"] = True
    return render(request, "runs/detail.html#poll", context)


@require_GET
def curves(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """The curves as JSON (``?since=``, ``?names=``) or, for people and spreadsheets, as CSV."""
    run = permissions.get_for_user(Run.objects.select_related("job"), request.user, pk=pk)
    asked = [name for name in request.GET.get("names", "").split(",") if name]
    known = {*run_curves.METRICS, *run_curves.own_metrics(run)[0]}
    names = [name for name in asked if name in known] or run_curves.DEFAULT_NAMES
    since = request.GET.get("since", "")
    found = run_curves.curves(run, names=names, since=int(since) if since.isdecimal() else -1)
    if request.GET.get("format") == "csv":
        return _csv(run, found)
    return JsonResponse(
        {
            "id": str(run.pk),
            "name": run.name,
            "url": reverse("runs:detail", args=[run.pk]),
            "live": run.job.is_live,
            "step": run.job.step or 0,
            "total_steps": run.job.total_steps or run.job.spec["training"]["steps"],
            "series": found,
        }
    )


def _csv(run: Run, found: dict[str, dict[str, list[Any]]]) -> HttpResponse:
    rows: dict[int, dict[str, Any]] = {}
    for name, curve in found.items():
        for step, value in zip(curve["steps"], curve["values"], strict=True):
            rows.setdefault(step, {})[name] = value
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["step", *found])
    writer.writerows(
        [step, *(row.get(name) for name in found)] for step, row in sorted(rows.items())
    )
    name = f"{str(run.pk)[:8]}-curves.csv"
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_GET
def report(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    run = _run(request, pk)
    return render(request, "runs/report.html", report_page.report_context(run, request.user))


@require_GET
def picture(request: PortalRequest, pk: uuid.UUID, seq: int) -> HttpResponse:
    """A row of images that a run made; it never changes."""
    run = permissions.get_for_user(Run.objects.all(), request.user, pk=pk)
    found = pictures.content(run, seq)
    if found is None:
        raise Http404
    content, kind = found
    headers = {"Cache-Control": "private, max-age=86400"}
    return HttpResponse(content, content_type=kind, headers=headers)


@require_GET
def sound(request: PortalRequest, pk: uuid.UUID, seq: int, place: int) -> HttpResponse:
    """What an image of such a row sounds like."""
    run = permissions.get_for_user(Run.objects.all(), request.user, pk=pk)
    content = pictures.sound(run, seq, place)
    if content is None:
        raise Http404
    return playable(request, content, "audio/wav", {"Cache-Control": "private, max-age=86400"})


@require_GET
def spec_yaml(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    run = permissions.get_for_user(Run.objects.select_related("job"), request.user, pk=pk)
    return HttpResponse(
        to_yaml(run.job.spec),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{str(run.pk)[:8]}.yaml"'},
    )


@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Name, notes and tags: in place with htmx, a page of its own without."""
    run = _run(request, pk)
    permissions.check_can_edit(request.user, run)
    typed = {
        "name": request.POST.get("name", run.name).strip(),
        "notes": request.POST.get("notes", run.notes),
        "tags": request.POST.get("tags", ", ".join(tag.name for tag in run.tags.all())),
    }
    errors = {}
    if request.method == "POST":
        errors = pages.description_errors(typed)
        if not errors:
            services.run_describe(
                run=run,
                actor=request.user,
                name=typed["name"],
                notes=typed["notes"].strip(),
                tags=pages.split_tags(typed["tags"]),
            )
            if wants_fragment(request):
                context = {"run": run, "tags": run.tags.all(), "can_write": True, "oob": True}
                return render(request, "runs/detail.html#about", context)
            return redirect("runs:detail", pk=run.pk)
    context = {
        "run": run,
        "typed": typed,
        "errors": errors,
        "known_tags": run.team.tags.values_list("name", flat=True),
    }
    template = "runs/edit.html" + ("#form" if wants_fragment(request) else "")
    return render(request, template, context, status=422 if errors and not request.htmx else 200)


@require_POST
def pause(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_pause)


@require_POST
def resume(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_resume)


@require_POST
def cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_cancel)


@require_POST
def retry(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_retry)


def _act(request: PortalRequest, pk: uuid.UUID, service: Any) -> HttpResponse:
    """Do something with a run's job; where its state no longer allows it, say so."""
    run = _run(request, pk)
    permissions.check_can_edit(request.user, run)
    try:
        service(job=run.job, actor=request.user)
    except IllegalTransition:
        job = Job.objects.get(pk=run.job_id)
        messages.warning(
            request,
            _("Meanwhile the run is %(state)s; nothing was changed.")
            % {"state": job.get_state_display()},
        )
    return redirect("runs:detail", pk=run.pk)


# --- side by side ---------------------------------------------------------------------------------


@require_GET
def compare(request: PortalRequest) -> HttpResponse:
    """``?ids=a,b``; the list's boxes send ``ids=a&ids=b``, which is turned into that."""
    asked = request.GET.getlist("ids")
    ids = [pk for text in asked for part in text.split(",") if (pk := parse_uuid(part)) is not None]
    ids = list(dict.fromkeys(ids))[: pages.MOST_COMPARED]
    if len(asked) > 1:
        joined = ",".join(str(pk) for pk in ids)
        return redirect(f"{reverse('runs:compare')}?ids={joined}")
    found = {run.pk: run for run in selectors.runs_with_all(request.user).filter(pk__in=ids)}
    runs = [found[pk] for pk in ids if pk in found]
    show_all = request.GET.get("all") == "1"
    return render(request, "runs/compare.html", pages.compare_context(runs, show_all=show_all))
