"""Reads about checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import exp
from typing import Any

from django.db.models import FloatField, Model, Prefetch, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.backbones.registry import BACKBONES, config_of
from training.ensembles.spec import EnsembleSpec
from training.interop.forms import FORMS
from training.weights.card import ENSEMBLE
from training.weights.tasks import TASKS
from webapp.accounts.models import Tag, Team, User
from webapp.checkpoints.models import (
    Checkpoint,
    CheckpointImport,
    CheckpointStatistics,
    StageChange,
    TransferPlan,
)
from webapp.datasets.models import Dataset
from webapp.jobs.models import Job, State
from webapp.paging import Page, page_of
from webapp.runs.methods import METHODS
from webapp.runs.models import Run
from webapp.templatetags.graft import amount

#: Columns that only a checkpoint's own page reads; a list of 25 would carry megabytes of them.
HEAVY = ("card", "manifest", "tensors")

#: Sort → (key, descending, title).
SORTS: dict[str, tuple[str, bool, Any]] = {
    "newest": ("created_at", True, _("Newest first")),
    "oldest": ("created_at", False, _("Oldest first")),
    "name": ("name", False, _("Name")),
    "loss": ("loss", False, _("Lowest validation loss")),
    "largest": ("parameters", True, _("Most parameters")),
    "smallest": ("parameters", False, _("Fewest parameters")),
}

#: In the filter by stage: archived ones as well.
ALL_STAGES = "all"

#: The task of what the playground asks.
WRITING = "causal_language_modelling"

#: What a card names as its method beside those of training → title.
OTHER_METHODS: dict[str, Any] = {
    "import": _("import"),
    "transfer": _("weights copied"),
    "ensemble": _("ensemble"),
}

#: How an ensemble combines what its members say → for people.
COMBINATIONS: dict[str, Any] = {
    "mean": _("mean of the probabilities"),
    "logits": _("mean of the logits (geometric)"),
    "weights": _("weighted mean, fitted on the validation split"),
    "stacking": _("stacking: logistic regression, fitted on the validation split"),
}

#: Others that a page offers for a comparison.
MOST_COMPARABLE = 100

#: Sorts after every real loss: a key must not be null.
_NO_LOSS = 1e300


def block_title(block: str) -> str:
    """A block's name for people: ``layer.3`` → "Layer 3"."""
    titles = {
        "embeddings": gettext("Embeddings"),
        "final_norm": gettext("Final norm"),
        "head": gettext("Head"),
        "pooler": gettext("Pooler"),
        "stem": gettext("Stem"),
        "all": gettext("All tensors"),
    }
    if block.startswith("layer."):
        return gettext("Layer %(number)s") % {"number": block[6:]}
    return titles.get(block, block)


def checkpoint_page(*, user: User, team: Team | None, filters: Mapping[str, Any]) -> Page:
    """One page of the team's checkpoints.

    Args:
        user: Who looks.
        team: Whose.
        filters: ``q``, ``origin``, ``architecture``, ``task``, ``method``, ``dataset``,
            ``owner``, ``tag``, ``stage``, ``source``, ``sort``, ``cursor``; empty ones do not
            filter, but archived checkpoints come only with ``stage`` ``archived`` or
            :data:`ALL_STAGES`.
    """
    rows: QuerySet[Any] = Checkpoint.objects.for_user(user).filter(team=team)
    if words := filters.get("q"):
        for word in words.split():
            rows = rows.filter(
                Q(name__icontains=word)
                | Q(notes__icontains=word)
                | Q(weights_sha256__startswith=word.lower())
                | Q(tags__name__iexact=word)
            )
        rows = rows.distinct()
    match filters.get("stage"):
        case None | "":
            rows = rows.exclude(stage=Checkpoint.Stage.ARCHIVED)
        case stage if stage != ALL_STAGES:
            rows = rows.filter(stage=stage)
    for field, column in (
        ("origin", "origin"),
        ("architecture", "architecture"),
        ("task", "task"),
        ("method", "method"),
        ("dataset", "dataset_version__dataset"),
        ("owner", "owner"),
        ("tag", "tags"),
        ("source", "parents"),
    ):
        if value := filters.get(field):
            rows = rows.filter(**{column: value})
    key, descending, _title = SORTS[filters.get("sort") or "newest"]
    if key == "loss":
        rows = rows.annotate(
            loss=Coalesce(Cast(KT("scores__validation_loss"), FloatField()), _NO_LOSS)
        )
    rows = rows.select_related("owner", "dataset_version__dataset").defer(
        *HEAVY, "dataset_version__summary", "dataset_version__preview", "dataset_version__manifest"
    )
    parents = Checkpoint.objects.for_user(user).only("name").order_by("name", "pk")
    return page_of(
        rows.prefetch_related(
            "tags", Prefetch("parents", parents), Prefetch("stage_changes", _changes())
        ),
        key=key,
        descending=descending,
        cursor=filters.get("cursor") or "",
    )


def _changes() -> QuerySet[StageChange]:
    return StageChange.objects.select_related("actor").order_by("-pk")


def stage_changes(checkpoint: Checkpoint) -> QuerySet[StageChange]:
    """Who put it into which stage, the last first."""
    return _changes().filter(checkpoint=checkpoint)


def also_in_production(checkpoint: Checkpoint, user: User) -> QuerySet[Checkpoint]:
    """Others of the team that are in production for the same task."""
    rows: QuerySet[Checkpoint] = Checkpoint.objects.for_user(user).filter(
        team=checkpoint.team, task=checkpoint.task, stage=Checkpoint.Stage.PRODUCTION
    )
    return rows.exclude(pk=checkpoint.pk).only("name").order_by("name", "pk")


def has_archived(team: Team | None) -> bool:
    """Whether the list leaves any out."""
    return Checkpoint.objects.filter(team=team, stage=Checkpoint.Stage.ARCHIVED).exists()


def writes_text(checkpoint: Checkpoint) -> bool:
    """Whether the playground can ask it."""
    return checkpoint.task == WRITING


def language_models(
    *, user: User, team: Team | None, also: Iterable[Any] = ()
) -> QuerySet[Checkpoint]:
    """Checkpoints of the team that write text, the newest first.

    Args:
        user: Who looks.
        team: Whose.
        also: Keys of archived ones that were asked for; the other archived ones are left out.
    """
    rows: QuerySet[Checkpoint] = Checkpoint.objects.for_user(user).filter(
        ~Q(stage=Checkpoint.Stage.ARCHIVED) | Q(pk__in=list(also)), team=team, task=WRITING
    )
    return rows.defer(*HEAVY).order_by("-created_at", "-pk")


def labels_of(checkpoint: Checkpoint) -> list[str]:
    """The classes that a language model can be asked to write texts of."""
    return [str(name) for name in checkpoint.card.get("control") or ()]


def compared(*, user: User, keys: Iterable[Any]) -> list[Checkpoint]:
    """The checkpoints of some keys that the person may see, in the order of the keys.

    With more than two, which are not compared, what only a comparison reads is not loaded.
    """
    keys = list(keys)[:MOST_COMPARABLE]
    rows: QuerySet[Checkpoint] = (
        Checkpoint.objects.for_user(user)
        .filter(pk__in=keys)
        .select_related("team", "owner", "job", "dataset_version__dataset")
    )
    if len(keys) > 2:
        rows = rows.defer(*HEAVY)
    return sorted(rows, key=lambda row: keys.index(row.pk))


def comparable(checkpoint: Checkpoint, user: User) -> QuerySet[Checkpoint]:
    """What a checkpoint can be compared with: the newest of its team."""
    rows: QuerySet[Checkpoint] = Checkpoint.objects.for_user(user).filter(team=checkpoint.team)
    return (
        rows.exclude(pk=checkpoint.pk)
        .exclude(stage=Checkpoint.Stage.ARCHIVED)
        .only("name", "created_at")
        .order_by("-created_at", "-pk")[:MOST_COMPARABLE]
    )


def plans_for(source: Checkpoint, user: User) -> QuerySet[TransferPlan]:
    """Kept plans for copies of a checkpoint: the team's for its architecture."""
    rows: QuerySet[TransferPlan] = TransferPlan.objects.for_user(user).filter(
        team=source.team, architecture=source.architecture
    )
    return rows.select_related("owner")


def statistics_of(checkpoint: Checkpoint, *, heavy: bool = False) -> CheckpointStatistics | None:
    """What its values are, or the job that finds out; None when nobody asked yet.

    Args:
        checkpoint: Whose.
        heavy: With the histograms of all tensors.
    """
    rows = CheckpointStatistics.objects.filter(checkpoint=checkpoint)
    rows = rows.select_related("job", "owner").defer("job__spec", "job__report")
    return (rows if heavy else rows.defer("histograms")).first()


def left_s(job: Job, now: datetime | None = None) -> float | None:
    """Seconds that a job still takes at the pace it has had; None when that cannot be told yet."""
    if job.state != State.RUNNING or not job.fraction or job.started_at is None:
        return None
    passed = ((now or timezone.now()) - job.started_at).total_seconds()
    return max(passed, 0) * (1 - job.fraction) / job.fraction


def imports_on_their_way(*, user: User, team: Team | None) -> QuerySet[CheckpointImport]:
    """Imports and copies that have not become a checkpoint, the newest first."""
    rows: QuerySet[CheckpointImport] = CheckpointImport.objects.for_user(user).filter(
        team=team, checkpoint=None
    )
    return (
        rows.exclude(job__state="cancelled")
        .select_related("job", "owner")
        .defer("manifest")
        .order_by("-created_at")[:5]
    )


def architecture_title(architecture: str) -> str:
    """An architecture's name for people."""
    if architecture == ENSEMBLE:
        return gettext("Ensemble")
    return BACKBONES[architecture].title if architecture in BACKBONES else architecture


def task_title(task: str) -> str:
    """A task's name for people; empty when it is not known."""
    return gettext(TASKS[task]) if task in TASKS else task


def method_title(method: str) -> str:
    """What made a checkpoint, for people; empty when it is not known."""
    if method in METHODS:
        return str(METHODS[method].name)
    return str(OTHER_METHODS.get(method, method))


def filter_choices(team: Team | None) -> dict[str, Any]:
    """What the list's filters offer: only what some checkpoint of the team has."""
    mine = Checkpoint.objects.filter(team=team)
    kinds = list(mine.values_list("architecture", "task", "method").distinct())

    def titled(place: int, title: Callable[[str], str]) -> list[tuple[str, str]]:
        found = {(kind[place], title(kind[place])) for kind in kinds if kind[place]}
        return sorted(found, key=lambda choice: choice[1])

    return {
        "architecture": titled(0, architecture_title),
        "task": titled(1, task_title),
        "method": titled(2, method_title),
        "owner": User.objects.filter(pk__in=mine.values("owner")).order_by("name", "email"),
        "dataset": Dataset.objects.filter(
            pk__in=mine.values("dataset_version__dataset"), team=team
        ).order_by("name"),
        "tag": Tag.objects.filter(team=team, checkpoint__in=mine).distinct(),
    }


def python_class(checkpoint: Checkpoint) -> str:
    """The class of ``transformers`` that opens the checkpoint's folder; empty: none does."""
    form = FORMS.get(checkpoint.architecture)
    return form.class_of(config_of(checkpoint.config)) if form and form.opens else ""


#: Score → (title, places shown).
SCORES: dict[str, tuple[Any, int]] = {
    "validation_loss": (_("Validation loss"), 3),
    "perplexity": (_("Perplexity"), 1),
    "validation_perplexity": (_("Perplexity"), 1),
    "validation_accuracy": (_("Accuracy"), 3),
    "accuracy": (_("Accuracy"), 3),
    "test_loss": (_("Test loss"), 3),
    "test_perplexity": (_("Test perplexity"), 1),
    "test_accuracy": (_("Test accuracy"), 3),
    "validation_rmse": (_("RMSE"), 3),
    "validation_mae": (_("Mean absolute error"), 3),
    "test_rmse": (_("RMSE, test"), 3),
    "test_mae": (_("Mean absolute error, test"), 3),
    "validation_class_accuracy": (_("Of the class that was meant"), 3),
    "validation_frechet": (_("Distance from real ones"), 1),
    "test_class_accuracy": (_("Of the class that was meant, test"), 3),
    "test_frechet": (_("Distance from real ones, test"), 1),
    "validation_knn": (_("Nearest neighbours"), 3),
    "validation_probe": (_("Linear probe"), 3),
    "test_knn": (_("Nearest neighbours, test"), 3),
    "test_probe": (_("Linear probe, test"), 3),
    "test_macro_f1": (_("Macro-F1, test"), 3),
    "validation_macro_f1": (_("Macro-F1"), 3),
    "best_step": (_("Best step"), 0),
}


#: The score that a list shows: the first of these that a checkpoint has.
MAIN_SCORES = (
    "validation_loss",
    "validation_accuracy",
    "accuracy",
    "test_loss",
    "test_accuracy",
    "validation_knn",
    "validation_class_accuracy",
)


def score_title(name: str) -> tuple[str, int]:
    """A score's name for people, and the places it is shown with."""
    title, places = SCORES.get(name, (name, 3))
    return str(title), places


def score_values(checkpoint: Checkpoint) -> list[tuple[str, float]]:
    """The scores that are numbers, known ones first; of what writes, the perplexity follows from
    the loss."""
    values = dict(checkpoint.scores)
    backbone = BACKBONES.get(checkpoint.architecture)
    loss = values.get("validation_loss") if backbone is not None and backbone.writes else None
    if loss is not None and loss < 50 and not {"perplexity", "validation_perplexity"} & set(values):
        values["perplexity"] = exp(loss)
    known = {name: values.pop(name) for name in SCORES if name in values}
    return [
        (name, value)
        for name, value in (known | values).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def scores(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Scores with their titles, as people read them."""
    return [_written(name, value) for name, value in score_values(checkpoint)]


def main_score(checkpoint: Checkpoint) -> tuple[str, str] | None:
    """The one score that stands for all, with its title."""
    for name in MAIN_SCORES:
        value = checkpoint.scores.get(name)
        if isinstance(value, int | float):
            return _written(name, value)
    return None


def _written(name: str, value: float) -> tuple[str, str]:
    title, places = score_title(name)
    return title, f"{value:.{places}f}"


def settings_of(checkpoint: Checkpoint) -> list[tuple[str, Any]]:
    """The configuration with titles in the reader's language."""
    if checkpoint.architecture == ENSEMBLE:
        return _settings_of_ensemble(checkpoint.config)
    backbone = BACKBONES.get(checkpoint.architecture)
    known = backbone.config.model_fields if backbone is not None else {}
    rows: list[tuple[str, Any]] = []
    for name, value in checkpoint.config.items():
        field = known.get(name)
        if name == "architecture":
            continue
        title = gettext(field.title) if field is not None and field.title else name
        if isinstance(value, bool):
            value = gettext("yes") if value else gettext("no")
        elif isinstance(value, list):
            value = ", ".join(str(item) for item in value) or "–"
        elif value is None:
            value = gettext("4 × width") if name == "n_inner" else "–"
        elif isinstance(value, list):
            value = ", ".join(map(str, value)) or "–"
        rows.append((title, value))
    if target := checkpoint.card.get("target"):
        told = gettext("%(name)s, in the training data %(mean)s ± %(deviation)s") % {
            "name": target["name"],
            "mean": amount(target["mean"]),
            "deviation": amount(target["deviation"]),
        }
        rows.append((gettext("Predicts the number"), told))
    return rows


def _settings_of_ensemble(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Its members stand on the page by themselves."""
    field = EnsembleSpec.model_fields["combination"]
    rows = [
        (gettext(str(field.title)), COMBINATIONS.get(config["combination"], "")),
        (gettext("Members"), len(config["members"])),
        (gettext("Classes"), ", ".join(config["classes"])),
    ]
    if config.get("target"):
        rows.append((gettext("Target"), config["target"]))
    return rows


def made_by(checkpoint: Checkpoint, user: User) -> Model | None:
    """The run or import that made it, when the reader may see it."""
    run = Run.objects.for_user(user).filter(checkpoint=checkpoint).select_related("job").first()
    if run is not None:
        return run
    return (
        CheckpointImport.objects.for_user(user)
        .filter(checkpoint=checkpoint)
        .select_related("source", "base", "job")
        .prefetch_related("merged")
        .first()
    )


def probe_job(checkpoint: Checkpoint) -> Job | None:
    """The job that compares a copy with its source; None for what is no copy, or not compared."""
    rows = checkpoint.imports.exclude(probe_job=None).select_related("probe_job")
    row = rows.first() if checkpoint.card.get("transfer") else None
    return row.probe_job if row is not None else None


@dataclass(frozen=True)
class Transfer:
    """How far a download or a copy has got.

    Attributes:
        received: Bytes here, None when the phase does not count bytes.
        total: Bytes wanted.
        rate: Bytes a second.
        left_s: Seconds left, None when not known.
    """

    received: int | None
    total: int | None
    rate: float | None
    left_s: float | None


def transfer_progress(row: CheckpointImport) -> Transfer:
    """Bytes, rate and time left from the job's last events."""
    seen = row.progress
    received, total, rate = seen.get("bytes"), seen.get("total_bytes"), seen.get("bytes_per_s")
    left = None
    if rate and total and received is not None:
        left = max(total - received, 0) / rate
    return Transfer(received, total, rate, left)
