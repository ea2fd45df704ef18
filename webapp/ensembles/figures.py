"""An ensemble's report, shaped for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.backbones.registry import BACKBONES
from webapp import classifiers
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.selectors import COMBINATIONS
from webapp.classifiers import Side
from webapp.ensembles.models import Ensemble

Words = str | Promise

PHASES: dict[str, Words] = {
    "loading": _("Loading"),
    "predicting": _("Members predict"),
    "evaluating": _("Combining and scoring"),
    "saving": _("Saving"),
}
SPLITS: dict[str, Words] = {
    "validation": _("validation split"),
    "test": _("test split"),
}
FITTED: dict[str, Words] = {
    "combination": _("combination"),
    "baselines": _("what it must beat"),
}
OURS = _("the ensemble")
#: From this share of the colour scale's tenths on, two members disagree as much as it shows.
MOST_DISAGREEMENT = 0.5


@dataclass(frozen=True)
class Row:
    """A line of the table of members: one of them, their mean, or the ensemble.

    Attributes:
        title: What it is.
        scores: ``accuracy``, ``macro_f1``, ``loss``, ``ece``, and of one classifier ``intervals``.
        checkpoint: The member; None: it is no single one, or it is no longer there.
        about: Its architecture.
        weight: In a weighted mean.
        is_best: Whether it is the best member of this split.
        is_ours: Whether it is the ensemble.
        hits: What of its predictions was there: ``hit``, ``miss`` or ``both``.
        overlap: A sentence, where it learned from examples that are scored, or nobody knows.
        warns: Whether that makes its figures doubtful.
    """

    title: Words
    scores: dict[str, Any]
    checkpoint: Checkpoint | None = None
    about: str = ""
    weight: float | None = None
    is_best: bool = False
    is_ours: bool = False
    hits: str = ""
    overlap: str = ""
    warns: bool = False


@dataclass(frozen=True)
class Gain:
    """By how much the ensemble is better.

    Attributes:
        title: Than what.
        accuracy: In points.
        low: Of its 95 % interval.
        high: Of its 95 % interval.
        loss: How much lower its loss is.
        loss_low: Of its 95 % interval.
        loss_high: Of its 95 % interval.
    """

    title: Words
    accuracy: float
    low: float
    high: float
    loss: float
    loss_low: float
    loss_high: float


@dataclass(frozen=True)
class Pair:
    """How often two members disagree: a share, and how dark it is shown, 0..10."""

    share: float
    tenths: int
    same: bool


def detail(told: str) -> str:
    """What a phase is about: a member and a split, or what is fitted."""
    if told in FITTED:
        return str(FITTED[told])
    number, _comma, split = told.partition(", ")
    return f"{number}, {SPLITS[split]}" if split in SPLITS else told


def of_report(row: Ensemble) -> dict[str, Any]:
    """What the page shows of a finished one."""
    report = row.job.report
    members = {one.weights_sha256: one for one in row.members.all()}
    return {
        "report": report,
        "mine": report["scores"]["model"],
        "verdict": verdict(report, members),
        "beats": beats(report),
        "rows": rows(report, members),
        "gains": gains(report),
        "sides": sides(report),
        "worth": classifiers.verdict(report),
        "confusion": classifiers.confusion(report),
        "pairs": pairs(report, members),
        "disagreement": report["disagreement"],
        "split": SPLITS.get(report["split"], report["split"]),
        "settings_used": settings_used(row),
        "predictions": predictions(report),
        "overlaps": [one for one in rows(report, members) if one.warns],
    }


def beats(report: dict[str, Any]) -> bool:
    """Whether it is more accurate than its best member, or as accurate with a lower loss."""
    gain = report["gains"]["over_best"]
    accuracy, loss = gain["accuracy"]["gain"], gain["loss"]["gain"]
    return bool(accuracy > 0 or (accuracy == 0 and loss > 0))


def verdict(report: dict[str, Any], members: dict[str, Checkpoint]) -> str:
    """Whether the ensemble is worth its members, in plain words."""
    gain, best = report["gains"], report["members"][report["best"]]
    over = gain["over_best"]["accuracy"]
    values = {
        "accuracy": f"{100 * report['scores']['model']['accuracy']:.1f}",
        "best": f"{100 * best['scores']['accuracy']:.1f}",
        "mean": f"{100 * report['mean']['accuracy']:.1f}",
        "gain": f"{100 * abs(over['gain']):.1f}",
        "name": _name(best, members),
    }
    if over["gain"] < 0:
        told = gettext(
            "The ensemble does not beat its best member: it is right in %(accuracy)s%% of the "
            "examples, %(name)s alone in %(best)s%%. The members' mean is %(mean)s%%."
        )
    elif over["gain"] == 0:
        told = gettext(
            "The ensemble is right no more often than its best member: both in %(accuracy)s%% of "
            "the examples. The members' mean is %(mean)s%%."
        )
    elif over["interval"][0] <= 0:
        told = gettext(
            "The ensemble is right in %(accuracy)s%% of the examples, %(gain)s points more than "
            "its best member (%(best)s%%). The members' mean is %(mean)s%%. So few examples do not "
            "make the gain over the best member certain."
        )
    else:
        told = gettext(
            "The ensemble is right in %(accuracy)s%% of the examples, %(gain)s points more than "
            "its best member (%(best)s%%). The members' mean is %(mean)s%%."
        )
    return told % values


def rows(report: dict[str, Any], members: dict[str, Checkpoint]) -> list[Row]:
    """The ensemble, the members' mean, and each member."""
    weights = report["combination"]["weights"]
    fitted = report["combination"]["kind"] == "weights"
    found = [
        Row(OURS, report["scores"]["model"], is_ours=True),
        Row(_("mean of the members"), report["mean"]),
    ]
    for place, one in enumerate(report["members"]):
        checkpoint = members.get(one["weights_sha256"])
        said, warns = _overlap(one["overlap"])
        hits = set(one["cache"].values())
        found.append(
            Row(
                _name(one, members),
                one["scores"],
                checkpoint,
                BACKBONES[one["architecture"]].title,
                weights[place] if fitted and weights else None,
                place == report["best"],
                hits=hits.pop() if len(hits) == 1 else "both",
                overlap=said,
                warns=warns,
            )
        )
    return found


def _name(member: dict[str, Any], members: dict[str, Checkpoint]) -> str:
    """A member's name; of one that is no longer there, the beginning of its weights' hash."""
    checkpoint = members.get(member["weights_sha256"])
    return checkpoint.name if checkpoint else str(member["weights_sha256"])[:12]


def _overlap(told: dict[str, Any]) -> tuple[str, bool]:
    if told["known"] == "same" or told["examples"] == 0:
        return "", False
    if told["examples"] is None:
        return gettext("nobody knows whether it learned from these examples"), True
    return (
        gettext("it learned from %(count)s of the examples that it is judged on")
        % {"count": f"{told['examples']:,}"},
        True,
    )


def gains(report: dict[str, Any]) -> list[Gain]:
    """Over the members' mean and over the best of them."""
    titles: dict[str, Words] = {
        "over_mean": _("the members' mean"),
        "over_best": _("the best member"),
    }
    found = []
    for key, title in titles.items():
        one = report["gains"][key]
        numbers = [
            100 * one["accuracy"]["gain"],
            *(100 * value for value in one["accuracy"]["interval"]),
            one["loss"]["gain"],
            *one["loss"]["interval"],
        ]
        found.append(Gain(title, *numbers))
    return found


def sides(report: dict[str, Any]) -> list[Side]:
    """The ensemble beside what it must beat without any network."""
    return [
        Side(one.key, OURS, one.scores, one.at_least) if one.key == "model" else one
        for one in classifiers.sides(report)
    ]


def pairs(
    report: dict[str, Any], members: dict[str, Checkpoint]
) -> list[tuple[int, Words, list[Pair]]]:
    """For each member, how often it takes an example for another class than each other one."""
    names = [row.title for row in rows(report, members)[2:]]
    found = report["disagreement"]["pairs"]
    return [
        (
            place + 1,
            names[place],
            [
                Pair(share, min(10, round(10 * share / MOST_DISAGREEMENT)), place == other)
                for other, share in enumerate(row)
            ],
        )
        for place, row in enumerate(found)
    ]


def predictions(report: dict[str, Any]) -> str:
    """What the members' predictions cost, or what finding them saved."""
    cost = report["predicting"]
    computed, saved = cost["computed_s"], cost["saved_s"]
    values = {"computed": f"{computed:.1f}", "saved": f"{saved:.1f}"}
    if computed and saved:
        said = gettext("computed in %(computed)s s; the rest was there and saved %(saved)s s")
    elif saved:
        said = gettext("found from before: %(saved)s s saved")
    else:
        said = gettext("computed in %(computed)s s")
    return said % values


def settings_used(row: Ensemble) -> list[tuple[Any, Any]]:
    """The settings, as the form calls them."""
    report = row.job.report
    kind = report["combination"]["kind"]
    found: list[tuple[Any, Any]] = [(_("Combination"), COMBINATIONS.get(kind, kind))]
    if report["fitted_on"]:
        said = gettext("%(count)s examples of the %(split)s") % {
            "count": f"{report['fitted_on']['examples']:,}",
            "split": SPLITS[report["fitted_on"]["split"]],
        }
        found.append((_("Fitted on"), said))
    elif row.judged_id:
        found.append((_("Fitted on"), _("nothing here: the ensemble was there")))
    if report["combination"]["chosen"] is not None:
        found.append((_("Inverse regularisation, chosen"), report["combination"]["chosen"]))
    return [*found, (_("Seed"), row.job.spec["seed"])]
