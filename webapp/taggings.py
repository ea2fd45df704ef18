"""A report on the tags of words, shaped for a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.data.entities import OUTSIDE, parts_of
from webapp.classifiers import Cell, Side, cells

#: Colours that tags are told apart by.
COLOURS = 10

SIDES: dict[str, str | Promise] = {
    "model": _("this checkpoint"),
    "twin": _("the scratch twin"),
    "forms": _("logistic regression on the forms of words"),
    "lexicon": _("the commonest tag of each word"),
    "majority": _("always the commonest tag"),
}


@dataclass(frozen=True)
class Word:
    """A word of a sentence.

    Attributes:
        word: As it is written.
        tag: The true one.
        predicted: What it was taken for; empty where nothing was predicted.
        colour: Number of the tag's colour, from 1; 0: it is outside of all entities.
    """

    word: str
    tag: str
    predicted: str = ""
    colour: int = 0

    @property
    def right(self) -> bool:
        return self.tag == self.predicted


@dataclass(frozen=True)
class Sentence:
    """A sentence that a report shows."""

    id: int
    wrong: int
    words: list[Word]


def colours(tags: list[str], scheme: str | None) -> dict[str, int]:
    """The number of each tag's colour, from 1; 0 of a word outside of entities.

    Args:
        tags: The commonest first; rare ones share colours with others.
        scheme: Of entities, whose tags have the colour of their type; None: each has its own.
    """
    found, types = {}, dict[str, int]()
    for tag in tags:
        parts = parts_of(tag) if scheme else None
        if parts is not None and parts[0] == OUTSIDE:
            found[tag] = 0
            continue
        name = parts[1] if parts is not None else tag
        found[tag] = 1 + types.setdefault(name, len(types)) % COLOURS
    return found


def coloured(words: list[str], tags: list[str], of: dict[str, int]) -> list[Word]:
    """A sentence's words with their tags' colours."""
    return [Word(word, tag, colour=of.get(tag, 0)) for word, tag in zip(words, tags, strict=True)]


def measured(scores: dict[str, Any], measure: str) -> float:
    """What one side is judged by, 0..1."""
    return float(scores["accuracy"] if measure == "accuracy" else scores["entities"]["f1"])


def with_twin(report: dict[str, Any], twin: dict[str, Any] | None) -> dict[str, Any]:
    """A report with the twin's among what stands beside the model; see the classifiers'."""
    if not twin or not twin.get("scores"):
        return report
    scores = report["scores"] | {"twin": twin["scores"]["model"]}
    beaten_by, measure = list(report["beaten_by"]), report["measure"]
    if measured(scores["twin"], measure) >= measured(scores["model"], measure):
        beaten_by.append("twin")
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
    scores, measure = report["scores"], report["measure"]
    found = {key: measured(one, measure) for key, one in scores.items()}
    mine = found.pop("model")
    best = max(found, key=lambda key: found[key])
    values = {
        "mine": f"{100 * mine:.1f}",
        "other": f"{100 * found[best]:.1f}",
        "gain": f"{100 * (mine - found[best]):.1f}",
        "side": SIDES[best],
    }
    surely = scores["model"]["intervals"][measure][0]
    by_word = measure == "accuracy"
    if found[best] >= mine:
        told = (
            gettext(
                "It adds nothing here: it tags %(mine)s%% of the words right, and another does "
                "%(other)s%%: %(side)s."
            )
            if by_word
            else gettext(
                "It adds nothing here: its F1 over entities is %(mine)s%%, and another's "
                "%(other)s%%: %(side)s."
            )
        )
    elif surely <= found[best]:
        told = (
            gettext(
                "It tags %(mine)s%% of the words right, the next best %(other)s%%: %(side)s. So "
                "few sentences do not make that difference certain."
            )
            if by_word
            else gettext(
                "Its F1 over entities is %(mine)s%%, the next best's %(other)s%%: %(side)s. So "
                "few sentences do not make that difference certain."
            )
        )
    else:
        told = (
            gettext(
                "It tags %(mine)s%% of the words right, %(gain)s points more than the next best: "
                "%(side)s (%(other)s%%)."
            )
            if by_word
            else gettext(
                "Its F1 over entities is %(mine)s%%, %(gain)s points more than the next best's: "
                "%(side)s (%(other)s%%)."
            )
        )
    return told % values


def confusion(report: dict[str, Any]) -> list[tuple[str, list[Cell]]]:
    """For each of the commonest tags, how often it was taken for each of them."""
    shown = report["confusion"]
    sizes = {one["name"]: one["words"] for one in report["scores"]["model"]["tags"]}
    return [
        (name, cells(row, place, sizes.get(name, 0)))
        for place, (name, row) in enumerate(zip(shown["tags"], shown["words"], strict=True))
    ]


def worst(report: dict[str, Any]) -> list[Sentence]:
    """The sentences with the highest loss."""
    return [
        Sentence(
            one["id"],
            one["wrong"],
            [
                Word(word, tag, predicted)
                for word, tag, predicted in zip(
                    one["words"], one["tags"], one["predicted"], strict=True
                )
            ],
        )
        for one in report["predictions"]
    ]


def unseen(report: dict[str, Any]) -> list[str]:
    """What the limit on tokens kept from training and from the scores, in sentences."""
    found = []
    for split, told in (
        ("train", gettext("training")),
        (report["split"], gettext("the scored split")),
    ):
        one = report["unseen"].get(split) or {}
        if one.get("cut"):
            found.append(
                gettext(
                    "In %(split)s, %(words)s words of %(sentences)s sentences are beyond the "
                    "longest text and were left out: no tag is read or predicted there."
                )
                % {
                    "split": told,
                    "words": f"{one['cut']:,}",
                    "sentences": f"{one['sentences']:,}",
                }
            )
        if one.get("pieceless"):
            found.append(
                gettext("In %(split)s, the tokenizer makes nothing of %(words)s words.")
                % {"split": told, "words": f"{one['pieceless']:,}"}
            )
    return found
