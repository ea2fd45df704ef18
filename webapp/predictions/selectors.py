"""Reads about predictions: what predicts, and on which data."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from training.backbones.registry import BACKBONES, config_of
from training.features.answers import answers_of
from training.predicting.targets import PREDICTORS, Target, targets_of
from training.weights.card import ENSEMBLE
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import DatasetVersion
from webapp.heads.models import Head
from webapp.predictions.models import Prediction

#: Models looked at for what predicts, the newest first.
MOST = 300
#: Predictions that the page of a checkpoint, a head or of data lists.
MOST_SHOWN = 10


@dataclass(frozen=True)
class Model:
    """What predicts: a checkpoint, or a head on one's features.

    Attributes:
        checkpoint: It, or whose features the head reads.
        head: The head; None: the checkpoint predicts itself.
        kind: What it reads: ``text``, ``image`` or ``table``.
        targets: What it predicts.
        pairs: Whether it learned from pairs of texts; None: nobody knows.
    """

    checkpoint: Checkpoint
    head: Head | None
    kind: str
    targets: tuple[Target, ...]
    pairs: bool | None = None

    @property
    def key(self) -> str:
        """As a form's value."""
        return f"head/{self.head.pk}" if self.head else f"checkpoint/{self.checkpoint.pk}"

    @property
    def name(self) -> str:
        return self.head.name if self.head else self.checkpoint.name


def predictions_for(user: User) -> QuerySet[Prediction]:
    """Predictions the person may see, with what rows and pages show of them."""
    rows: QuerySet[Prediction] = Prediction.objects.for_user(user)
    return rows.select_related(
        "job", "owner", "team", "checkpoint", "head", "dataset_version", "dataset_version__dataset"
    ).defer(
        "checkpoint__card",
        "checkpoint__manifest",
        "dataset_version__preview",
        "dataset_version__manifest",
    )


def of_checkpoint(user: User, checkpoint: Checkpoint) -> QuerySet[Prediction]:
    """The newest predictions of a checkpoint, and of heads on its features."""
    return _newest(predictions_for(user).filter(checkpoint=checkpoint))


def of_head(user: User, head: Head) -> QuerySet[Prediction]:
    """The newest predictions of a head."""
    return _newest(predictions_for(user).filter(head=head))


def with_data(user: User, version: DatasetVersion) -> QuerySet[Prediction]:
    """The newest predictions of a version of data."""
    return _newest(predictions_for(user).filter(dataset_version=version))


def _newest(rows: QuerySet[Prediction]) -> QuerySet[Prediction]:
    return rows.defer("job__report").order_by("-created_at")[:MOST_SHOWN]


def model_of(checkpoint: Checkpoint) -> Model | None:
    """A checkpoint as what predicts; None where it predicts nothing."""
    told = checkpoint.card.get("inputs") or {}
    if checkpoint.architecture == ENSEMBLE:
        config = checkpoint.config
        target = Target(config.get("target", ""), tuple(config["classes"]))
        return Model(checkpoint, None, config["kind"], (target,), told.get("pairs"))
    if checkpoint.architecture not in PREDICTORS:
        return None
    targets = targets_of(config_of(checkpoint.config), checkpoint.card)
    if not targets:
        return None
    kind = BACKBONES[checkpoint.architecture].kind
    return Model(checkpoint, None, kind, targets, told.get("pairs"))


def model_of_head(head: Head) -> Model:
    """A fitted head as what predicts."""
    version = head.dataset_version
    about = answers_of(version.summary).about
    target = Target(about.get("target", ""), tuple(about.get("classes", ())))
    pairs = bool(version.summary.get("pair_field")) if version.kind == "text" else None
    return Model(head.checkpoint, head, version.kind, (target,), pairs)


def models(team: Team) -> list[Model]:
    """All that predicts of a team's, newest first; checkpoints and then heads."""
    rows = (
        Checkpoint.objects.filter(team=team, architecture__in=(*PREDICTORS, ENSEMBLE))
        .exclude(stage=Checkpoint.Stage.ARCHIVED)
        .defer("manifest", "tensors")
        .order_by("-created_at")
    )
    found = [one for row in rows[:MOST] if (one := model_of(row)) is not None]
    heads = (
        Head.objects.filter(team=team)
        .exclude(manifest={})
        .select_related("checkpoint", "dataset_version")
        .defer("checkpoint__card", "checkpoint__manifest", "checkpoint__tensors")
        .defer("dataset_version__preview", "dataset_version__manifest")
        .order_by("-created_at")
    )
    return [*found, *map(model_of_head, heads[:MOST])]


def versions_offered(team: Team) -> QuerySet[DatasetVersion]:
    """The team's data that are ready, newest first: texts, images, tables, with labels or not."""
    rows = DatasetVersion.objects.filter(team=team).exclude(sha256="")
    # The first versions held texts and did not say so.
    wanted = Q(summary__kind__in=["text", "image", "table"]) | Q(summary__kind__isnull=True)
    return (
        rows.filter(wanted)
        .select_related("dataset")
        .defer("preview", "manifest")
        .order_by("-created_at")
    )


def can_be_predicted(version: DatasetVersion) -> bool:
    """Whether there are models that read such data."""
    return version.is_ready and version.kind in ("text", "image", "table")
