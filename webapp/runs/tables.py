"""What a run on a table will be like, told from the table's summary before its rows are read."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from training.backbones.wide_deep.config import WideDeepConfig
from training.data.tables import FIRST
from training.methods.task_related.wide_deep_spec import (
    WideDeepSpec,
    config_of_sizes,
    planned_rows,
)
from webapp.datasets.models import DatasetVersion

#: The first targets of a table, which are looked at for one with classes.
FIRST_TARGETS = 10


def with_classes(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """Tables with a target whose classes can be told apart, checked and ready."""
    # By place: SQLite has no `contains` for JSON lists.
    found = Q()
    for place in range(FIRST_TARGETS):
        found |= Q(**{f"summary__targets__{place}__type": "category"})
    return rows.filter(found, summary__kind="table").exclude(sha256="")


def inputs(version: DatasetVersion) -> list[dict[str, Any]]:
    """The columns that a model is shown, numbers first."""
    columns = [
        one
        for one in version.summary.get("columns") or []
        if one["type"] != "ignored" and not one["target"]
    ]
    return sorted(columns, key=lambda one: one["type"] != "number")


def targets(version: DatasetVersion) -> dict[str, dict[str, Any]]:
    """Targets by name."""
    return {str(one["name"]): one for one in version.summary.get("targets") or []}


def classes(version: DatasetVersion, wanted: str) -> list[str]:
    """The classes of a target among the training rows; none where it has no classes.

    Args:
        version: A table.
        wanted: The target's name; empty: the first with classes.
    """
    known = targets(version)
    chosen = [known[wanted]] if wanted in known else [] if wanted else list(known.values())
    for one in chosen:
        if one["type"] == "category":
            return [str(each["name"]) for each in one["classes"] if each["train"]]
    return []


def planned(version: DatasetVersion, spec: WideDeepSpec) -> WideDeepConfig | None:
    """The model that a run without a source makes of a table, no row of it too few.

    None while that makes no sense: no classes, nothing to look at.
    """
    found, columns = classes(version, spec.target), inputs(version)
    if len(found) < 2 or not columns:
        return None
    numbers = [one for one in columns if one["type"] == "number"]
    categories = [one for one in columns if one["type"] == "category"]
    sizes = {
        str(one["name"]): min(spec.features.buckets, max(1, int(one["distinct"]))) + 1
        for one in numbers
    }
    sizes |= {str(one["name"]): int(one["categories"]) + FIRST for one in categories}
    return config_of_sizes(
        spec.network,
        [sizes[str(one["name"])] for one in numbers],
        [max(0, min(spec.features.pieces, int(one["distinct"]) - 1)) for one in numbers],
        [sizes[str(one["name"])] for one in categories],
        planned_rows(spec.features, sizes),
        len(found),
    )
