"""A report on predicted numbers, shaped for a page."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.classifiers import Side
from webapp.templatetags.graft import amount

#: Side of the chart, and what is left free at its edges, in units of its viewBox.
SIZE, MARGIN = 320, 10
#: Numbers that an axis is marked at, at most.
TICKS = 6

SIDES: dict[str, str | Promise] = {
    "model": _("this checkpoint"),
    "twin": _("the scratch twin"),
    "single": _("the same network on this target alone"),
    "random": _("the same network with random weights"),
    "boosting": _("gradient-boosted trees on the same columns"),
    "linear": _("linear regression on the same columns"),
    "tfidf": _("words alone (TF-IDF, ridge regression)"),
    "pixels": _("raw pixels (ridge regression)"),
    "mean": _("always the training mean"),
    "median": _("always the training median"),
    "here": _("always the mean of these data"),
}


@dataclass(frozen=True)
class Scatter:
    """Predicted against true numbers, drawn; all in units of the viewBox but the ticks' values.

    Attributes:
        points: x, y and what is told of each.
        ticks: (place, value) of a few numbers; the same for both axes.
        size: Side of the square.
    """

    points: list[tuple[float, float, str]]
    ticks: list[tuple[float, float, str]]
    size: int = SIZE


def with_twin(
    report: dict[str, Any], twin: dict[str, Any] | None, key: str = "twin"
) -> dict[str, Any]:
    """A report with the twin's among what stands beside the model; see the classifiers'."""
    if not twin or not twin.get("scores"):
        return report
    scores = report["scores"] | {key: twin["scores"]["model"]}
    beaten_by = list(report["beaten_by"])
    if scores[key]["rmse"] <= scores["model"]["rmse"]:
        beaten_by.append(key)
    return report | {"scores": scores, "beaten_by": beaten_by}


def sides(report: dict[str, Any]) -> list[Side]:
    """The checkpoint and what it must beat, in that order."""
    scores, beaten_by = report["scores"], report["beaten_by"]
    return [
        Side(key, title, scores[key], key in beaten_by)
        for key, title in SIDES.items()
        if key in scores
    ]


def verdict(report: dict[str, Any]) -> str:
    """One sentence: whether the model is worth anything here."""
    scores = report["scores"]
    mine = scores["model"]
    others = {key: one["rmse"] for key, one in scores.items() if key != "model"}
    best = min(others, key=lambda key: others[key])
    values = {
        "rmse": f"{mine['rmse']:.4g}",
        "other": f"{others[best]:.4g}",
        "side": SIDES[best],
    }
    if others[best] <= mine["rmse"]:
        told = gettext(
            "It adds nothing here: it is off by %(rmse)s (root mean square), and another by "
            "%(other)s: %(side)s."
        )
    elif mine["intervals"]["rmse"][1] >= others[best]:
        told = gettext(
            "It is off by %(rmse)s (root mean square), the next best by %(other)s: %(side)s. So "
            "few examples do not make that difference certain."
        )
    else:
        told = gettext(
            "It is off by %(rmse)s (root mean square), less than the next best: %(side)s "
            "(%(other)s)."
        )
    return told % values


def shown(report: dict[str, Any], split: str | Promise) -> dict[str, Any]:
    """What a page shows of a report on a number; see :func:`webapp.classifiers.shown`."""
    return {
        "report": report,
        "mine": report["scores"]["model"],
        "worth": verdict(report),
        "sides": sides(report),
        "scatter": scatter(report),
        "scored_split": split,
    }


def scatter(report: dict[str, Any]) -> Scatter | None:
    """Predicted against true; None in reports that were written before there was one."""
    points = report.get("points")
    if not points:
        return None
    numbers = [value for pair in points for value in pair]
    low, high = min(numbers), max(numbers)
    width = (high - low) or 1.0

    def place(value: float) -> float:
        return round(MARGIN + (value - low) / width * (SIZE - 2 * MARGIN), 1)

    told = gettext("true %(label)s, predicted %(predicted)s")
    return Scatter(
        [
            (
                place(label),
                round(SIZE - place(predicted), 1),
                told % {"label": amount(label), "predicted": amount(predicted)},
            )
            for label, predicted in points
        ],
        [
            (place(value), round(SIZE - place(value), 1), amount(value))
            for value in ticks(low, high)
        ],
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range, steps of 1, 2 or 5 times a power of ten apart."""
    least = (high - low) / TICKS
    if least <= 0:
        return [low]
    power = 10.0 ** floor(log10(least))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= least)
    first = -floor(-low / step)
    return [number * step for number in range(first, floor(high / step) + 1)]
