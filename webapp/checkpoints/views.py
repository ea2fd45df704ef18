"""Pages about checkpoints: the list, one checkpoint, import, download."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from training.backbones.registry import BACKBONES, config_of
from training.spec import TRAINED
from webapp import storage
from webapp.accounts.permissions import check_can_edit, check_can_write, get_for_user
from webapp.accounts.selectors import can_write
from webapp.checkpoints import downloads, merges, selectors, services, uploads
from webapp.checkpoints.forms import CheckpointFilter, DescribeForm, FolderForm, HubForm
from webapp.checkpoints.lineage import lineage
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.checkpoints.views_library import layers_context, start_of
from webapp.datasets.services import UploadRefused
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.selectors import error_sentence, sentence
from webapp.jobs.services import job_cancel, job_retry


@require_GET
def checkpoint_list(request: PortalRequest) -> HttpResponse:
    team = request.team
    form = CheckpointFilter(request.GET, team=team)
    filters = form.values()
    page = selectors.checkpoint_page(user=request.user, team=team, filters=filters)
    context = {
        "form": form,
        "page": page,
        "can_write": can_write(request.user, team),
        "imports": selectors.imports_on_their_way(user=request.user, team=team),
        "all_archived": not page.items and not form.is_filtered and selectors.has_archived(team),
    }
    template = "checkpoints/list.html" + ("#rows" if wants_fragment(request) else "")
    return render(request, template, context)


@require_GET
def checkpoint_detail(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    checkpoint = get_for_user(
        Checkpoint.objects.select_related("owner", "team", "dataset_version__dataset", "job"),
        request.user,
        pk=pk,
    )
    return render(request, "checkpoints/detail.html", _detail(request, checkpoint))


def _detail(request: PortalRequest, checkpoint: Checkpoint) -> dict[str, Any]:
    tags = list(checkpoint.tags.all())
    made_by = selectors.made_by(checkpoint, request.user)
    merged = made_by if isinstance(made_by, CheckpointImport) and made_by.is_merge else None
    return {
        "checkpoint": checkpoint,
        "judgement": merges.judgement(merged) if merged else None,
        "can_write": can_write(request.user, checkpoint.team),
        "tags": tags,
        "made_by": made_by,
        "merge_parents": merges.parents(merged) if merged else [],
        "merge_method": merges.METHODS[checkpoint.card["merge"]["method"]][0] if merged else "",
        "lineage": lineage(checkpoint, request.user),
        "stages": Checkpoint.Stage.choices,
        "changes": selectors.stage_changes(checkpoint),
        "also": selectors.also_in_production(checkpoint, request.user),
        **layers_context(request, checkpoint, request.GET.get("block", ""), start_of(request)),
        "trained": checkpoint.architecture in TRAINED,
        # None for an architecture that a newer version of the portal knew.
        "backbone": BACKBONES.get(checkpoint.architecture),
        "model": config_of(checkpoint.config) if checkpoint.architecture in BACKBONES else None,
        "python_class": selectors.python_class(checkpoint),
        "scores": selectors.scores(checkpoint),
        "settings": selectors.settings_of(checkpoint),
        "folder": downloads.filename(checkpoint),
        "files": sorted(checkpoint.manifest.items()),
        **_probe(checkpoint),
        "form": DescribeForm(
            initial={
                "name": checkpoint.name,
                "notes": checkpoint.notes,
                "tags": ", ".join(tag.name for tag in tags),
            }
        ),
    }


def _probe(checkpoint: Checkpoint) -> dict[str, Any]:
    """The job that compares a copy with its source, while there is no outcome."""
    if checkpoint.probe or not checkpoint.card.get("transfer"):
        return {}
    row = checkpoint.imports.select_related("probe_job").exclude(probe_job=None).first()
    if row is None:
        return {}
    return {"probe_job": row.probe_job, "probe_error": error_sentence(row.probe_job)}


@require_POST
def checkpoint_describe(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    check_can_edit(request.user, checkpoint)
    form = DescribeForm(request.POST)
    if form.is_valid():
        services.checkpoint_describe(checkpoint=checkpoint, actor=request.user, **form.cleaned_data)
        messages.success(request, gettext("Saved."))
        return redirect("checkpoints:detail", pk)
    context = _detail(request, checkpoint) | {"form": form, "editing": True}
    return render(request, "checkpoints/detail.html", context, status=422)


@require_GET
def checkpoint_download(request: PortalRequest, pk: uuid.UUID) -> HttpResponseBase:
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    try:
        stream = downloads.zip_stream(checkpoint)
    except storage.BlobMissing as error:
        messages.error(request, sentence("input_missing", {"detail": str(error)}))
        return redirect("checkpoints:detail", pk)
    response = StreamingHttpResponse(stream, content_type="application/zip")
    response["Content-Length"] = str(len(stream))
    name = downloads.filename(checkpoint) + ".zip"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    return response


@require_GET
def checkpoint_file(request: PortalRequest, pk: uuid.UUID, path: str) -> HttpResponseBase:
    """One file of a checkpoint, always as a download: nothing in it is shown by the browser."""
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    entry = checkpoint.manifest.get(path)
    if entry is None or not storage.blob_exists(entry["sha256"]):
        raise Http404
    response = FileResponse(
        storage.open_blob(entry["sha256"]),
        as_attachment=True,
        filename=path.rsplit("/", 1)[-1],
        content_type="application/octet-stream",
    )
    response["Content-Length"] = str(entry["size"])
    return response


@require_http_methods(["GET", "POST"])
def import_new(request: PortalRequest) -> HttpResponse:
    """From the Hub or from a folder: two forms, one page."""
    team = request.team
    check_can_write(request.user, team)
    assert team is not None
    tab = "folder" if request.GET.get("tab") == "folder" else "hub"
    posted = request.POST if request.method == "POST" else None
    hub = HubForm(posted) if tab == "hub" and posted is not None else _hub_form(request)
    folder = FolderForm(
        posted if tab == "folder" else None,
        request.FILES if tab == "folder" and posted is not None else None,
        user=request.user,
        team=team,
    )
    row = None
    if posted is not None and tab == "hub" and hub.is_valid():
        row = services.import_from_hub(team=team, owner=request.user, **hub.cleaned_data)
    if posted is not None and tab == "folder" and folder.is_valid():
        row = _import_folder(request, folder)
    if row is not None:
        return redirect("checkpoints:import_detail", row.pk)
    context = {"tab": tab, "hub": hub, "folder": folder, "limit": settings.UPLOAD_LIMIT}
    status = 200 if posted is None else 422
    return render(request, "checkpoints/import.html", context, status=status)


def _hub_form(request: PortalRequest) -> HubForm:
    """An empty form, or that of an import that failed, with its sentence at the field."""
    try:
        row = CheckpointImport.objects.for_user(request.user).get(
            pk=uuid.UUID(request.GET.get("from", "")), origin=Checkpoint.Origin.HUB
        )
    except (ValueError, CheckpointImport.DoesNotExist):
        return HubForm()
    spec = row.job.spec
    values = {name: spec[name] for name in ("repository", "revision", "endpoint")}
    form = HubForm(values | {"name": row.name})
    if form.is_valid() and (said := error_sentence(row.job)):
        field = row.job.error_field
        form.add_error(field if field in form.fields else "repository", said)
    return form


def _import_folder(request: PortalRequest, form: FolderForm) -> CheckpointImport | None:
    """Store the files and queue the job; None when they are no model, said at the field."""
    assert request.team is not None
    team, owner = request.team, request.user
    chosen = form.cleaned_data["chosen"]
    try:
        if chosen:  # by name first, so that files that are no model are not kept
            uploads.below_root({file.name: {} for file in chosen})
        sent = list(form.cleaned_data["upload"])
        sent += services.take_files(files=chosen, team=team, owner=owner)
        files = services.files_of_uploads(sent)
        model = uploads.below_root(files)
    except ValidationError as error:
        form.add_error("chosen", error)
        return None
    except UploadRefused as error:
        form.add_error("chosen", str(error))
        return None
    name = form.cleaned_data["name"] or uploads.folder_name(files)
    return services.import_from_folder(
        name=name or gettext("Uploaded model"), files=model, team=team, owner=owner
    )


@require_GET
def import_detail(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """How far an import or a copy has got; becomes the checkpoint's page when it is done."""
    row = get_for_user(
        CheckpointImport.objects.select_related("job", "source", "owner").prefetch_related(
            "merged"
        ),
        request.user,
        pk=pk,
    )
    if row.checkpoint_id is not None:
        url = reverse("checkpoints:detail", args=[row.checkpoint_id])
        if wants_fragment(request):
            # htmx follows this with a real page load, whatever the fragment was swapped into.
            return HttpResponse(headers={"HX-Redirect": url})
        return redirect(url)
    context = {
        "row": row,
        "job": row.job,
        "can_write": can_write(request.user, row.team),
        "sentence": error_sentence(row.job),
        "progress": selectors.transfer_progress(row),
        "merge_parents": merges.parents(row) if row.is_merge else [],
    }
    template = "checkpoints/import_detail.html" + ("#progress" if wants_fragment(request) else "")
    return render(request, template, context)


@require_POST
def import_retry(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_retry)


@require_POST
def import_cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_cancel)


def _act(request: PortalRequest, pk: uuid.UUID, action: Any) -> HttpResponse:
    row = get_for_user(CheckpointImport.objects.select_related("job"), request.user, pk=pk)
    check_can_edit(request.user, row)
    try:
        with transaction.atomic():
            action(job=row.job, actor=request.user)
    except IllegalTransition:
        messages.info(request, gettext("It has changed in the meantime; this is how it stands."))
    return redirect("checkpoints:import_detail", pk)
