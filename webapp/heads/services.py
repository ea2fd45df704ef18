"""What people do with heads: have one fitted."""

from __future__ import annotations

from django.db import transaction

from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec
from webapp.accounts import audit
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import DatasetVersion
from webapp.heads.models import Head
from webapp.jobs.services import job_create
from webapp.runs import references


@transaction.atomic
def head_create(
    *,
    name: str,
    checkpoint: Checkpoint,
    version: DatasetVersion,
    spec: FrozenFeaturesSpec,
    owner: User,
    team: Team,
) -> Head:
    """Queue the fitting of a head.

    Args:
        name: For people; empty: made from checkpoint and data.
        checkpoint: Whose features.
        version: Labelled data, ready.
        spec: Complete but for data and source, which are filled in.
        owner: Who asked.
        team: Whose it is; checkpoint and data are its too.
    """
    values = spec.model_dump(mode="json") | {
        "data": {"path": references.write("dataset", version.pk)},
        "source": {"checkpoint": references.write("checkpoint", checkpoint.pk)},
    }
    job = job_create(kind="head", spec=values, team=team, owner=owner)
    head = Head.objects.create(
        name=(name or default_name(checkpoint, version))[:160],
        checkpoint=checkpoint,
        dataset_version=version,
        job=job,
        team=team,
        owner=owner,
    )
    audit.record("head.create", actor=owner, instance=head, seed=spec.seed)
    return head


def default_name(checkpoint: Checkpoint, version: DatasetVersion) -> str:
    """``MiniLM on Reviews``, in the form of all names that are made: source, arrow, data."""
    return f"{checkpoint.name[:80]} → {version.dataset.name[:70]}"
