"""Reads about ensembles: which classifiers go together, and where each learned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from training.backbones.registry import BACKBONES, config_of
from training.methods.task_related.classification_spec import classes_of
from training.methods.task_related.ensemble import METHOD
from training.weights.card import ENSEMBLE
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import DatasetVersion
from webapp.datasets.selectors import labelled
from webapp.ensembles.models import Ensemble
from webapp.jobs.models import State
from webapp.runs import references, tables
from webapp.runs.models import Run

#: Classifiers looked at for what goes together, the newest first.
MOST = 300
#: Ensembles that the page of a checkpoint, of data or of a run lists.
MOST_SHOWN = 10
#: Generations above a member that are looked through for what they learned from.
GENERATIONS = 8


@dataclass(frozen=True)
class Classifier:
    """A checkpoint that can be a member."""

    checkpoint: Checkpoint
    classes: tuple[str, ...]

    @property
    def title(self) -> str:
        return BACKBONES[self.checkpoint.architecture].title


def ensembles_for(user: User) -> QuerySet[Ensemble]:
    """Ensembles the person may see, with what rows and pages show of them."""
    rows: QuerySet[Ensemble] = Ensemble.objects.for_user(user)
    return rows.select_related(
        "job",
        "owner",
        "team",
        "checkpoint",
        "judged",
        "dataset_version",
        "dataset_version__dataset",
    ).defer(
        "checkpoint__card",
        "checkpoint__manifest",
        "judged__card",
        "judged__manifest",
        "dataset_version__preview",
        "dataset_version__manifest",
    )


def of_checkpoint(user: User, checkpoint: Checkpoint) -> QuerySet[Ensemble]:
    """Ensembles that it is a member of, or that were made or judged with it."""
    rows = ensembles_for(user).filter(
        Q(members=checkpoint) | Q(judged=checkpoint) | Q(checkpoint=checkpoint)
    )
    return rows.distinct().order_by("-created_at")[:MOST_SHOWN]


def of_run(user: User, run: Run) -> QuerySet[Ensemble]:
    """Ensembles that wait for a run, or were made with what it made."""
    made = Checkpoint.objects.filter(job_id=run.job_id)
    rows = ensembles_for(user).filter(Q(runs=run) | Q(members__in=made))
    return rows.distinct().order_by("-created_at")[:MOST_SHOWN]


def with_data(user: User, version: DatasetVersion) -> QuerySet[Ensemble]:
    """The newest ensembles that were judged on this version."""
    rows = ensembles_for(user).filter(dataset_version=version)
    return rows.order_by("-created_at")[:MOST_SHOWN]


def versions_offered(team: Team) -> QuerySet[DatasetVersion]:
    """The team's data with classes that are ready, newest first: texts, images, tables."""
    rows = DatasetVersion.objects.filter(team=team)
    both = Q(pk__in=labelled(rows).values("pk")) | Q(pk__in=tables.with_classes(rows).values("pk"))
    return (
        rows.filter(both)
        .select_related("dataset")
        .defer("preview", "manifest")
        .order_by("-created_at")
    )


def classes_in(version: DatasetVersion) -> list[list[str]]:
    """The classes that data have; of a table those of each target."""
    if version.kind == "table":
        found = [tables.classes(version, name) for name in tables.targets(version)]
        return [names for names in found if len(names) > 1]
    return [[str(one["name"]) for one in version.summary["labels"]["classes"]]]


def classifiers(team: Team) -> list[Classifier]:
    """The team's checkpoints that say which classes they tell apart, newest first."""
    rows = (
        Checkpoint.objects.filter(team=team, architecture__in=METHOD.backbones)
        .exclude(stage=Checkpoint.Stage.ARCHIVED)
        .select_related("dataset_version__dataset")
        .defer("manifest", "tensors", "dataset_version__preview", "dataset_version__manifest")
        .order_by("-created_at")
    )
    return [found for row in rows[:MOST] if (found := as_classifier(row)) is not None]


def as_classifier(checkpoint: Checkpoint) -> Classifier | None:
    """A checkpoint with its classes; None where it has none."""
    if checkpoint.architecture not in METHOD.backbones:
        return None
    config = config_of(checkpoint.config)
    names = classes_of(config, checkpoint.card)
    if len(names) < 2 or getattr(config, "num_classes", len(names)) != len(names):
        return None
    return Classifier(checkpoint, tuple(names))


def goes_with(one: Classifier, version: DatasetVersion) -> bool:
    """Whether a classifier reads this data and tells its very classes apart."""
    if BACKBONES[one.checkpoint.architecture].kind != version.kind:
        return False
    return sorted(one.classes) in [sorted(names) for names in classes_in(version)]


def is_ensemble(checkpoint: Checkpoint) -> bool:
    """Whether it is an ensemble's checkpoint."""
    return checkpoint.architecture == ENSEMBLE


def goes_with_ensemble(checkpoint: Checkpoint, version: DatasetVersion) -> bool:
    """Whether an ensemble can be judged on this data."""
    config: dict[str, Any] = checkpoint.config
    if config["kind"] != version.kind:
        return False
    return sorted(config["classes"]) in [sorted(names) for names in classes_in(version)]


def members_of(checkpoint: Checkpoint) -> list[Checkpoint]:
    """An ensemble's members, in their order; one that was deleted meanwhile is left out."""
    wanted = [one["weights_sha256"] for one in checkpoint.config["members"]]
    known = {row.weights_sha256: row for row in checkpoint.parents.all()}
    return [known[key] for key in wanted if key in known]


def learned_from(checkpoints: Iterable[Checkpoint]) -> set[Any]:
    """Keys of the data that checkpoints, and what they came from, learned from."""
    keys, found = {one.pk for one in checkpoints}, set()
    seen: set[Any] = set()
    for _generation in range(GENERATIONS):
        rows = Checkpoint.objects.filter(pk__in=keys - seen)
        pairs = list(rows.values_list("dataset_version", "parents"))
        found |= {version for version, _parent in pairs if version is not None}
        seen |= keys
        keys = {parent for _version, parent in pairs if parent is not None}
        if not keys - seen:
            break
    return found


def references_to(keys: set[Any], version: DatasetVersion) -> list[str]:
    """Data by their keys, as a spec names them: those of a version's team and kind that are
    ready."""
    rows = DatasetVersion.objects.filter(pk__in=keys, team=version.team).exclude(sha256="")
    rows = rows.defer("preview", "manifest").order_by("pk")
    return [references.write("dataset", row.pk) for row in rows if row.kind == version.kind]


def learned_before(run: Run) -> set[Any]:
    """The same of what a run begins with: a checkpoint, or other runs, done or not."""
    found: set[Any] = set()
    while run.source_run is not None:
        run = run.source_run
        found.add(run.dataset_version_id)
    return found | (learned_from([run.source_checkpoint]) if run.source_checkpoint else set())


def snapshots_of(run: Run) -> list[Checkpoint]:
    """What a run was at the end of each of its cycles, in their order; none without cycles."""
    if run.job.state != State.SUCCEEDED:
        return []
    told = (run.job.report or {}).get("snapshots") or []
    rows = Checkpoint.objects.filter(job_id=run.job_id).defer("manifest", "tensors")
    known = {row.weights_sha256: row for row in rows}
    return [known[one["weights_sha256"]] for one in told if one["weights_sha256"] in known]
