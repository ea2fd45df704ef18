"""What people do with ensembles: make one, have its members trained first, judge it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from training.ensembles.spec import EnsembleSpec
from webapp.accounts import audit
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import DatasetVersion
from webapp.ensembles import selectors
from webapp.ensembles.models import Ensemble
from webapp.jobs.models import Job
from webapp.jobs.services import job_create
from webapp.runs import references
from webapp.runs.models import Run
from webapp.runs.services import run_create

#: Seeds are below this.
SEEDS = 2**31


@transaction.atomic
def ensemble_create(
    *,
    name: str,
    members: Sequence[Checkpoint],
    version: DatasetVersion,
    settings: dict[str, Any],
    owner: User,
    team: Team,
) -> Ensemble:
    """Queue an ensemble of checkpoints that are there.

    Args:
        name: For people; empty: made from the data's.
        members: Two or more, which tell the data's classes apart; of the team.
        version: What it is fitted and judged on.
        settings: The spec's other fields.
        owner: Who asked.
        team: Whose it is.
    """
    named = [
        _member(
            references.write("checkpoint", one.pk),
            selectors.learned_from([one]),
            version,
            on_the_same=one.dataset_version_id == version.pk,
        )
        for one in members
    ]
    spec = _spec(version, settings | {"members": named})
    row = _make(name or default_name(version), version, spec, [], owner, team)
    row.members.set(members)
    return _told(row)


@transaction.atomic
def ensemble_of_runs(
    *,
    name: str,
    runs: Sequence[Run],
    settings: dict[str, Any],
    owner: User,
    team: Team,
) -> Ensemble:
    """Queue the ensemble of what runs on one data set will make; it waits for all of them."""
    version = runs[0].dataset_version
    named = []
    for run in runs:
        reference = references.write("run", run.pk)
        named.append(_member(reference, selectors.learned_before(run), version, on_the_same=True))
    spec = _spec(version, settings | {"members": named})
    after = [run.job for run in runs]
    row = _make(name or default_name(version), version, spec, after, owner, team)
    row.runs.set(runs)
    return _told(row)


@transaction.atomic
def trained_together(
    *,
    name: str,
    spec: Any,
    count: int,
    combination: str,
    owner: User,
    team: Team,
    twin: bool = False,
) -> Ensemble:
    """Make so many runs that differ in their seed alone, and the ensemble that waits for them.

    Args:
        name: For people; empty: made from data and source.
        spec: Of the first run, complete; the others' seeds follow its own.
        count: Members, two or more.
        combination: See :class:`training.ensembles.spec.EnsembleSpec`.
        owner: Who asked.
        team: Whose it is.
        twin: Also train a scratch twin, of the first.

    Raises:
        webapp.runs.services.RunRefused: A reference names nothing that this team has.
    """
    runs: list[Run] = []
    for number in range(count):
        one = spec.model_copy(update={"seed": (spec.seed + number) % SEEDS})
        run = run_create(name=name, spec=one, owner=owner, team=team, twin=twin and not number)
        run.name = gettext("%(name)s · seed %(seed)s") % {"name": run.name[:130], "seed": one.seed}
        run.save(update_fields=["name"])
        runs.append(run)
    return ensemble_of_runs(
        name=gettext("%(name)s, ensemble") % {"name": name[:140]} if name else "",
        runs=runs,
        settings={"combination": combination, "seed": spec.seed},
        owner=owner,
        team=team,
    )


@transaction.atomic
def ensemble_judge(
    *, checkpoint: Checkpoint, version: DatasetVersion, seed: int, owner: User
) -> Ensemble:
    """Queue the judging of an ensemble that is there, on other data; nothing of it changes.

    Args:
        checkpoint: The ensemble.
        version: Data with the same classes, of its team.
        seed: Of the resampling.
        owner: Who asked.
    """
    spec = _spec(
        version, {"checkpoint": references.write("checkpoint", checkpoint.pk), "seed": seed}
    )
    name = f"{checkpoint.name[:80]} → {version.dataset.name[:70]}"
    row = _make(name, version, spec, [], owner, checkpoint.team, judged=checkpoint)
    row.members.set(selectors.members_of(checkpoint))
    return _told(row)


def default_name(version: DatasetVersion) -> str:
    """``Films, ensemble``."""
    return gettext("%(data)s, ensemble") % {"data": version.dataset.name[:140]}


def snapshots_name(run: Run) -> str:
    """``Films, from scratch · snapshots``."""
    return gettext("%(run)s · snapshots") % {"run": run.name[:140]}


def _member(
    reference: str,
    keys: set[Any],
    version: DatasetVersion,
    *,
    on_the_same: bool,
) -> Any:
    """A member of the spec, with the data that it or its ancestors learned from.

    Args:
        reference: As in the spec.
        keys: Of all data that it and its ancestors learned from.
        version: What it is judged on.
        on_the_same: Whether it learned from that very version itself.
    """
    if on_the_same:
        # Its training split has no example of the others; the engine sees that it is the same.
        keys = keys - {version.pk}
    return {
        "checkpoint": reference,
        "trained_on": selectors.references_to(keys, version),
    }


def _spec(version: DatasetVersion, fields: dict[str, Any]) -> EnsembleSpec:
    data = {"path": references.write("dataset", version.pk)}
    return EnsembleSpec.model_validate({"data": data, **fields})


def _make(
    name: str,
    version: DatasetVersion,
    spec: EnsembleSpec,
    after: list[Job],
    owner: User,
    team: Team,
    judged: Checkpoint | None = None,
) -> Ensemble:
    job = job_create(
        kind="ensemble", spec=spec.model_dump(mode="json"), team=team, owner=owner, after=after
    )
    return Ensemble.objects.create(
        name=name[:160],
        dataset_version=version,
        job=job,
        judged=judged,
        team=team,
        owner=owner,
    )


def _told(row: Ensemble) -> Ensemble:
    audit.record(
        "ensemble.judge" if row.judged_id else "ensemble.create",
        actor=row.owner,
        instance=row,
        members=[str(one.pk) for one in (*row.members.all(), *row.runs.all())],
    )
    return row
