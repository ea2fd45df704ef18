"""A report on predicted numbers, shaped for a page."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.classifiers import Side

SIDES: dict[str, str | Promise] = {
    "model": _("this checkpoint"),
    "twin": _("the scratch twin"),
    "single": _("the same network on this target alone"),
    "boosting": _("gradient-boosted trees on the same columns"),
    "linear": _("linear regression on the same columns"),
    "mean": _("always the mean of the training rows"),
}


def with_twin(report: dict[str, Any], twin: dict[str, Any] | None, key: str) -> dict[str, Any]:
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
