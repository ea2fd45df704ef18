"""Pages about checkpoints: the list, one checkpoint, import, download."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseBase,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from training.backbones.registry import BACKBONES, SELF_CONTAINED
from webapp import storage
from webapp.accounts.permissions import check_can_edit, check_can_write, get_for_user
from webapp.accounts.selectors import can_write
from webapp.checkpoints import downloads, merges, pages, selectors, services, uploads
from webapp.checkpoints.actions import Action, act
from webapp.checkpoints.forms import CheckpointFilter, DescribeForm, FolderForm, HubForm
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.datasets.services import UploadRefused
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.selectors import error_sentence, sentence
from webapp.jobs.services import job_cancel, job_retry
from webapp.keys import parse_uuid


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
    return render(request, "checkpoints/detail.html", pages.detail(request, checkpoint))


@require_POST
def checkpoint_describe(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    check_can_edit(request.user, checkpoint)
    form = DescribeForm(request.POST)
    if form.is_valid():
        services.checkpoint_describe(checkpoint=checkpoint, actor=request.user, **form.cleaned_data)
        messages.success(request, gettext("Saved."))
        return redirect("checkpoints:detail", pk)
    context = pages.detail(request, checkpoint) | {"form": form, "editing": True}
    return render(request, "checkpoints/detail.html", context, status=422)


@require_GET
def checkpoint_download(request: PortalRequest, pk: uuid.UUID) -> HttpResponseBase:
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    try:
        return downloads.response(checkpoint.manifest, downloads.filename(checkpoint))
    except storage.BlobMissing as error:
        messages.error(request, sentence("input_missing", {"detail": str(error)}))
        return redirect("checkpoints:detail", pk)


@require_GET
def checkpoint_file(request: PortalRequest, pk: uuid.UUID, path: str) -> HttpResponseBase:
    """One file of a checkpoint, always as a download: nothing in it is shown by the browser."""
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    entry = checkpoint.manifest.get(path)
    if entry is None or not storage.blob_exists(entry["blake3"]):
        raise Http404
    response = FileResponse(
        storage.open_blob(entry["blake3"]),
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
    context = {
        "tab": tab,
        "hub": hub,
        "folder": folder,
        "limit": settings.UPLOAD_LIMIT,
        "architectures": [BACKBONES[name].title for name in BACKBONES if name in SELF_CONTAINED],
    }
    status = 200 if posted is None else 422
    return render(request, "checkpoints/import.html", context, status=status)


def _hub_form(request: PortalRequest) -> HubForm:
    """An empty form, or that of an import that failed, with its sentence at the field."""
    pk = parse_uuid(request.GET.get("from"))
    rows = CheckpointImport.objects.for_user(request.user).select_related("job")
    row = rows.filter(pk=pk, origin=Checkpoint.Origin.HUB).first() if pk else None
    if row is None:
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


def _act(request: PortalRequest, pk: uuid.UUID, action: Action) -> HttpResponse:
    row = get_for_user(CheckpointImport.objects.select_related("job"), request.user, pk=pk)
    act(request, row.job, action)
    return redirect("checkpoints:import_detail", pk)


@require_POST
def probe_retry(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Compare a copy with its source once more."""
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    job = selectors.probe_job(checkpoint)
    if job is None:
        raise Http404
    act(request, job, job_retry)
    return redirect(reverse("checkpoints:detail", args=[pk]) + "#proof")
