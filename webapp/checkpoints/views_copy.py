"""Pages about copying weights into a new model: plan it, keep the plan, run it, see the proof."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from pydantic import ValidationError

from training.backbones.registry import BACKBONES, SELF_CONTAINED, config_of
from training.errors import TrainingError
from training.weights.plan import Plan
from webapp import storage
from webapp.accounts.permissions import check_can_edit, get_for_user
from webapp.checkpoints import selectors, services
from webapp.checkpoints.forms_copy import CopyForm, typed_before
from webapp.checkpoints.models import Checkpoint, CheckpointImport, TransferPlan
from webapp.checkpoints.plans import CopyPreview, outlook
from webapp.htmx import PortalRequest, wants_fragment
from webapp.keys import parse_uuid

PLAN_FILE = "transfer.json"
#: A plan file larger than this is not shown as a page (it can be downloaded).
MOST_PLAN_BYTES = 32 * 2**20


@require_http_methods(["GET", "POST"])
def copy(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """Choose a new model, see where its weights will come from, and start the copy.

    A button may say another ``action``: ``keep`` the plan, give it as ``json``, ``preview`` it, or
    ``enter``, which is what the Enter key in any of the fields presses.
    """
    source = get_for_user(Checkpoint, request.user, pk=pk)
    check_can_edit(request.user, source)
    if source.architecture not in SELF_CONTAINED:
        raise Http404
    typed = (request.POST if request.method == "POST" else request.GET).dict()
    kept = _kept_plan(request, source, typed.get("plan", ""))
    known = _typed_before(request, source, typed.get("from", ""))
    known |= kept.values if kept is not None else {}
    form = CopyForm(known | typed, source=source, team=source.team)
    preview = _preview(form)
    if request.method == "POST" and preview is not None:
        answer = _do(request, form, preview, typed.get("action", ""))
        if answer is not None:
            return answer
    context = {
        "checkpoint": source,
        "form": form,
        "shape_fields": [form[name] for name in form.shape_names],
        "preview": preview,
        "outlook": outlook(source, preview) if preview is not None else None,
        "plans": selectors.plans_for(source, request.user),
        "kept": kept,
    }
    template = "checkpoints/copy.html" + ("#form" if wants_fragment(request) else "")
    status = 422 if request.method == "POST" and preview is None else 200
    return render(request, template, context, status=status)


def _do(
    request: PortalRequest, form: CopyForm, preview: CopyPreview, action: str
) -> HttpResponse | None:
    """What the pressed button asks for; None: to see the page."""
    named = form.cleaned_data["plan_name"]
    if action == "enter":
        # A stray Enter starts no copy; where a plan has been given a name, it keeps that.
        action = "keep" if named else "preview"
    if action == "preview":
        return None
    if action == "json":
        return _plan_file(form, preview)
    if action == "keep":
        plan = services.plan_keep(
            name=named or form.cleaned_data["name"],
            source=form.source,
            values=_values(form),
            owner=request.user,
        )
        messages.success(request, gettext("The plan is kept; choose it for the next copy."))
        return redirect(f"{reverse('checkpoints:copy', args=[form.source.pk])}?plan={plan.pk}")
    return redirect("checkpoints:import_detail", _start(request, form).pk)


def _plan_file(form: CopyForm, preview: CopyPreview) -> HttpResponse:
    """The plan of what is typed, as a file."""
    content = {
        "source": form.source.weights_sha256,
        "values": _values(form),
        "plan": preview.plan.to_json(),
    }
    answer = JsonResponse(content, json_dumps_params={"indent": 2, "ensure_ascii": False})
    answer["Content-Disposition"] = content_disposition_header(True, "plan.json") or ""
    return answer


@require_POST
def plan_delete(request: PortalRequest, pk: uuid.UUID, plan: uuid.UUID) -> HttpResponse:
    """Forget a kept plan; copies made by it stay."""
    row = get_for_user(TransferPlan, request.user, pk=plan)
    check_can_edit(request.user, row)
    services.plan_forget(plan=row, actor=request.user)
    messages.success(request, gettext("The plan is forgotten. Copies made by it stay."))
    return redirect("checkpoints:copy", pk)


@require_GET
def plan_of(request: PortalRequest, pk: uuid.UUID) -> HttpResponse:
    """What went where when a checkpoint's weights were copied, and the proof of it."""
    checkpoint = get_for_user(Checkpoint, request.user, pk=pk)
    entry = checkpoint.manifest.get(PLAN_FILE)
    if entry is None or entry["size"] > MOST_PLAN_BYTES:
        raise Http404
    try:
        with storage.open_blob(entry["blake3"]) as file:
            content = json.load(file)
        plan = Plan.from_json(content["plan"])
        proof = {name: content["proof"][name] for name in ("proofs", "exact")}
    except (storage.BlobMissing, ValidationError, KeyError, TypeError, ValueError):
        raise Http404 from None
    row = checkpoint.imports.filter(source__architecture__in=BACKBONES).first()
    config = config_of(row.source.config) if row is not None and row.source is not None else None
    context = {"checkpoint": checkpoint, "plan": CopyPreview.of(plan, config), **proof}
    return render(request, "checkpoints/plan.html", context)


def _kept_plan(request: PortalRequest, source: Checkpoint, key: str) -> TransferPlan | None:
    pk = parse_uuid(key)
    return selectors.plans_for(source, request.user).filter(pk=pk).first() if pk else None


def _typed_before(request: PortalRequest, source: Checkpoint, key: str) -> dict[str, Any]:
    """What was typed for a copy of this source that is to be changed; empty: there is none."""
    if (pk := parse_uuid(key)) is None:
        return {}
    rows = CheckpointImport.objects.for_user(request.user).select_related("job")
    row = rows.filter(pk=pk, origin=Checkpoint.Origin.COPIED, source=source).first()
    return typed_before(row) if row is not None else {}


def _preview(form: CopyForm) -> CopyPreview | None:
    """The plan, once the form makes sense; what the planner refuses is said at its field."""
    if not form.is_valid() or form.wanted is None:
        return None
    wanted = form.wanted
    try:
        return CopyPreview.make(
            form.source,
            wanted.target,
            wanted.settings,
            same_tokenizer=wanted.same_tokenizer,
            token_rows=wanted.token_rows,
            kept=wanted.base is not None,
        )
    except TrainingError as error:
        form.refuse(error)
        return None


def _start(request: PortalRequest, form: CopyForm) -> Any:
    assert form.wanted is not None
    return services.copy_start(
        name=form.cleaned_data["name"],
        source=form.source,
        model=form.wanted.target,
        base=form.wanted.base,
        settings=form.wanted.settings,
        tokenizer=form.wanted.tokenizer,
        seed=form.cleaned_data["seed"],
        owner=request.user,
    )


def _values(form: CopyForm) -> dict[str, Any]:
    """What was typed, less the names: all that a kept plan needs."""
    return {
        name: form.data.get(name, "") for name in form.fields if name not in {"name", "plan_name"}
    }
