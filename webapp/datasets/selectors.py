"""Reads about datasets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from webapp.accounts.models import Team, User
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.jobs.models import LIVE, Job, State
from webapp.runs.models import Run


@dataclass(frozen=True)
class Row:
    """A dataset in the list, with its newest version."""

    dataset: Dataset
    version: DatasetVersion | None

    @property
    def counts(self) -> dict[str, Any]:
        return self.version.summary.get("counts", {}) if self.version else {}


def dataset_list(user: User, team: Team) -> QuerySet[Dataset]:
    """The team's datasets, with the newest version's id and state and the number of versions."""
    newest = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
    rows: QuerySet[Dataset] = Dataset.objects.for_user(user).filter(team=team)
    return rows.select_related("owner").annotate(
        newest_id=Subquery(newest.values("pk")[:1]),
        newest_state=Subquery(newest.values("job__state")[:1]),
        version_count=Count("versions"),
    )


def with_newest(datasets: Iterable[Any]) -> list[Row]:
    """Rows of :func:`dataset_list` with their newest versions: one query for all."""
    datasets = list(datasets)
    versions = (
        DatasetVersion.objects.filter(pk__in=[row.newest_id for row in datasets])
        .select_related("job")
        .defer("preview", "manifest")
    )
    by_id = {version.pk: version for version in versions}
    return [Row(dataset, by_id.get(dataset.newest_id)) for dataset in datasets]


def newest_version(dataset: Dataset) -> DatasetVersion | None:
    """What the dataset's own page shows."""
    return versions_of(dataset).first()


def versions_of(dataset: Dataset) -> QuerySet[DatasetVersion]:
    """All versions, newest first."""
    return (
        DatasetVersion.objects.filter(dataset=dataset)
        .select_related("job", "owner")
        .defer("preview", "manifest")
        .order_by("-number")
    )


def version_for(user: User) -> QuerySet[DatasetVersion]:
    """Versions the person may see, with what a page shows of them."""
    rows: QuerySet[DatasetVersion] = DatasetVersion.objects.for_user(user)
    return rows.select_related("dataset", "dataset__team", "job", "owner", "team")


def of_texts(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """Those that hold texts, or may turn out to: what a language model learns from."""
    others = ["images", "sounds", "table"]
    unknown = Q(summary__kind__isnull=True) & ~Q(job__spec__format__in=others)
    return rows.filter(unknown | Q(summary__kind="text"))


def of_images(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """Those that hold images, or may turn out to, with labels or without."""
    unknown = Q(summary__kind__isnull=True) & Q(job__spec__format="images")
    return rows.filter(unknown | Q(summary__kind="image"))


def labelled(
    rows: QuerySet[DatasetVersion], kinds: Sequence[str] = ("text", "image")
) -> QuerySet[DatasetVersion]:
    """Those whose examples have classes, checked and ready, of these kinds."""
    ready = rows.filter(summary__labels__classes__isnull=False).exclude(sha256="")
    wanted = Q(summary__kind__in=list(kinds))
    # The first versions held texts and did not say so.
    return ready.filter(wanted | Q(summary__kind__isnull=True) if "text" in kinds else wanted)


def numbered(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """Those whose texts or images have a number each, checked and ready."""
    return rows.filter(summary__labels__type="number").exclude(sha256="")


def tagged(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """Those of sentences whose words have tags, checked and ready."""
    return rows.filter(summary__labels__type="tags").exclude(sha256="")


def ready_texts(user: User, team: Team) -> QuerySet[DatasetVersion]:
    """What language models are scored on: checked texts, each content of a dataset once."""
    earlier = DatasetVersion.objects.filter(
        dataset=OuterRef("dataset"), sha256=OuterRef("sha256"), number__lt=OuterRef("number")
    )
    rows: QuerySet[DatasetVersion] = DatasetVersion.objects.for_user(user).filter(team=team)
    return (
        of_texts(rows)
        .exclude(sha256="")
        .exclude(Exists(earlier))
        .select_related("dataset", "job")
        .defer("preview")
        .order_by("dataset__name", "-number")
    )


def with_columns(version: DatasetVersion) -> DatasetVersion | None:
    """A version that tells which columns a table has: itself, or an earlier check of its file.

    None where none does, or where the file was read, or was to be read, as something else.
    """
    if version.is_ready:
        return version if version.kind == "table" else None
    if not version.raw_blake3 or version.job.spec.get("format") not in ("auto", "table"):
        return None
    rows = DatasetVersion.objects.filter(dataset=version.dataset, raw_blake3=version.raw_blake3)
    return rows.filter(summary__kind="table").order_by("-number").first()


def same_content(version: DatasetVersion) -> DatasetVersion | None:
    """The earlier version of the dataset that the check found to be the same, if there is one."""
    if not version.sha256:
        return None
    return (
        DatasetVersion.objects.filter(
            dataset=version.dataset, sha256=version.sha256, number__lt=version.number
        )
        .order_by("number")
        .first()
    )


def runs_using(version: DatasetVersion, limit: int = 10) -> list[Run]:
    """The newest runs trained on a version."""
    return list(
        Run.objects.filter(dataset_version=version)
        .select_related("job")
        .order_by("-created_at")[:limit]
    )


def unfinished_uploads(user: User, team: Team) -> list[Upload]:
    """One's own uploads that were cut off, to be continued."""
    rows: QuerySet[Upload] = Upload.objects.for_user(user).filter(
        owner=user, team=team, blake3="", relative_path=""
    )
    used = Job.objects.filter(kind="prepare", team=team, spec__path__startswith="upload:")
    paths = set(used.values_list("spec__path", flat=True))
    return [row for row in rows.order_by("-created_at")[:20] if f"upload:{row.pk}" not in paths]


def states_named(name: str) -> list[State]:
    """The job states that a filter's word stands for."""
    return {
        "ready": [State.SUCCEEDED],
        "checking": [*LIVE, State.PAUSED],
        "failed": [State.FAILED, State.CANCELLED],
    }.get(name, [])
