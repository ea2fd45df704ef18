"""The pages about data."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from webapp.accounts import permissions
from webapp.accounts.models import Team
from webapp.accounts.selectors import can_write
from webapp.datasets import figures, members, selectors, services, table_figures
from webapp.datasets.filters import DEFAULT_SORT, SORTS, DatasetFilter
from webapp.datasets.forms import (
    FORMATS,
    SETTINGS,
    AboutForm,
    EditForm,
    FileForm,
    NewDatasetForm,
    SettingsForm,
)
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.table_form import TableForm
from webapp.ensembles import selectors as ensembles
from webapp.heads import selectors as heads
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.selectors import error_sentence
from webapp.paging import page_of
from webapp.playing import playable
from webapp.predictions import selectors as predictions


def _writable_team(request: PortalRequest) -> Team:
    """The current team, for those who may write in it."""
    permissions.check_can_write(request.user, request.team)
    if request.team is None:
        raise PermissionDenied
    return request.team


@require_GET
@vary_on_headers("HX-Request")
def dataset_list(request: PortalRequest) -> HttpResponse:
    rows = (
        selectors.dataset_list(request.user, request.team)
        if request.team
        else Dataset.objects.none()
    )
    filtered = DatasetFilter(request.GET, queryset=rows, request=request)
    sort = request.GET.get("sort", DEFAULT_SORT)
    key, descending, _label = SORTS.get(sort, SORTS[DEFAULT_SORT])
    page = page_of(
        filtered.qs, key=key, descending=descending, cursor=request.GET.get("cursor", "")
    )
    is_filtered = any(request.GET.get(name) for name in DatasetFilter.base_filters)
    context = {
        "filter": filtered,
        "page": page,
        "rows": selectors.with_newest(page.items),
        "sort": sort if sort in SORTS else DEFAULT_SORT,
        "sorts": [(name, label) for name, (_key, _descending, label) in SORTS.items()],
        "is_filtered": is_filtered,
        "can_write": can_write(request.user, request.team),
    }
    template = "datasets/list.html"
    if wants_fragment(request):
        template += "#rows"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    team = _writable_team(request)
    form = NewDatasetForm(request.POST or None, request.FILES or None, user=request.user, team=team)
    if request.method == "POST" and form.is_valid() and form.arrived is not None:
        try:
            version = services.dataset_create(
                name=form.cleaned_data["name"],
                description=form.cleaned_data["description"],
                origin=form.cleaned_data["origin"],
                raw=services.raw_of_upload(form.arrived),
                spec=form.spec,
                team=team,
                owner=request.user,
            )
        except IntegrityError:  # somebody took the name since it was checked
            form.add_error("name", _("The team has data of this name already."))
        else:
            return redirect("datasets:version", pk=version.pk)
    return _file_page(request, "datasets/new.html", form, team)


@require_http_methods(["GET", "POST"])
def add(request: PortalRequest, pk: str) -> HttpResponse:
    dataset: Dataset = permissions.get_for_user(Dataset, request.user, pk=pk)
    permissions.check_can_edit(request.user, dataset)
    newest = selectors.newest_version(dataset)
    form = FileForm(
        request.POST or None,
        request.FILES or None,
        user=request.user,
        team=dataset.team,
        initial=_settings_of(newest),
    )
    if request.method == "POST" and form.is_valid() and form.arrived is not None:
        try:
            version = services.version_add(
                dataset=dataset,
                raw=services.raw_of_upload(form.arrived),
                spec=form.spec,
                owner=request.user,
            )
        except services.SameContent as same:
            form.add_error("file", _same_sentence(same))
        else:
            return redirect("datasets:version", pk=version.pk)
    return _file_page(request, "datasets/add.html", form, dataset.team, dataset=dataset)


def _file_page(
    request: PortalRequest, template: str, form: FileForm, team: Team, **context: Any
) -> HttpResponse:
    unfinished = [
        row
        for row in selectors.unfinished_uploads(request.user, team)
        if form.arrived is None or row.pk != form.arrived.pk
    ]
    context |= {
        "form": form,
        "unfinished": [row for row in unfinished if row.received < row.size],
    }
    return render(request, template, context, status=422 if form.errors else 200)


def _same_sentence(same: services.SameContent) -> str:
    return _("This file with these settings is already here as version %(number)s.") % {
        "number": same.version.number
    }


def _settings_of(version: DatasetVersion | None) -> dict[str, Any]:
    spec = version.job.spec if version is not None else {}
    return {name: spec[name] for name in SETTINGS if name in spec}


@require_POST
def samples(request: PortalRequest) -> HttpResponse:
    team = _writable_team(request)
    services.sample_data_load(team=team, owner=request.user)
    messages.success(
        request, _("The sample data is here and being checked. It takes a few seconds.")
    )
    return redirect("datasets:list")


@require_POST
def upload_discard(request: PortalRequest, pk: str) -> HttpResponse:
    """Forget an unfinished upload, for those without a script to send DELETE."""
    upload = get_object_or_404(Upload.objects.for_user(request.user), pk=pk, owner=request.user)
    permissions.check_can_edit(request.user, upload)
    services.upload_discard(upload=upload, actor=request.user)
    return redirect("datasets:new")


@require_GET
@vary_on_headers("HX-Request")
def detail(request: PortalRequest, pk: str) -> HttpResponse:
    """A dataset is shown by its newest version."""
    dataset: Dataset = permissions.get_for_user(
        Dataset.objects.select_related("team"), request.user, pk=pk
    )
    newest = dataset.versions.order_by("-number").values_list("pk", flat=True).first()
    return version(request, newest)


@require_GET
@vary_on_headers("HX-Request")
def version(request: PortalRequest, pk: Any) -> HttpResponse:
    row = get_object_or_404(selectors.version_for(request.user), pk=pk)
    context = {
        "version": row,
        "dataset": row.dataset,
        "job": row.job,
        "can_write": can_write(request.user, row.team),
        "progress": figures.progress(row.job, row.raw_size),
        "sentence": error_sentence(row.job),
        # Another file is the better advice where the fault is in this one.
        "settings_help": row.job.error_field in SETTINGS or not row.job.error_code,
    }
    if wants_fragment(request) and row.job.is_live:
        return render(request, "datasets/version.html#body", context)
    context |= {
        "counts": row.summary.get("counts", {}),
        "bars": figures.bars(row),
        "splits": figures.splits(row),
        "classes": figures.classes(row),
        "number": figures.number(row),
        "tags": figures.tags(row),
        "warnings": figures.warnings(row),
        "settings_used": figures.settings_used(row),
        "same": selectors.same_content(row),
        "versions": selectors.versions_of(row.dataset),
        "runs": selectors.runs_using(row),
        "heads": heads.heads_with_data(request.user, row),
        "can_be_predicted": predictions.can_be_predicted(row),
        "predictions": predictions.with_data(request.user, row),
    }
    if context["classes"] or row.summary.get("targets"):
        context["ensembles"] = ensembles.with_data(request.user, row)
    if row.kind == "sound":
        context |= figures.sound(row)
    # Classifiers read texts and images.
    context["told_apart"] = row.kind in ("text", "image") and bool(context["classes"])
    if row.kind == "table":
        columns = table_figures.columns(row)
        context |= {
            "columns": columns,
            "targets": table_figures.targets(row, columns),
            # Several targets, or a number; one with classes is Wide & Deep's.
            "predicts": row.is_ready
            and [one["type"] for one in row.summary.get("targets") or []] not in ([], ["category"]),
            "tells_classes": row.is_ready
            and any(one["type"] == "category" for one in row.summary.get("targets") or []),
        }
    template = "datasets/version.html"
    if wants_fragment(request):
        template += "#body"
    return render(request, template, context)


#: The address names content that never changes.
IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}


@require_GET
def image(request: PortalRequest, pk: Any, split: str, offset: int, size: int) -> HttpResponse:
    """One image of a version, from where its row says that it lies in the split's file."""
    row = get_object_or_404(selectors.version_for(request.user), pk=pk)
    content = _member(row, split, offset, size, members.PNG)
    return HttpResponse(content, content_type="image/png", headers=IMMUTABLE)


@require_GET
def sound(request: PortalRequest, pk: Any, split: str, offset: int, size: int) -> HttpResponse:
    """One sound of a version, in the same way."""
    row = get_object_or_404(selectors.version_for(request.user), pk=pk)
    content = _member(row, split, offset, size, members.WAV)
    return playable(request, content, "audio/wav", IMMUTABLE)


def _member(row: DatasetVersion, split: str, offset: int, size: int, signature: bytes) -> bytes:
    try:
        return members.read(row, split, offset, size, signature)
    except members.NoMember as error:
        raise Http404 from error


@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: str) -> HttpResponse:
    dataset: Dataset = permissions.get_for_user(Dataset, request.user, pk=pk)
    permissions.check_can_edit(request.user, dataset)
    form: AboutForm = EditForm(request.POST or None, instance=dataset)
    if request.method == "POST" and form.is_valid():
        services.dataset_edit(dataset=dataset, actor=request.user, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("datasets:detail", pk=dataset.pk)
    context = {"form": form, "dataset": dataset}
    return render(request, "datasets/edit.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def again(request: PortalRequest, pk: str) -> HttpResponse:
    """Check a file again with other settings; it need not be uploaded again."""
    row = get_object_or_404(selectors.version_for(request.user), pk=pk)
    permissions.check_can_edit(request.user, row)
    form = _again_form(request, row)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.version_check_again(version=row, spec=form.spec, actor=request.user)
        except services.SameContent as same:
            form.add_error(None, _same_sentence(same))
        else:
            return redirect("datasets:version", pk=made.pk)
    context = {
        "form": form,
        "version": row,
        "dataset": row.dataset,
        "sentence": error_sentence(row.job),
    }
    return render(request, "datasets/again.html", context, status=422 if form.errors else 200)


def _again_form(request: PortalRequest, row: DatasetVersion) -> SettingsForm:
    """Of a table, each column that is known can be chosen; else they are named by hand.

    ``format`` in the address asks for another reading: texts as a table, or a table as texts.
    """
    known, settings = selectors.with_columns(row), _settings_of(row)
    wanted = request.GET.get("format", "")
    if wanted in FORMATS and wanted != "table":
        settings |= {"format": wanted, "targets": [], "columns": {}}
        return SettingsForm(request.POST or None, initial=settings)
    if known is None:
        settings |= {"format": wanted} if wanted in FORMATS else {}
        return SettingsForm(request.POST or None, initial=settings)
    return TableForm(
        request.POST or None,
        initial=settings,
        columns=known.summary["columns"],
        targets=[target["name"] for target in known.summary["targets"]],
        chosen=None if known == row else row.job.spec,
    )


@require_POST
def cancel(request: PortalRequest, pk: str) -> HttpResponse:
    row = get_object_or_404(selectors.version_for(request.user), pk=pk)
    permissions.check_can_edit(request.user, row)
    try:
        services.version_cancel(version=row, actor=request.user)
    except IllegalTransition:
        messages.info(request, _("The check has ended already."))
    return redirect("datasets:version", pk=row.pk)
