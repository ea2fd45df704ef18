"""What a run on a table will be like, told from the table's summary before its rows are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet

from training.backbones.contract import BackboneConfig
from training.backbones.multi_task.config import MultiTaskConfig
from training.backbones.table_trunk.config import TableTrunkConfig
from training.backbones.wide_deep.config import WideDeepConfig
from training.data.table_tasks import task_key
from training.data.tables import FIRST
from training.methods.task_related.multi_task_spec import MultiTaskSpec, config_of_tasks
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


def with_targets(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """Tables with a target of any type, checked and ready."""
    found = Q(summary__targets__0__type__in=["category", "number"])
    return rows.filter(found, summary__kind="table").exclude(sha256="")


def chosen(version: DatasetVersion, wanted: Sequence[str], *, only_main: bool = False) -> list[str]:
    """Names of the targets that a run learns, the main one first.

    Args:
        version: A table.
        wanted: Their names; empty: all, in the table's order.
        only_main: Whether the others are left out.
    """
    names = list(wanted) or list(targets(version))
    return names[:1] if only_main else names


def outputs(version: DatasetVersion, name: str) -> int:
    """Of a target's head: the classes among the training rows, 1 for a number; 0: there is none."""
    found = targets(version).get(name)
    if found is None:
        return 0
    return 1 if found["type"] == "number" else len(classes(version, name))


def trunk_sizes(version: DatasetVersion, pieces: int) -> dict[str, list[int]]:
    """Rows of each column that the network over a table has, none too few."""
    columns = inputs(version)
    return {
        "pieces": [
            max(0, min(pieces, int(one["distinct"]) - 1))
            for one in columns
            if one["type"] == "number"
        ],
        "categories": [
            int(one["categories"]) + FIRST for one in columns if one["type"] == "category"
        ],
    }


def planned(version: DatasetVersion, spec: WideDeepSpec) -> WideDeepConfig | None:
    """The model that a run without a source makes of a table, no row of it too few.

    None while that makes no sense: no classes, nothing to look at.
    """
    found, columns = classes(version, spec.target), inputs(version)
    if len(found) < 2 or not columns:
        return None
    trunk = trunk_sizes(version, spec.features.pieces)
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
        trunk["pieces"],
        trunk["categories"],
        planned_rows(spec.features, sizes),
        len(found),
    )


def planned_tasks(
    version: DatasetVersion, spec: MultiTaskSpec, like: BackboneConfig | None
) -> MultiTaskConfig | None:
    """The model of a run on several targets, no row of it too few; None while it makes no sense.

    Args:
        version: The table.
        spec: The run.
        like: The model whose columns and network it has, if that is another's.
    """
    names = chosen(version, spec.targets, only_main=spec.only_main)
    tasks = [(task_key(name), outputs(version, name)) for name in names]
    if not tasks or not all(count for _key, count in tasks):
        return None
    trunk: TableTrunkConfig | dict[str, Any]
    if isinstance(like, TableTrunkConfig):
        trunk = like
    elif inputs(version):
        sizes = trunk_sizes(version, spec.features.pieces)
        embeddings = spec.network.widths(sizes["categories"])
        trunk = sizes | {"embeddings": embeddings, "hidden": spec.network.hidden}
    else:
        return None
    return config_of_tasks(trunk, tasks, learned=spec.training.weighting == "uncertainty")
