"""Reads about runs: the list, and what one run's page shows. Curves stand in ``curves``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F, FloatField, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from training.backbones.contract import BackboneConfig
from training.backbones.registry import config_of
from webapp.accounts.models import AuditEvent, Tag, User
from webapp.datasets.models import Dataset
from webapp.jobs.models import Job, JobEvent, State
from webapp.jobs.selectors import LOG_KINDS, LogLine, log_lines
from webapp.paging import Page, page_of
from webapp.runs.models import Run

#: Samples shown of a run; the newest.
MOST_SAMPLES = 1000
#: Lines of the log on the page; the newest.
MOST_LOG_LINES = 500

#: Sort in the URL → key that is never null, and whether it falls.
SORTS: dict[str, tuple[str, bool]] = {
    "-created": ("created_at", True),
    "created": ("created_at", False),
    "name": ("name_key", False),
    "-name": ("name_key", True),
    "loss": ("loss_key", False),
    "-loss": ("loss_key", True),
}
DEFAULT_SORT = "-created"
_WORST = 1e300


# --- the list -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; empty: not at all."""

    q: str = ""
    state: str = ""
    how: str = ""
    method: str = ""
    data: str = ""
    owner: str = ""
    tag: str = ""
    sort: str = DEFAULT_SORT

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Filters:
        """From a URL; what makes no sense there is left out, so that old links still open."""
        values = {name: query.get(name, "").strip() for name in cls.__dataclass_fields__}
        if values["state"] not in State.values:
            values["state"] = ""
        if values["how"] not in {"scratch", "transfer", "twin"}:
            values["how"] = ""
        if values["sort"] not in SORTS:
            values["sort"] = DEFAULT_SORT
        for name in ("owner",):
            if not values[name].isdecimal():
                values[name] = ""
        return cls(**values)

    @property
    def active(self) -> bool:
        return any(
            getattr(self, name) for name in ("q", "state", "how", "method", "data", "owner", "tag")
        )


def run_list(user: Any, filters: Filters, cursor: str = "") -> Page:
    """One page of the runs that a person may see; a fixed number of queries."""
    runs = _filtered(Run.objects.for_user(user), filters).annotate(
        name_key=Lower("name"),
        loss_key=Coalesce(F("best_validation_loss"), Value(_WORST), output_field=FloatField()),
    )
    runs = runs.select_related(
        "job", "dataset_version__dataset", "owner", "source_checkpoint", "source_run", "twin_of"
    ).prefetch_related("tags")
    # Spec and report are large and not shown here.
    runs = runs.defer(
        "job__spec",
        "job__report",
        "source_checkpoint__card",
        "source_checkpoint__manifest",
        "source_checkpoint__tensors",
        "dataset_version__summary",
        "dataset_version__preview",
        "dataset_version__manifest",
    )
    key, falling = SORTS[filters.sort]
    return page_of(runs, key=key, descending=falling, cursor=cursor)


def _filtered(runs: QuerySet[Any], filters: Filters) -> QuerySet[Any]:
    for word in filters.q.split():
        runs = runs.filter(
            Q(name__icontains=word)
            | Q(notes__icontains=word)
            | Q(dataset_version__dataset__name__icontains=word)
            | Q(source_checkpoint__name__icontains=word)
            | Q(pk__in=Run.tags.through.objects.filter(tag__name__icontains=word).values("run_id"))
        )
    if filters.state:
        runs = runs.filter(job__state=filters.state)
    if filters.method:
        runs = runs.filter(method=filters.method)
    if filters.owner:
        runs = runs.filter(owner_id=int(filters.owner))
    if filters.data:
        runs = runs.filter(dataset_version__dataset__name=filters.data)
    if filters.tag:
        runs = runs.filter(
            pk__in=Run.tags.through.objects.filter(tag__name=filters.tag).values("run_id")
        )
    sourced = Q(source_checkpoint__isnull=False) | Q(source_run__isnull=False)
    match filters.how:
        case "transfer":
            runs = runs.filter(sourced)
        case "scratch":
            runs = runs.exclude(sourced).filter(twin_of=None)
        case "twin":
            runs = runs.filter(twin_of__isnull=False)
    return runs


@dataclass(frozen=True)
class FilterChoices:
    """What the filters of the list offer."""

    data: list[str]
    owners: list[User]
    tags: list[str]


def filter_choices(user: Any) -> FilterChoices:
    """Only what would find something."""
    runs = Run.objects.for_user(user)
    return FilterChoices(
        data=list(
            Dataset.objects.filter(versions__runs__in=runs)
            .order_by("name")
            .values_list("name", flat=True)
            .distinct()
        ),
        owners=list(User.objects.filter(pk__in=runs.values("owner")).order_by("name", "email")),
        tags=list(
            Tag.objects.filter(run__in=runs)
            .order_by("name")
            .values_list("name", flat=True)
            .distinct()
        ),
    )


# --- one run ------------------------------------------------------------------------------------


def runs_with_all(user: Any) -> QuerySet[Any]:
    """Runs with everything their pages name, in one query."""
    return Run.objects.for_user(user).select_related(
        "team",
        "owner",
        "job",
        "dataset_version__dataset",
        "source_checkpoint",
        "source_run__job",
        "checkpoint",
        "twin__job",
        "twin_of__job",
    )


def newest_values(run: Run, names: Iterable[str]) -> dict[str, float | None]:
    """The newest point of each metric that has one."""
    found: dict[str, float | None] = {}
    for name in names:
        last = run.points.filter(name=name).order_by("-step").values_list("value", flat=True)
        if (value := last.first()) is not None:
            found[name] = value
    return found


@dataclass(frozen=True)
class Collapse:
    """What raised the alarm: the newest look, when it says that features are becoming the same.

    Attributes:
        step: Of the look.
        spread: Of the projections.
        dimensions: The same.
        knn: Accuracy of nearest neighbours then; None without labels.
        knn_start: The same before the first step.
    """

    step: int
    spread: float | None
    dimensions: float | None
    knn: float | None
    knn_start: float | None


def collapse_of(run: Run) -> Collapse | None:
    """The alarm of the newest look; None while there is none."""
    last = run.points.filter(name="validation_collapse").order_by("-step").first()
    if last is None or not last.value:
        return None

    def at(name: str, step: int) -> float | None:
        point = run.points.filter(name=f"validation_{name}", step=step).first()
        return point.value if point else None

    spread, dimensions, knn = (at(name, last.step) for name in ("spread", "dimensions", "knn"))
    return Collapse(last.step, spread, dimensions, knn, at("knn", 0))


def twin_of(run: Run) -> Run | None:
    """The other one of transfer and scratch twin."""
    return run.twin_of or getattr(run, "twin", None)


@dataclass(frozen=True)
class Sample:
    """A text the model wrote, or a row of images that it made.

    Attributes:
        seq: Its event's number.
        step: When.
        prompt: What it was given.
        text: What it went on with.
        picture: Whether it is a row of images, and the prompt a class.
        sounds: What can be heard of the images: their places, line by line.
        label: The class that a text was to be of, empty for none; None: its model knows no labels.
    """

    seq: int
    step: int
    prompt: str
    text: str
    picture: bool = False
    sounds: list[list[int]] = field(default_factory=list)
    label: str | None = None


def samples(run: Run, after_seq: int = 0) -> list[Sample]:
    """What the run wrote, newest step first."""
    events = JobEvent.objects.filter(job_id=run.job_id, seq__gt=after_seq, kind="sample")
    found = [
        Sample(
            event.seq,
            event.step or 0,
            event.data.get("prompt", ""),
            event.data.get("text", ""),
            label=event.data.get("label"),
        )
        for event in events.order_by("-seq")[:MOST_SAMPLES]
    ]
    return sorted(found, key=lambda sample: (-sample.step, sample.seq))


@dataclass(frozen=True)
class SamplesOfStep:
    """The samples of one step."""

    step: int
    samples: list[Sample] = field(default_factory=list)


def samples_by_step(found: list[Sample]) -> list[SamplesOfStep]:
    """Newest step first."""
    steps: dict[int, list[Sample]] = {}
    for sample in found:
        steps.setdefault(sample.step, []).append(sample)
    return [SamplesOfStep(step, of_step) for step, of_step in steps.items()]


def newest_log_lines(run: Run) -> list[LogLine]:
    """The end of the log, oldest first."""
    events = JobEvent.objects.filter(job_id=run.job_id, kind__in=list(LOG_KINDS))
    newest = events.order_by("-seq").values_list("seq", flat=True)
    cut = newest[MOST_LOG_LINES : MOST_LOG_LINES + 1]
    return log_lines(run.job, after_seq=next(iter(cut), 0), limit=MOST_LOG_LINES)


def last_seq(run: Run) -> int:
    """The newest event that is on the page."""
    newest = JobEvent.objects.filter(job_id=run.job_id).order_by("-seq")
    return newest.values_list("seq", flat=True).first() or 0


def weights_event(run: Run) -> dict[str, Any] | None:
    """What was copied at the start, with the engine's proof."""
    if reported := (run.job.report or {}).get("weights"):
        return dict(reported)
    event = JobEvent.objects.filter(job_id=run.job_id, kind="weights").order_by("-seq").first()
    return event.data if event else None


@dataclass(frozen=True)
class Waiting:
    """One job that a run waits for.

    Attributes:
        job: It.
        kind: ``run``, ``dataset`` or ``other``.
        instance: The run or dataset version it belongs to.
    """

    job: Job
    kind: str
    instance: Any


def waits_for(run: Run) -> list[Waiting]:
    """What must succeed first: all of it while the run waits, once it failed what failed it."""
    before = run.job.after.select_related("run", "dataset_version__dataset")
    if run.job.state == State.WAITING:
        before = before.exclude(state=State.SUCCEEDED)
    elif run.job.state in {State.FAILED, State.CANCELLED}:
        before = before.filter(state__in=[State.FAILED, State.CANCELLED])
    else:
        return []
    found = []
    for job in before:
        if hasattr(job, "run"):
            found.append(Waiting(job, "run", job.run))
        elif hasattr(job, "dataset_version"):
            found.append(Waiting(job, "dataset", job.dataset_version))
        else:
            found.append(Waiting(job, "other", job))
    return found


def followers_of(run: Run) -> list[Run]:
    """The runs that start once this one has succeeded; none when it has ended."""
    if run.job.is_ended:
        return []
    waiting = Run.objects.filter(job__after=run.job_id, job__state=State.WAITING)
    return list(waiting.order_by("created_at"))


def queue_position(job: Job) -> int | None:
    """1 for the next to start on its queue; None when it is not queued."""
    if job.state != State.QUEUED:
        return None
    ahead = Job.objects.filter(queue=job.queue, state=State.QUEUED)
    if job.queued_at is not None:
        ahead = ahead.filter(
            Q(queued_at__lt=job.queued_at) | Q(queued_at=job.queued_at, pk__lt=job.pk)
        )
    return ahead.exclude(pk=job.pk).count() + 1


def elapsed_s(job: Job, now: datetime | None = None) -> float | None:
    """Seconds at work in all attempts together, pauses left out; in the end, what training took."""
    if job.report.get("duration_s") is not None:
        return float(job.report["duration_s"])
    events = JobEvent.objects.filter(job=job)
    # Training says twice that it starts: the process, then the model on its devices.
    started = events.filter(kind="started").exclude(data__has_key="devices")
    starts = list(started.order_by("seq").values_list("seq", "at"))
    if not starts:
        return None
    total = 0.0
    for (_seq, began), following in zip(starts, [*starts[1:], None], strict=True):
        # Until a new attempt's process speaks, the last start is that of the attempt before it.
        is_this = job.started_at is None or began >= job.started_at
        if following is None and job.state == State.RUNNING and is_this:
            ended = now or timezone.now()
        else:
            before = events if following is None else events.filter(seq__lt=following[0])
            ended = before.order_by("-seq").values_list("at", flat=True)[0]
        total += max(0.0, (ended - began).total_seconds())
    return total


def kept_step(job: Job) -> int | None:
    """The last step whose complete state is saved: where a retry goes on."""
    event = JobEvent.objects.filter(job=job, kind="checkpoint").order_by("-seq").first()
    if event is None:
        return None
    return event.step if event.step is not None else event.data.get("step")


def audit_events(run: Run) -> list[AuditEvent]:
    """Who did what with the run and its job, newest first."""
    return list(
        AuditEvent.objects.filter(object_id__in=[str(run.pk), str(run.job_id)])
        .select_related("actor")
        .order_by("-id")[:50]
    )


def derived_runs(run: Run) -> QuerySet[Any]:
    """Runs that start from what this one made."""
    made = Q(source_run=run)
    if run.checkpoint_id:
        made |= Q(source_checkpoint_id=run.checkpoint_id)
    return Run.objects.filter(made, team_id=run.team_id).select_related("job")


def model_of(run: Run) -> BackboneConfig | None:
    """The model, as far as it is known."""
    if run.checkpoint is not None:
        return config_of(run.checkpoint.config)
    from webapp.runs.sources import run_config

    try:
        return run_config(run)
    except ValueError:  # its source ended without a checkpoint
        return None
