"""The page of a checkpoint's exports."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from training.interop.exports import EXPORTS
from webapp import storage
from webapp.accounts.permissions import check_can_edit, get_for_user
from webapp.accounts.selectors import can_write
from webapp.checkpoints import downloads, services_export
from webapp.checkpoints.actions import Action, act
from webapp.checkpoints.models import Checkpoint, CheckpointExport
from webapp.checkpoints.offers import offers
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.models import State
from webapp.jobs.selectors import sentence
from webapp.jobs.services import job_cancel, job_retry


@require_http_methods(["GET", "POST"])
def export_page(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Every form, what there is of it, and a button that makes what there is not."""
    checkpoint = get_for_user(Checkpoint.objects.select_related("team"), request.user, pk=pk)
    if request.method == "POST":
        check_can_edit(request.user, checkpoint)
        form = request.POST.get("format", "")
        if form not in EXPORTS:
            raise BadRequest(f"no such form: {form}")
        try:
            services_export.export_start(checkpoint=checkpoint, format=form, actor=request.user)
        except services_export.ExportRefused as refused:
            messages.error(request, str(refused))
        except IllegalTransition:
            pass  # somebody else tried it again in the same moment
        return redirect("checkpoints:export", pk)
    offered = offers(checkpoint=checkpoint, user=request.user)
    context = {
        "checkpoint": checkpoint,
        "offers": offered,
        "is_live": any(offer.is_live for offer in offered),
        "can_write": can_write(request.user, checkpoint.team),
    }
    template = "checkpoints/export.html" + ("#offers" if wants_fragment(request) else "")
    return render(request, template, context)


@require_GET
def export_download(request: PortalRequest, pk: uuid.UUID) -> HttpResponseBase:
    row = _get(request, pk)
    if row.job.state != State.SUCCEEDED:
        return redirect("checkpoints:export", row.checkpoint_id)
    name = f"{downloads.filename(row.checkpoint)}-{row.format.replace('_', '-')}"
    try:
        return downloads.response(row.manifest, name)
    except storage.BlobMissing as error:
        messages.error(request, sentence("input_missing", {"detail": str(error)}))
        return redirect("checkpoints:export", row.checkpoint_id)


@require_POST
def export_retry(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_retry)


@require_POST
def export_cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, job_cancel)


def _act(request: PortalRequest, pk: uuid.UUID, action: Action) -> HttpResponse:
    row = _get(request, pk)
    act(request, row.job, action)
    return redirect("checkpoints:export", row.checkpoint_id)


def _get(request: PortalRequest, pk: uuid.UUID) -> CheckpointExport:
    rows = CheckpointExport.objects.select_related("job", "checkpoint")
    found: CheckpointExport = get_for_user(rows, request.user, pk=pk)
    return found
