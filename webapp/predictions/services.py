"""What people do with predictions: ask for them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from training.predicting.spec import PredictSpec
from webapp.accounts import audit
from webapp.accounts.models import Team, User
from webapp.datasets.models import DatasetVersion
from webapp.ensembles import selectors as ensembles
from webapp.jobs.services import job_create
from webapp.predictions.models import Prediction
from webapp.predictions.selectors import Model
from webapp.runs import references


@transaction.atomic
def prediction_create(
    *,
    name: str,
    model: Model,
    version: DatasetVersion,
    settings: dict[str, Any],
    owner: User,
    team: Team,
) -> Prediction:
    """Queue a model's predictions of a version of data.

    Args:
        name: For people; empty: made from model and data.
        model: What predicts; of the team.
        version: Ready data of the team.
        settings: The spec's other fields.
        owner: Who asked.
        team: Whose it is.
    """
    spec = PredictSpec.model_validate(
        {
            "checkpoint": references.write("checkpoint", model.checkpoint.pk),
            "head": references.write("head", model.head.pk) if model.head else "",
            "data": {"path": references.write("dataset", version.pk)},
            "trained_on": _learned_from(model, version),
            **settings,
        }
    )
    job = job_create(kind="predict", spec=spec.model_dump(mode="json"), team=team, owner=owner)
    row = Prediction.objects.create(
        name=(name or f"{model.name[:80]} → {version.dataset.name[:70]}")[:160],
        checkpoint=model.checkpoint,
        head=model.head,
        dataset_version=version,
        job=job,
        team=team,
        owner=owner,
    )
    audit.record("prediction.create", actor=owner, instance=row)
    return row


def _learned_from(model: Model, version: DatasetVersion) -> list[str]:
    """What the model and its ancestors learned from; rows of tables cannot be compared."""
    if version.kind == "table":
        return []
    keys = ensembles.learned_from([model.checkpoint])
    if model.head is not None:
        keys.add(model.head.dataset_version_id)
    # Of these very data the engine sees that they are the same.
    return ensembles.references_to(keys - {version.pk}, version)
