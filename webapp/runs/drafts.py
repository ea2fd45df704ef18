"""A run before it starts: what the page shows beside the form, and making it from the form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.translation import gettext as _

from training.errors import MESSAGES, TrainingError
from training.weights.planner import make_plan
from webapp.accounts.models import Team, User
from webapp.checkpoints.plans import CopyPreview
from webapp.ensembles.services import trained_together
from webapp.runs.estimates import Outlook, hosts, outlook
from webapp.runs.form import RunForm
from webapp.runs.services import run_create


@dataclass(frozen=True)
class Draft:
    """A checked form.

    Attributes:
        form: With its errors.
        outlook: Time and memory, once there is a valid spec and its model is known.
        plan: Which weights go where, once there is a source.
    """

    form: RunForm
    outlook: Outlook | None
    plan: CopyPreview | None


def draft(form: RunForm) -> Draft:
    """Check a form and look ahead; a model that does not fit is refused with the numbers."""
    spec = form.validate()
    plan = _plan(form)
    found = None
    config = form.config
    if spec is not None:
        _check_devices(form, spec.devices.kind, spec.devices.count)
    if spec is not None and config is not None:
        found = outlook(spec, config, form.team)
        if not found.fits:
            form.refuse("memory", _too_large(found))
    return Draft(form, found, plan)


def _check_devices(form: RunForm, kind: str, count: int) -> None:
    """More graphics cards than any host has would wait for ever; none heard of may still come."""
    cards = max((len(host.gpus) for host in hosts()), default=0)
    if kind == "gpu" and cards and count > cards:
        form.refuse(
            "devices.count",
            _("No host has that many graphics cards; the largest has %(count)s.")
            % {"count": cards},
        )


def _too_large(found: Outlook) -> str:
    return _(MESSAGES["out_of_memory"]) % {
        "needed": filesizeformat(found.estimate.memory_bytes),
        "available": filesizeformat(found.memory_available),
    }


def _plan(form: RunForm) -> CopyPreview | None:
    if form.source is None:
        return None
    config = form.config
    if config is None:
        return None
    patterns = [
        line.strip() for line in form.values["source.reinitialise"].splitlines() if line.strip()
    ]
    try:
        plan = make_plan(
            config,
            form.source.config,
            form.source.shapes,
            same_tokenizer=form.same_tokenizer,
            token_rows=form.token_rows,
            reinitialise=[*patterns, *form.afresh],
        )
    except TrainingError as error:
        form.refuse("source.reinitialise", _(MESSAGES[error.code]) % error.params)
        return None
    return CopyPreview.of(plan, form.source.config)


def start(checked: Draft, *, owner: User, team: Team) -> str:
    """Make the run of a draft without errors, or several and their ensemble; its page's address."""
    form = checked.form
    assert form.spec is not None
    values: dict[str, Any] = form.values
    asked: dict[str, Any] = {
        "name": values["name"].strip(),
        "spec": form.spec,
        "owner": owner,
        "team": team,
        "twin": form.wants_twin,
    }
    if form.members > 1:
        made = trained_together(count=form.members, combination=values["combination"], **asked)
        return reverse("ensembles:detail", args=[made.pk])
    return reverse("runs:detail", args=[run_create(**asked).pk])
