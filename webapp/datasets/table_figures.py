"""A table's columns, shaped for its page: what each holds, drawn small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from webapp.datasets.models import DatasetVersion
from webapp.templatetags.graft import amount, percent

#: Of a column's drawing, in the units of its viewBox.
WIDTH, HEIGHT = 160, 36
#: Categories that a column's note names.
MOST_NAMED = 3

TYPES: dict[str, Any] = {
    "number": _("number"),
    "category": _("category"),
    "ignored": _("left out"),
}

#: Why a column was left out; the keys are those of :mod:`training.data.column_types`.
REASONS: dict[str, Any] = {
    "empty": _("no values"),
    "constant": _("the same value everywhere"),
    "running": _("a row’s number"),
    "different": _("no two values are the same"),
    "text": _("free text"),
    "dates": _("dates"),
    "many": _("too many different values"),
    "nested": _("lists or objects"),
}


@dataclass(frozen=True)
class Bar:
    """One range of numbers or one category; x, y, width, height in units of the viewBox."""

    title: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        type: ``number``, ``category`` or ``ignored``.
        label: The type in the reader's language.
        found: What it was found to be, with the reason where it is left out.
        corrected: Whether a person chose another type than the one found.
        is_target: Whether it is to be predicted.
        missing: Values that are missing, those among numbers that are none included.
        share: Their share of the rows, 0..1.
        note: What it holds, in a line.
        bars: Its drawing.
    """

    name: str
    type: str
    label: Any
    found: str
    corrected: bool
    is_target: bool
    missing: int
    share: float
    note: str
    bars: list[Bar]


@dataclass(frozen=True)
class TargetFigures:
    """A target.

    Attributes:
        column: What it holds.
        classes: Their balance; empty where it is a number.
        missing: Rows without it.
        decides: Whether the splits were made by it.
    """

    column: Column
    classes: list[dict[str, Any]]
    missing: int
    decides: bool


def columns(version: DatasetVersion) -> list[Column]:
    """The columns of a table, in its order."""
    rows = version.summary.get("counts", {}).get("rows", 0)
    return [column_of(column, rows) for column in version.summary["columns"]]


def targets(version: DatasetVersion, shown: Sequence[Column]) -> list[TargetFigures]:
    """The targets of a table, with the balance of their classes.

    Args:
        version: The table.
        shown: Its columns, from :func:`columns`.
    """
    by_name = {column.name: column for column in shown}
    splits = list(version.summary.get("splits") or {})
    found: list[TargetFigures] = []
    for target in version.summary["targets"]:
        classes = target.get("classes") or []
        total = sum(one[split] for one in classes for split in splits) or 1
        balance = [
            {
                "name": one["name"],
                "examples": [one[split] for split in splits],
                "share": sum(one[split] for split in splits) / total,
            }
            for one in classes
        ]
        decides = bool(classes) and not any(one.decides for one in found)
        column = by_name[target["name"]]
        found.append(TargetFigures(column, balance, target["missing"], decides))
    return found


def column_of(about: Mapping[str, Any], rows: int) -> Column:
    """One entry of ``columns`` of ``dataset.json``.

    Args:
        about: The entry.
        rows: Of the upload; 0 where shares are not asked for.
    """
    missing = about["missing"] + about["slips"]
    found = str(TYPES[about["found"]])
    if about["reason"]:
        found = f"{found}: {REASONS[about['reason']]}"
    return Column(
        name=about["name"],
        type=about["type"],
        label=TYPES[about["type"]],
        found=found,
        corrected=about["type"] != about["found"],
        is_target=about["target"],
        missing=missing,
        share=missing / rows if rows else 0.0,
        note=note_of(about),
        bars=bars_of(about),
    )


def note_of(about: Mapping[str, Any]) -> str:
    """What a column holds; that of ``labels`` which are numbers too."""
    if about["type"] == "ignored":
        return str(REASONS.get(about["reason"], ""))
    if about["type"] == "number":
        statistics = about.get("statistics")
        if statistics is None:
            return gettext("no values in training")
        return gettext("%(low)s to %(high)s, mean %(mean)s ± %(std)s") % {
            "low": amount(statistics["minimum"]),
            "high": amount(statistics["maximum"]),
            "mean": amount(statistics["mean"]),
            "std": amount(statistics["std"]),
        }
    largest = [one for one in about["largest"] if one["train"]]
    if not largest:
        return gettext("no values in training")
    named = ", ".join(
        f"{one['name'][:40]} {percent(one['train'] / about['known'])}"
        for one in largest[:MOST_NAMED]
    )
    count = about["categories"]
    counted = ngettext("%(n)s category", "%(n)s categories", count) % {"n": count}
    return f"{counted}: {named}" + (" …" if count > MOST_NAMED else "")


def bars_of(about: Mapping[str, Any]) -> list[Bar]:
    """Its drawing."""
    if about["type"] == "number" and about.get("histogram"):
        histogram = about["histogram"]
        counts, low = histogram["counts"], histogram["from"]
        width = (histogram["to"] / len(counts)) - (low / len(counts))
        titles = [
            f"{amount(low + width * place)} – {amount(low + width * (place + 1))}: {count:,}"
            for place, count in enumerate(counts)
        ]
    elif about["type"] == "category":
        counts = [one["train"] for one in about["largest"]]
        titles = [f"{one['name']}: {one['train']:,}" for one in about["largest"]]
    else:
        return []
    most = max(counts, default=0)
    if not most:
        return []
    step = WIDTH / len(counts)
    # Few categories have narrow bars at the left, so that a column of two is no two walls.
    step = min(step, 24.0) if about["type"] == "category" else step
    found = []
    for place, (count, title) in enumerate(zip(counts, titles, strict=True)):
        height = max(count / most * HEIGHT, 1.5 if count else 0)
        found.append(
            Bar(
                title,
                round(place * step, 2),
                round(HEIGHT - height, 2),
                round(step - min(2, step / 4), 2),
                round(height, 2),
            )
        )
    return found
