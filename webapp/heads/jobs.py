"""What the job of a head means to the portal: its inputs, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp import storage
from webapp.heads import feature_cache
from webapp.heads.models import Head
from webapp.jobs.models import Job
from webapp.jobs.supervisor import work_folder
from webapp.runs.inputs import place_files

#: Where the engine keeps features, below a job's working directory.
CACHE = "cache"


def name(job: Job) -> str:
    return Head.objects.filter(job=job).values_list("name", flat=True).first() or ""


def inputs(job: Job, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put data and checkpoint into the folder, and features from before into the job's cache."""
    spec["data"]["path"] = place_files(spec["data"]["path"], folder / "data")
    spec["source"]["checkpoint"] = place_files(spec["source"]["checkpoint"], folder / "source")
    weights = Head.objects.values_list("checkpoint__weights_sha256", flat=True).get(job=job)
    feature_cache.prune(settings.FEATURE_CACHE_BYTES)
    feature_cache.lend(weights, work_folder(job.pk) / CACHE)
    return spec


#: Those that lists show, and that a row keeps.
SCORES = ("accuracy", "macro_f1", "rmse")


def collect(job: Job, out: Path) -> tuple[storage.Manifest, dict[str, float]]:
    """Put the head's files into the store; their manifest, and the scores that lists show."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    feature_cache.keep(out / CACHE)
    mine = report["scores"]["model"]
    scores = {key: float(mine[key]) for key in SCORES if key in mine}
    manifest = storage.store_folder(out / "head")
    if (out / "map").is_dir():
        manifest |= storage.store_folder(out / "map")
    return manifest, scores


def finish(job: Job, collected: tuple[storage.Manifest, dict[str, float]]) -> None:
    """Fill in the row, in the transaction that marks the job as succeeded."""
    head = Head.objects.get(job=job)
    head.manifest, scores = collected
    for key in SCORES:
        setattr(head, key, scores.get(key))
    head.save(update_fields=["manifest", *SCORES, "updated_at"])
