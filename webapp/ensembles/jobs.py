"""What the job of an ensemble means to the portal: its inputs, and what comes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.checkpoints.folders import StoredFolder, store_checkpoint
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.services import checkpoint_create
from webapp.ensembles.models import Ensemble
from webapp.heads import feature_cache
from webapp.jobs.models import Job
from webapp.jobs.supervisor import work_folder
from webapp.runs import references
from webapp.runs.inputs import place_files
from webapp.runs.models import Run

#: Where the engine keeps predictions, below a job's working directory.
CACHE = "cache"


@dataclass(frozen=True)
class Collected:
    """What a job made.

    Attributes:
        folder: The ensemble's checkpoint; None where one was judged.
        accuracy: Of the ensemble.
        best_accuracy: Of its best member.
    """

    folder: StoredFolder | None
    accuracy: float
    best_accuracy: float


def name(job: Job) -> str:
    return Ensemble.objects.filter(job=job).values_list("name", flat=True).first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put data and members into the folder, and predictions from before into the job's cache."""
    weights = {one.weights_sha256 for one in members(job)}
    spec["data"]["path"] = place_files(spec["data"]["path"], folder / "data")
    if spec["checkpoint"]:
        spec["checkpoint"] = place_files(spec["checkpoint"], folder / "ensemble")
    others: dict[str, str] = {}
    for number, one in enumerate(spec["members"]):
        one["checkpoint"] = place_files(one["checkpoint"], folder / f"member-{number}")
        for reference in one["trained_on"]:
            if reference not in others:
                place = folder / f"learned-{len(others)}"
                others[reference] = place_files(reference, place)
        one["trained_on"] = [others[reference] for reference in one["trained_on"]]
    feature_cache.prune(settings.FEATURE_CACHE_BYTES)
    for sha256 in weights:
        feature_cache.lend(sha256, work_folder(job.pk) / CACHE)
    return spec


def members(job: Job) -> list[Checkpoint]:
    """The members that a job's spec names, in its order; those of runs once they are there."""
    row = Ensemble.objects.select_related("judged").get(job=job)
    if row.judged is not None:
        return list(row.members.all())
    named = [references.read(one["checkpoint"]) for one in job.spec["members"]]
    runs = Run.objects.select_related("checkpoint").in_bulk(
        [pk for kind, pk in named if kind == "run"]
    )
    there = Checkpoint.objects.in_bulk([pk for kind, pk in named if kind == "checkpoint"])
    found = [runs[pk].checkpoint if kind == "run" else there[pk] for kind, pk in named]
    return [one for one in found if one is not None]


def collect(job: Job, out: Path) -> Collected:
    """Put the ensemble's files into the store, and predictions where the next job finds them."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    feature_cache.keep(out / CACHE)
    made = out / "checkpoint"
    best = report["members"][report["best"]]["scores"]["accuracy"]
    return Collected(
        store_checkpoint(made) if made.is_dir() else None,
        float(report["scores"]["model"]["accuracy"]),
        float(best),
    )


def finish(job: Job, collected: Collected) -> None:
    """Make the checkpoint's row, in the transaction that marks the job as succeeded."""
    row = Ensemble.objects.select_related("team", "owner", "dataset_version").get(job=job)
    parents = members(job)
    if collected.folder is not None:
        row.checkpoint = checkpoint_create(
            name=row.name,
            origin=Checkpoint.Origin.ENSEMBLE,
            team=row.team,
            owner=row.owner,
            job=job,
            parents=parents,
            dataset_version=row.dataset_version,
            **collected.folder.fields(),
        )
        row.members.set(parents)
    row.accuracy, row.best_accuracy = collected.accuracy, collected.best_accuracy
    row.save(update_fields=["checkpoint", "accuracy", "best_accuracy", "updated_at"])
