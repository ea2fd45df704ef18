"""Reads about heads."""

from __future__ import annotations

from django.db.models import F, QuerySet

from training.methods.feature_matching.frozen_features import METHOD
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import DatasetVersion
from webapp.datasets.selectors import labelled, numbered
from webapp.heads.models import Head

#: Heads that the page of a checkpoint or of data lists.
MOST_SHOWN = 10


def heads_for(user: User) -> QuerySet[Head]:
    """Heads the person may see, with what rows and pages show of them."""
    rows: QuerySet[Head] = Head.objects.for_user(user)
    return rows.select_related(
        "job", "owner", "team", "checkpoint", "dataset_version", "dataset_version__dataset"
    ).defer("checkpoint__card", "dataset_version__preview", "dataset_version__manifest")


def heads_of_checkpoint(user: User, checkpoint: Checkpoint) -> QuerySet[Head]:
    """The newest heads on its features, for its page."""
    rows = heads_for(user).filter(checkpoint=checkpoint)
    return rows.order_by("-created_at")[:MOST_SHOWN]


def heads_with_data(user: User, version: DatasetVersion) -> QuerySet[Head]:
    """The best heads on this version, for its page; those without a score come last."""
    rows = heads_for(user).filter(dataset_version=version)
    best = F("accuracy").desc(nulls_last=True), F("rmse").asc(nulls_last=True)
    return rows.order_by(*best, "-created_at")[:MOST_SHOWN]


def can_have_head(checkpoint: Checkpoint) -> bool:
    """Whether features can be had of it."""
    return checkpoint.architecture in METHOD.backbones


def checkpoints_offered(team: Team) -> QuerySet[Checkpoint]:
    """The team's models that features can be had of, newest first."""
    return Checkpoint.objects.filter(team=team, architecture__in=METHOD.backbones).order_by(
        "-created_at"
    )


def versions_offered(team: Team) -> QuerySet[DatasetVersion]:
    """The team's labelled data that is ready, with classes or numbers, newest first."""
    rows = DatasetVersion.objects.filter(team=team)
    return (
        (labelled(rows) | numbered(rows).filter(summary__kind__in=["text", "image"]))
        .select_related("dataset")
        .defer("preview", "manifest")
        .order_by("-created_at")
    )
