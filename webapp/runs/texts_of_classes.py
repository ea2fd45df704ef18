"""What labels gave a language model, shaped for the page of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: How a text is read → what it is called.
READINGS: dict[str, str | Promise] = {
    "true": gettext_lazy("with its label"),
    "wrong": gettext_lazy("with a wrong label (mean of all others)"),
    "unlabelled": gettext_lazy("without a label"),
    "twin": gettext_lazy("by the twin without labels"),
}
#: Whose texts → what they are called.
SIDES: dict[str, str | Promise] = {
    "labelled": gettext_lazy("written with a label"),
    "unlabelled": gettext_lazy("written without a label"),
    "real": gettext_lazy("real ones, cut as long"),
}
#: A judge below this says little.
SURE = 0.7
#: Copied n-grams this much above those of real texts are worth a word.
COPIED = 0.05


@dataclass(frozen=True)
class Reading:
    """Perplexity of held-out texts, read in one way."""

    key: str
    title: str | Promise
    value: float
    interval: list[float]


@dataclass(frozen=True)
class Side:
    """Written or real texts, measured alike."""

    key: str
    title: str | Promise
    measures: Mapping[str, Any]


def readings(written: Mapping[str, Any], twin: Mapping[str, Any]) -> list[Reading]:
    """The same texts with the true label, a wrong one and none, and by the twin.

    Args:
        written: The run's.
        twin: Its twin's; empty: there is none, it is another kind of twin, or has not ended.
    """
    found = dict(written["perplexity"])
    if twin and not twin["given"]:
        found["twin"] = twin["perplexity"]["unlabelled"]
    return [
        Reading(key, title, found[key]["value"], found[key]["interval"])
        for key, title in READINGS.items()
        if key in found
    ]


def sides(written: Mapping[str, Any]) -> list[Side]:
    """What was written, with a label and without, and real texts."""
    return [
        Side(key, title, written["sides"][key])
        for key, title in SIDES.items()
        if key in written["sides"]
    ]


def verdict(written: Mapping[str, Any]) -> str:
    """In plain words: did the labels change anything?"""
    told = written["perplexity"]
    values = {
        "true": f"{told['true']['value']:.1f}",
        "wrong": f"{told['wrong']['value']:.1f}",
        "right": f"{100 * written['sides']['labelled']['class_accuracy']:.0f}",
        "chance": f"{100 / len(written['classes']):.0f}",
    }
    changed = written["changed"]
    if changed["likelihood"] and changed["samples"]:
        sentence = _(
            "The labels work: held-out texts have a perplexity of %(true)s with their label and "
            "%(wrong)s with a wrong one, and of what it writes %(right)s%% is taken for the class "
            "that was meant, where chance would be %(chance)s%%."
        )
    elif changed["likelihood"]:
        sentence = _(
            "The labels tell it something of texts that are there (perplexity %(true)s with their "
            "label, %(wrong)s with a wrong one), but not enough to write by: %(right)s%% of what "
            "it writes is taken for the class that was meant, where chance would be %(chance)s%%. "
            "Train it longer, or on more texts."
        )
    elif changed["samples"]:
        sentence = _(
            "What it writes is taken for the class that was meant in %(right)s%% of cases, where "
            "chance would be %(chance)s%%, but held-out texts are no likelier with their label "
            "(perplexity %(true)s) than with a wrong one (%(wrong)s): it may have learned some "
            "training texts by heart."
        )
    else:
        sentence = _(
            "The labels changed nothing: held-out texts are no likelier with their label "
            "(perplexity %(true)s) than with a wrong one (%(wrong)s), and %(right)s%% of what it "
            "writes is taken for the class that was meant, where chance would be %(chance)s%%. "
            "Perhaps the classes do not differ in their words, or it has trained too little."
        )
    return sentence % values


def warnings(written: Mapping[str, Any]) -> list[str]:
    """What makes the numbers doubtful."""
    found, told = [], written["sides"]
    if written["judge"]["accuracy"] < SURE:
        found.append(
            _(
                "The judge tells only %(percent)s%% of real texts right, so what it says of "
                "written ones means little."
            )
            % {"percent": f"{100 * written['judge']['accuracy']:.0f}"}
        )
    mine, real = told["labelled"]["copied"], told["real"]["copied"]
    if mine is not None and mine > (real or 0) + COPIED:
        found.append(
            _(
                "What it writes shares more long passages with the training texts than real, "
                "unseen texts do: it has learned some of them by heart."
            )
        )
    return found
