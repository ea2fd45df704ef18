"""What a training job means to the portal: its inputs, its points, its checkpoint, its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext

from training.methods.registry import LOOP_METHODS
from webapp.checkpoints.folders import StoredFolder, store_checkpoint
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.services import checkpoint_create
from webapp.jobs.models import Job
from webapp.runs.dotted import at, put
from webapp.runs.inputs import place_files
from webapp.runs.models import Point, Run
from webapp.runs.services import comparison_update

#: Rows in one INSERT: SQLite takes at most 32,766 values in a statement, a point has five.
BATCH = 2000
MAX_TIER = 9
#: Where the engine keeps what a run was at the ends of its cycles, by number.
SNAPSHOTS = "snapshots"


def name(job: Job) -> str:
    return Run.objects.filter(job=job).values_list("name", flat=True).first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the data and the source into the folder and return the spec with their paths."""
    spec["data"]["path"] = place_files(spec["data"]["path"], folder / "data")
    for path in LOOP_METHODS[spec["method"]].checkpoints:
        if reference := at(spec, path):
            put(spec, path, place_files(reference, folder / path.partition(".")[0]))
    return spec


def tier(step: int) -> int:
    """The largest k, at most 9, with ``step % 4**k == 0``."""
    k = 0
    while k < MAX_TIER and step % 4 ** (k + 1) == 0:
        k += 1
    return k


def ingest(job: Job, events: list[dict[str, Any]]) -> None:
    """Store the points of a batch of events.

    ``resumed`` voids what came after its step, in the batch and in the database; the same batch
    once more changes nothing.
    """
    metrics = [event for event in events if event["kind"] in {"metric", "resumed"}]
    if not metrics:
        return
    run = Run.objects.select_for_update().get(job=job)
    fresh: dict[tuple[str, int], float | None] = {}
    cut: int | None = None
    for event in metrics:
        if event["kind"] == "metric":
            step = int(event["step"])
            fresh |= {(name, step): value for name, value in event["values"].items()}
            continue
        limit = int(event["step"])
        cut = limit if cut is None else min(cut, limit)
        fresh = {key: value for key, value in fresh.items() if key[1] <= limit}
    if cut is not None:
        run.points.filter(step__gt=cut).delete()
    _write(run, fresh)
    _last_values(run, fresh, recount=cut is not None)


def _write(run: Run, fresh: Mapping[tuple[str, int], float | None]) -> None:
    # In the index's order, so that its pages are written once each.
    Point.objects.bulk_create(
        (
            Point(run=run, name=name, step=step, tier=tier(step), value=value)
            for (name, step), value in sorted(fresh.items(), key=lambda item: item[0])
        ),
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["run", "name", "step"],
        update_fields=["tier", "value"],
    )


def _last_values(run: Run, fresh: Mapping[tuple[str, int], float | None], *, recount: bool) -> None:
    """Bring the run's own columns up to date; after a cut they are read again from the points."""
    if recount:
        last = run.points.filter(name="loss").order_by("-step")[:1]
        run.loss = _last(last.values_list("step", "value"))
        looks = list(
            run.points.filter(name="validation_loss").order_by("step").values_list("step", "value")
        )
        run.best_step = run.best_validation_loss = None
    else:
        losses = [(step, value) for (name, step), value in fresh.items() if name == "loss"]
        run.loss = _last(sorted(losses), run.loss)
        looks = sorted(
            (step, value) for (name, step), value in fresh.items() if name == "validation_loss"
        )
    run.validation_loss = _last(looks, None if recount else run.validation_loss)
    for step, value in looks:
        if value is not None and (
            run.best_validation_loss is None or value < run.best_validation_loss
        ):
            run.best_validation_loss, run.best_step = value, step
    run.save(
        update_fields=[
            "loss",
            "validation_loss",
            "best_validation_loss",
            "best_step",
            "updated_at",
        ]
    )


def _last(found: Iterable[tuple[int, float | None]], default: float | None = None) -> float | None:
    pairs = list(found)
    return pairs[-1][1] if pairs else default


@dataclass(frozen=True)
class Collected:
    """What a run made, its files in the store.

    Attributes:
        checkpoint: Its result.
        snapshots: What it was at the end of each cycle of the learning rate.
    """

    checkpoint: StoredFolder
    snapshots: list[StoredFolder]


def collect(job: Job, out: Path) -> Collected:
    """Put the checkpoint's files into the store and read what its row needs; snapshots as well."""
    cycles = [one for one in (out / SNAPSHOTS).glob("*") if one.name.isdecimal()]
    cycles.sort(key=lambda one: int(one.name))
    return Collected(
        store_checkpoint(out / "checkpoint"), [store_checkpoint(one) for one in cycles]
    )


def finish(job: Job, collected: Collected) -> None:
    """Make the rows of the checkpoint and its snapshots; compare with the twin when both are
    done."""
    run = Run.objects.select_related("team", "owner", "source_run", "twin_of").get(job=job)
    best = {"validation_loss": run.best_validation_loss, "best_step": run.best_step}
    scores = {name: value for name, value in best.items() if value is not None}
    fields = collected.checkpoint.fields()
    scores |= fields.pop("scores")
    checkpoint = checkpoint_create(
        name=run.name,
        origin=Checkpoint.Origin.TRAINED,
        team=run.team,
        owner=run.owner,
        job=job,
        scores=scores,
        **fields,
        parents=_parents(run),
        dataset_version=run.dataset_version,
    )
    run.checkpoint = checkpoint
    run.save(update_fields=["checkpoint", "updated_at"])
    for one in collected.snapshots:
        place = one.card["snapshot"]
        # Where the best weights were those of a cycle's end, this gives the row above.
        checkpoint_create(
            name=gettext("%(run)s · cycle %(number)s of %(of)s")
            % {"run": run.name[:130], "number": place["number"], "of": place["of"]},
            origin=Checkpoint.Origin.TRAINED,
            team=run.team,
            owner=run.owner,
            job=job,
            **one.fields(),
            parents=_parents(run),
            dataset_version=run.dataset_version,
        )
    comparison_update(run)


def _parents(run: Run) -> list[Checkpoint]:
    if run.source_checkpoint is not None:
        return [run.source_checkpoint]
    made = run.source_run.checkpoint if run.source_run else None
    return [made] if made else []


def ended(job: Job) -> None:
    """Failed or cancelled: what was measured so far is still compared with the twin."""
    run = Run.objects.filter(job=job).first()
    if run is not None:
        comparison_update(run)
