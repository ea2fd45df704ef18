"""A classifier's report, shaped for a page: a head's, and that of a run that trained one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

#: More classes than this make no table of who is taken for whom.
MOST_CONFUSED = 20

SIDES: dict[str, str | Promise] = {
    "model": _("this checkpoint"),
    "twin": _("the scratch twin"),
    "single": _("the same network on this target alone"),
    "source": _("the source that it began from"),
    "random": _("the same network with random weights"),
    "boosting": _("gradient-boosted trees on the same columns"),
    "logistic": _("logistic regression on the same columns"),
    "tfidf": _("words alone (TF-IDF)"),
    "pixels": _("raw pixels (logistic regression)"),
    "majority": _("always the commonest class"),
    "here": _("always the commonest class of these data"),
}


@dataclass(frozen=True)
class Side:
    """One row of the comparison."""

    key: str
    title: str | Promise
    scores: dict[str, Any]
    at_least: bool

    @property
    def interval(self) -> list[float]:
        return list(self.scores["intervals"]["accuracy"])


@dataclass(frozen=True)
class Cell:
    """How often a class is taken for another: a count, and its share of the true class, 0..10."""

    count: int
    tenths: int
    right: bool


def with_twin(
    report: dict[str, Any], twin: dict[str, Any] | None, key: str = "twin"
) -> dict[str, Any]:
    """A run's report with its twin among what stands beside the model.

    Args:
        report: The run's.
        twin: Its twin's; None: there is none, or none yet.
        key: Which twin it is, as in :data:`SIDES`.
    """
    if not report.get("scores") or not twin or not twin.get("scores"):
        return report
    scores = report["scores"] | {key: twin["scores"]["model"]}
    beaten_by = list(report["beaten_by"])
    if scores[key]["accuracy"] >= scores["model"]["accuracy"]:
        beaten_by.append(key)
    return report | {"scores": scores, "beaten_by": beaten_by}


def sides(report: dict[str, Any]) -> list[Side]:
    """The checkpoint and what it must beat, in that order."""
    beaten_by = report.get("beaten_by") or []
    scores = report.get("scores") or {}
    return [
        Side(key, title, scores[key], key in beaten_by)
        for key, title in SIDES.items()
        if key in scores
    ]


def verdict(report: dict[str, Any]) -> str:
    """One sentence: whether the classifier is worth anything here."""
    scores = report.get("scores") or {}
    if not scores:
        return ""
    mine = scores["model"]
    others = {key: one["accuracy"] for key, one in scores.items() if key != "model"}
    best = max(others, key=lambda key: others[key])
    values = {
        "accuracy": f"{100 * mine['accuracy']:.1f}",
        "other": f"{100 * others[best]:.1f}",
        "gain": f"{100 * abs(mine['accuracy'] - others[best]):.1f}",
        "side": SIDES[best],
    }
    surely = mine["intervals"]["accuracy"][0]
    if others[best] >= mine["accuracy"]:
        told = gettext(
            "It adds nothing here: it is right in %(accuracy)s%% of the examples, and another "
            "classifier in %(other)s%%: %(side)s."
        )
    elif surely <= others[best]:
        told = gettext(
            "It is right in %(accuracy)s%% of the examples, the next best in %(other)s%%: "
            "%(side)s. So few examples do not make that difference certain."
        )
    else:
        told = gettext(
            "It is right in %(accuracy)s%% of the examples, %(gain)s points more than the "
            "next best: %(side)s (%(other)s%%)."
        )
    return told % values


def shown(report: dict[str, Any], split: str | Promise) -> dict[str, Any]:
    """What a page shows of a report on classes.

    Args:
        report: With its twin, if it has one.
        split: Title of the split that is scored.
    """
    return {
        "report": report,
        "mine": report["scores"]["model"],
        "worth": verdict(report),
        "sides": sides(report),
        "confusion": confusion(report),
        "scored_split": split,
    }


def confusion(report: dict[str, Any]) -> list[tuple[str, list[Cell]]]:
    """For each true class, how often it was taken for each; none where there are many classes."""
    names = report.get("classes") or []
    if not names or len(names) > MOST_CONFUSED:
        return []
    rows = report["scores"]["model"]["confusion"]
    return [
        (name, cells(row, place, sum(row)))
        for place, (name, row) in enumerate(zip(names, rows, strict=True))
    ]


def cells(row: list[int], place: int, total: int) -> list[Cell]:
    """A row of a table of confusion: what one class was taken for.

    Args:
        row: How often it was taken for each.
        place: Its own.
        total: Of all that are of the class.
    """
    return [
        Cell(count, round(10 * count / max(1, total)), place == column)
        for column, count in enumerate(row)
    ]
