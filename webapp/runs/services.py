"""What people do with runs: make them, with a twin or without, describe them, and compare them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from training.backbones.gpt2.config import PRESETS
from training.evaluation.transfer_gain import transfer_gain
from training.methods.contract import LoopSpec
from training.methods.registry import LOOP_METHODS
from training.settings import Settings
from training.spec import DataSpec, EvaluationSpec, RunSpec, SourceSpec, TokenizerSpec, TrainingSpec
from webapp.accounts import audit
from webapp.accounts.models import Team, User
from webapp.checkpoints.services import tag_named
from webapp.datasets.models import DatasetVersion
from webapp.jobs.models import Job, State
from webapp.jobs.services import job_create
from webapp.runs import references
from webapp.runs.data import learnable
from webapp.runs.dotted import at
from webapp.runs.models import Run
from webapp.runs.sources import Source, source_of
from webapp.runs.twins import pair_of

#: Names of the sample runs; they are how a second call finds the first one's.
SAMPLE_PRETRAINING, SAMPLE_TRANSFER = "Brown, from scratch", "Brown → Moby Dick"


class RunRefused(Exception):
    """The spec names something that is not there; the message is for the log, not for people."""


@transaction.atomic
def run_create(
    *,
    name: str,
    spec: Any,
    owner: User,
    team: Team,
    twin: bool = False,
    tags: Iterable[str] = (),
    notes: str = "",
) -> Run:
    """Make a run and its job, and its twin when that is wanted (:mod:`webapp.runs.twins`).

    It waits for its data to be prepared and for its source to be trained where they are not yet.

    Args:
        name: For people; empty: made from data and source.
        spec: Of any method that the loop trains, complete; data and source as ``store:``
            references of the same team.
        owner: Who asked.
        team: Whose it is.
        twin: Also make the twin: same data, tokens, seed and steps, no source; of a run from
            scratch the same run on its main task alone. Ignored where that is all it has.
        tags: Words of the team's vocabulary.
        notes: Free text.

    Raises:
        RunRefused: A reference names nothing that this team has.
    """
    version = _data(spec, team)
    source = _source(spec.source.checkpoint, team, spec.method) if spec.source else None
    others = _other_checkpoints(spec, team)
    if spec.source is not None and source is not None:
        # A run that has its checkpoint by now is named by that.
        named = spec.source.model_copy(update={"checkpoint": source.reference})
        spec = spec.model_copy(update={"source": named})
    name = name or default_name(version, source)
    run = _make(name, spec, version, source, _waits_for(version, source, *others), owner, team)
    run.notes = notes
    run.save(update_fields=["notes"])
    run.tags.set([tag_named(team, word) for word in dict.fromkeys(tags)])
    method = LOOP_METHODS[spec.method]
    other = None
    if twin:
        other = method.single(spec) if source is None else method.twin(spec, source.config)
    audit.record("run.create", actor=owner, instance=run, twin=other is not None, seed=spec.seed)
    if other is not None:
        _make_twin(run, other, version, source)
    return run


def _make_twin(run: Run, spec: Any, version: DatasetVersion, source: Source | None) -> Run:
    twin = _make(
        str(pair_of(run).suffix) % {"run": run.name[:130]},
        spec,
        version,
        None,
        # The source as well: its tokenizer (or its normalisation) is the twin's.
        _waits_for(version, source),
        run.owner,
        run.team,
        twin_of=run,
    )
    twin.tags.set(run.tags.all())
    audit.record("run.create", actor=run.owner, instance=twin, twin_of=str(run.pk), seed=spec.seed)
    return twin


def _make(
    name: str,
    spec: Any,
    version: DatasetVersion,
    source: Source | None,
    after: list[Job],
    owner: User,
    team: Team,
    twin_of: Run | None = None,
) -> Run:
    job = job_create(
        kind="train", spec=spec.model_dump(mode="json"), team=team, owner=owner, after=after
    )
    return Run.objects.create(
        name=name[:160],
        method=spec.method,
        job=job,
        dataset_version=version,
        source_checkpoint=source.checkpoint if source else None,
        source_run=source.run if source else None,
        twin_of=twin_of,
        team=team,
        owner=owner,
    )


def default_name(version: DatasetVersion, source: Source | None) -> str:
    """``Brown → Moby Dick`` for a transfer, ``Moby Dick, from scratch`` otherwise."""
    if source is None:
        return gettext("%(data)s, from scratch") % {"data": version.dataset.name}
    return f"{source.name[:80]} → {version.dataset.name[:70]}"


def _data(spec: LoopSpec, team: Team) -> DatasetVersion:
    kind, pk = references.read(spec.data.path)
    rows = learnable(team, spec.method).filter(pk=pk)
    version = rows.select_related("dataset", "job").first() if kind == "dataset" else None
    if version is None:
        raise RunRefused(spec.data.path)
    return version


def _other_checkpoints(spec: Settings, team: Team) -> list[Source]:
    """What the spec names beside its source: whose tokenizer it takes, say."""
    values = spec.model_dump(mode="json")
    method = LOOP_METHODS[values["method"]]
    return [
        _source(reference, team, None if path in method.any_kind else method.name)
        for path in method.checkpoints[1:]
        if (reference := at(values, path))
    ]


def _source(reference: str, team: Team, method: str | None) -> Source:
    source = source_of(reference, team, method)
    if source is None:
        raise RunRefused(reference)
    return source


def _waits_for(version: DatasetVersion, *sources: Source | None) -> list[Job]:
    """Jobs that must succeed first: preparing the data, training what weights or words are of."""
    jobs = [] if version.is_ready else [version.job]
    for source in sources:
        if source is not None and source.run is not None and source.run.job not in jobs:
            jobs.append(source.run.job)
    return jobs


@transaction.atomic
def run_describe(*, run: Run, actor: User, name: str, notes: str, tags: Iterable[str]) -> Run:
    """Change what people wrote about a run; its spec never changes.

    Args:
        run: Which.
        actor: Who.
        name: The new name.
        notes: Free text.
        tags: Words of the team's vocabulary; new ones are added to it.
    """
    wanted = [tag_named(run.team, word) for word in dict.fromkeys(tags)]
    before = {"name": run.name, "notes": run.notes}
    run.name, run.notes = name, notes
    run.save(update_fields=["name", "notes", "updated_at"])
    run.tags.set(wanted)
    changed = [field for field, value in before.items() if getattr(run, field) != value]
    audit.record(
        "run.describe",
        actor=actor,
        instance=run,
        changed=changed,
        tags=[tag.name for tag in wanted],
    )
    return run


def comparison_update(run: Run) -> None:
    """Once a run and its twin have both ended, write down how they compare.

    Called in the transaction that ends either; the run's row carries the outcome.
    """
    transfer = run.twin_of or run
    twin = Run.objects.filter(twin_of=transfer).select_related("job").first()
    if twin is None:
        return
    jobs = Job.objects.filter(pk__in=[transfer.job_id, twin.job_id])
    # The job whose end calls this is marked succeeded in this very transaction, maybe after.
    others = [job for job in jobs if job.pk != run.job_id]
    if not all(job.is_ended for job in others):
        return
    measure, curves = LOOP_METHODS[transfer.method].judged, {}
    for side in (transfer, twin):
        points = side.points.filter(name=measure.name, value__isnull=False).order_by("step")
        curves[side.pk] = list(points.values_list("step", "value"))
    if not all(curves.values()):
        return
    Run.objects.filter(pk=transfer.pk).update(
        comparison=transfer_gain(curves[transfer.pk], curves[twin.pk], measure)
    )


@transaction.atomic
def sample_transfer_create(*, team: Team, owner: User) -> Run:
    """The sample: a nano GPT-2 learns Brown, then Moby Dick, beside its scratch twin.

    About three minutes on two cores. Made once a team: a second call returns what is there.

    Returns:
        The transfer, whose page shows all of it.

    Raises:
        RunRefused: The sample data sets have not been loaded.
    """
    known = Run.objects.filter(team=team, name=SAMPLE_TRANSFER, twin_of=None).order_by("created_at")
    if (run := known.first()) is not None:
        return run
    brown, moby = (_sample_version(team, word) for word in ("Brown", "Moby"))
    pretraining = run_create(
        name=SAMPLE_PRETRAINING,
        spec=RunSpec(
            data=DataSpec(path=references.write("dataset", brown.pk)),
            model=PRESETS["nano"],
            tokenizer=TokenizerSpec(kind="train", vocabulary_size=PRESETS["nano"].vocab_size),
            training=TrainingSpec(steps=400),
            evaluation=EvaluationSpec(every=25, sample_every=100),
        ),
        owner=owner,
        team=team,
    )
    return run_create(
        name=SAMPLE_TRANSFER,
        spec=RunSpec(
            data=DataSpec(path=references.write("dataset", moby.pk)),
            source=SourceSpec(checkpoint=references.write("run", pretraining.pk)),
            tokenizer=TokenizerSpec(kind="source"),
            training=TrainingSpec(steps=200),
            evaluation=EvaluationSpec(every=10, sample_every=50),
        ),
        twin=True,
        owner=owner,
        team=team,
    )


def _sample_version(team: Team, word: str) -> DatasetVersion:
    """The newest version of a sample data set that has not failed."""
    found = (
        DatasetVersion.objects.filter(
            team=team, dataset__is_sample=True, dataset__name__icontains=word
        )
        .exclude(job__state__in=[State.FAILED, State.CANCELLED])
        .select_related("dataset", "job")
        .order_by("-number")
        .first()
    )
    if found is None:
        raise RunRefused(word)
    return found
