"""A head's report, shaped for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.heads.forms import HEADS, NORMALISATIONS, POOLINGS
from webapp.heads.models import Head

#: More classes than this make no table of who is taken for whom.
MOST_CONFUSED = 20

SIDES: dict[str, str | Promise] = {
    "model": _("this checkpoint"),
    "random": _("the same network with random weights"),
    "tfidf": _("words alone (TF-IDF)"),
    "pixels": _("raw pixels (logistic regression)"),
    "majority": _("always the commonest class"),
}
PHASES: dict[str, str | Promise] = {
    "loading": _("Loading"),
    "features": _("Computing features"),
    "evaluating": _("Fitting and scoring"),
    "mapping": _("Drawing the map"),
}
FITTED: dict[str, str | Promise] = {
    "model": SIDES["model"],
    "random": SIDES["random"],
    "baselines": _("what it must beat"),
}
SPLITS: dict[str, str | Promise] = {
    "train": _("training split"),
    "validation": _("validation split"),
    "test": _("test split"),
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


def detail(told: str) -> str:
    """What a phase is about: what is fitted, or a split, maybe of the one with random weights."""
    if told in FITTED:
        return str(FITTED[told])
    split, random, _rest = told.partition(", random weights")
    if split not in SPLITS:
        return told
    return f"{SPLITS[split]}, {SIDES['random']}" if random else str(SPLITS[split])


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
    """One sentence: whether the checkpoint's features are worth anything here."""
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
            "These features add nothing here: the head is right in %(accuracy)s%% of the examples, "
            "and another classifier in %(other)s%%: %(side)s."
        )
    elif surely <= others[best]:
        told = gettext(
            "The head is right in %(accuracy)s%% of the examples, the next best in %(other)s%%: "
            "%(side)s. So few examples do not make that difference certain."
        )
    else:
        told = gettext(
            "The head is right in %(accuracy)s%% of the examples, %(gain)s points more than the "
            "next best: %(side)s (%(other)s%%)."
        )
    return told % values


def confusion(report: dict[str, Any]) -> list[tuple[str, list[Cell]]]:
    """For each true class, how often it was taken for each; none where there are many classes."""
    names = report.get("classes") or []
    if not names or len(names) > MOST_CONFUSED:
        return []
    rows = report["scores"]["model"]["confusion"]
    return [
        (
            name,
            [
                Cell(count, round(10 * count / max(1, sum(row))), place == column)
                for column, count in enumerate(row)
            ],
        )
        for place, (name, row) in enumerate(zip(names, rows, strict=True))
    ]


def features(report: dict[str, Any]) -> str:
    """What computing the features cost, or what finding them saved."""
    parts = [report.get("features") or {}, report.get("control") or {}]
    computed = sum(part.get("computed_s", 0) for part in parts)
    saved = sum(part.get("saved_s", 0) for part in parts)
    if computed and saved:
        return gettext("computed in %(computed)s s; the rest was there and saved %(saved)s s") % {
            "computed": f"{computed:.0f}",
            "saved": f"{saved:.0f}",
        }
    if saved:
        return gettext("found from before: %(saved)s s saved") % {"saved": f"{saved:.0f}"}
    return gettext("computed in %(computed)s s") % {"computed": f"{computed:.0f}"}


def settings_used(head: Head) -> list[tuple[Any, Any]]:
    """The settings, as the form calls them."""
    spec = head.job.spec
    if head.dataset_version.kind == "image":
        normalisation = spec.get("normalisation", "auto")
        own = [
            (_("Image size (pixels)"), spec.get("image_px") or _("the network's own, or 224")),
            (_("Normalisation of images"), dict(NORMALISATIONS)[normalisation]),
        ]
    else:
        own = [(_("Longest text (tokens)"), spec["most_tokens"] or _("the model's context"))]
    return [
        (_("Pooling"), dict(POOLINGS).get(spec["pooling"], spec["pooling"])),
        (_("Head"), dict(HEADS).get(spec["head"], spec["head"])),
        (_("Training examples"), spec["examples"] or _("all")),
        *own,
        (_("Seed"), spec["seed"]),
    ]
