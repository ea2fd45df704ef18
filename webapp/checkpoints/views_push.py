"""The page that sends a checkpoint to the Hub."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.permissions import check_can_edit, get_for_user
from webapp.accounts.selectors import can_write
from webapp.checkpoints import services_push
from webapp.checkpoints.actions import act
from webapp.checkpoints.forms import PushForm
from webapp.checkpoints.models import Checkpoint, CheckpointPush
from webapp.checkpoints.services_export import ExportRefused
from webapp.htmx import PortalRequest, wants_fragment
from webapp.jobs.selectors import error_sentence
from webapp.jobs.services import job_cancel

#: The last ones are shown; the others are in the administration.
SHOWN = 20


@sensitive_post_parameters("token")
@require_http_methods(["GET", "POST"])
def push_page(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """The form, and what was sent before."""
    checkpoint = get_for_user(Checkpoint.objects.select_related("team"), request.user, pk=pk)
    form = PushForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        check_can_edit(request.user, checkpoint)
        if form.is_valid():
            try:
                services_push.push_start(
                    checkpoint=checkpoint, actor=request.user, **form.cleaned_data
                )
                return redirect("checkpoints:push", pk)
            except ExportRefused as refused:
                form.add_error(None, str(refused))
    rows = CheckpointPush.objects.for_user(request.user).filter(checkpoint=checkpoint)
    found = list(rows.select_related("job", "owner").order_by("-created_at", "-pk")[:SHOWN])
    context: dict[str, Any] = {
        "checkpoint": checkpoint,
        "form": form,
        "pushes": [(row, error_sentence(row.job)) for row in found],
        "is_live": any(row.job.is_live for row in found),
        "can_write": can_write(request.user, checkpoint.team),
    }
    template = "checkpoints/push.html" + ("#pushes" if wants_fragment(request) else "")
    return render(request, template, context, status=422 if form.errors else 200)


@require_POST
def push_cancel(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    rows = CheckpointPush.objects.select_related("job")
    row: CheckpointPush = get_for_user(rows, request.user, pk=pk)
    act(request, row.job, job_cancel)
    return redirect("checkpoints:push", row.checkpoint_id)
