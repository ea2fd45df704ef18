"""Small prepared tables, and runs on them."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

from training.data.prepare import run as prepare
from training.data.prepare_spec import PrepareSpec
from training.events import EventLog
from training.methods.task_related.wide_deep_spec import WideDeepSpec

Row = dict[str, Any]


def people(count: int = 240, seed: int = 0, jobs: tuple[str, ...] = ("cook", "clerk")) -> list[Row]:
    """Rows whose class is known where a job and a town meet, and a little from their age."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        job, town = draw.choice(jobs), draw.choice(["Ulm", "Bonn", "Kiel"])
        age = round(draw.uniform(18, 80), 1)
        rich = ((job == jobs[0]) == (town == "Ulm")) if draw.random() < 0.95 else age > 50
        found.append(
            {
                "age": "" if draw.random() < 0.05 else age,
                "job": "" if draw.random() < 0.05 else job,
                "town": town,
                "rich": "yes" if rich else "no",
            }
        )
    return found


def table_dataset(folder: Path, rows: list[Row], **settings: Any) -> Path:
    """A prepared table with a target, ``rich`` unless something else is said."""
    folder.mkdir(parents=True, exist_ok=True)
    upload = folder / "people.csv"
    with upload.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    values = {"format": "table", "targets": ["rich"], "validation_percent": 20, "test_percent": 20}
    spec = PrepareSpec.model_validate({"path": str(upload)} | values | settings)
    events = EventLog(folder / "events.jsonl")
    prepare(spec, folder, events)
    events.close()
    return folder / "dataset"


def table_spec(dataset: Path, **values: Any) -> WideDeepSpec:
    """A short run; parts given are laid over its own."""
    spec: dict[str, Any] = {
        "data": {"path": str(dataset)},
        "features": {"crosses": [["job", "town"]], "buckets": 5, "pieces": 4},
        "network": {"hidden": [8, 4]},
        "training": {"steps": 12, "batch_size": 32, "warmup_steps": 2},
        "evaluation": {"every": 4, "checkpoint_every": 4},
    }
    for name, value in values.items():
        part = spec.get(name)
        spec[name] = part | value if isinstance(part, dict) and isinstance(value, dict) else value
    if values.get("source"):
        # Features and network are the source's.
        for name in ("features", "network"):
            if name not in values:
                del spec[name]
    return WideDeepSpec.model_validate(spec)
