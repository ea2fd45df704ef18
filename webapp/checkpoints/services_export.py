"""What people do to write a checkpoint in another form, and what is said of it there."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext

from training.backbones.registry import BACKBONES, config_of
from training.command_specs import AboutSpec, ExportSpec
from training.interop.exports import EXPORTS
from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.checkpoints.models import Checkpoint, CheckpointExport
from webapp.jobs.models import State
from webapp.jobs.selectors import sentence
from webapp.jobs.services import job_create, job_retry
from webapp.runs import references

#: Most checkpoints of a past that are looked at for where it began.
ANCESTORS = 100


class ExportRefused(Exception):
    """The checkpoint cannot be written in this form; the message is for people."""


@transaction.atomic
def export_start(*, checkpoint: Checkpoint, format: str, actor: User) -> CheckpointExport:
    """Queue an export; one that the team has already is given back, tried again if it failed.

    Args:
        checkpoint: Which.
        format: Key of :data:`training.interop.exports.EXPORTS`.
        actor: Who asks.

    Raises:
        ExportRefused: It does not fit into this form.
    """
    if said := problem(checkpoint, format):
        raise ExportRefused(said)
    # Two people may ask at once: one makes the row, the other finds it.
    Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
    known = CheckpointExport.objects.filter(checkpoint=checkpoint, format=format).first()
    if known is not None:
        if known.job.state in {State.FAILED, State.CANCELLED}:
            job_retry(job=known.job, actor=actor)
        return known
    values = {
        "checkpoint": references.write("checkpoint", checkpoint.pk),
        "format": format,
        "about": about(checkpoint),
    }
    job = job_create(
        kind="export" if EXPORTS[format].computes else "export_folder",
        spec=ExportSpec.model_validate(values).model_dump(),
        team=checkpoint.team,
        owner=actor,
    )
    row = CheckpointExport.objects.create(
        checkpoint=checkpoint, format=format, job=job, team=checkpoint.team, owner=actor
    )
    audit.record("checkpoint.export", actor=actor, instance=checkpoint, format=format)
    return row


def about(checkpoint: Checkpoint) -> AboutSpec:
    """What the model card says of a checkpoint's past: its data, the nearest model of the Hub."""
    version = checkpoint.dataset_version
    told = {"name": checkpoint.name, "data": version.dataset.name if version else ""}
    nearest, seen = [checkpoint], {checkpoint.pk}
    while nearest and len(seen) <= ANCESTORS:
        for one in nearest:
            origin = one.card.get("origin") or {}
            if origin.get("repository"):
                return AboutSpec(
                    **told,
                    base_model=str(origin["repository"])[:200],
                    licence=str(origin.get("licence") or "")[:100],
                )
        children = [one.pk for one in nearest]
        parents = Checkpoint.objects.filter(children__in=children, team=checkpoint.team)
        fresh = parents.exclude(pk__in=seen).only("card").distinct().order_by("created_at")
        nearest = list(fresh)
        seen |= {one.pk for one in nearest}
    return AboutSpec(**told)


def problem(checkpoint: Checkpoint, format: str) -> str:
    """Why a checkpoint cannot be written in a form, for people; empty when it can."""
    export = EXPORTS[format]
    if checkpoint.architecture in BACKBONES:
        found = export.problem(config_of(checkpoint.config))
    else:  # of another version of Graft
        found = "export_architecture", {"architecture": checkpoint.architecture}
    if found is None:
        return ""
    code, params = found
    return sentence(code, params | {"format": gettext(export.title)})
