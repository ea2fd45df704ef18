"""``report.json``: what every job that works on models leaves beside its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.durable import write_json
from training.settings import Settings, spec_sha256
from training.version import code_version

REPORT_FILE, REPORT_VERSION = "report.json", 1


def write_report(
    out: Path, method: str, spec: Settings, duration_s: float, fields: Mapping[str, Any]
) -> None:
    """Write a job's ``report.json``, durably.

    Args:
        out: The working directory.
        method: What was done.
        spec: What was asked for; its hash is told.
        duration_s: How long it took.
        fields: What this job has to say; ``docs/formats.md`` lists them.

    Raises:
        TrainingError: ``disk_full_writing``.
    """
    write_json(
        out / REPORT_FILE,
        {
            "version": REPORT_VERSION,
            "method": method,
            "spec_sha256": spec_sha256(spec),
            "code_version": code_version(),
            "duration_s": round(duration_s, 3),
            **fields,
        },
        point="report",
    )


def describe_dataset(folder: Path) -> dict[str, Any]:
    """``{name, sha256}`` of a prepared data set; without its description, only its name."""
    try:
        about = json.loads((folder / "dataset.json").read_bytes())
    except FileNotFoundError:
        about = {}
    return {"name": folder.name, "sha256": about.get("sha256")}
