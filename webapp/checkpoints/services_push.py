"""What people do to send a checkpoint to the Hub."""

from __future__ import annotations

from django.db import transaction

from training.command_specs import PushSpec
from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.checkpoints import sealing
from webapp.checkpoints.models import Checkpoint, CheckpointPush
from webapp.checkpoints.services_export import ExportRefused, about, problem
from webapp.jobs.services import job_create
from webapp.runs import references


@transaction.atomic
def push_start(
    *,
    checkpoint: Checkpoint,
    repository: str,
    endpoint: str,
    private: bool,
    token: str,
    actor: User,
) -> CheckpointPush:
    """Queue the sending of a checkpoint.

    Args:
        checkpoint: Which.
        repository: ``owner/name``.
        endpoint: Address of the Hub; empty: this machine's.
        private: Whether a repository that is made is private.
        token: The Hub's; sealed on the row until the job has ended, and in no spec.
        actor: Who asks.

    Raises:
        ExportRefused: The Hub's form cannot hold this architecture.
    """
    if said := problem(checkpoint, "huggingface"):
        raise ExportRefused(said)
    spec = PushSpec(
        checkpoint=references.write("checkpoint", checkpoint.pk),
        repository=repository,
        endpoint=endpoint,
        private=private,
        about=about(checkpoint),
    )
    job = job_create(kind="push", spec=spec.model_dump(), team=checkpoint.team, owner=actor)
    row = CheckpointPush.objects.create(
        checkpoint=checkpoint,
        repository=repository,
        sealed_token=sealing.seal(token),
        job=job,
        team=checkpoint.team,
        owner=actor,
    )
    audit.record(
        "checkpoint.push",
        actor=actor,
        instance=checkpoint,
        repository=repository,
        endpoint=endpoint,
        private=private,
    )
    return row
