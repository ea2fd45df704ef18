"""What labels gave a language model: on texts that are there, and in those that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.control import measures
from training.control.blocks import Places
from training.evaluation.baselines import tfidf
from training.evaluation.bootstrap import ratio_interval
from training.evaluation.classification import Probabilities, classification_scores
from training.evaluation.classification_report import beaten_by


def right_of(told: Probabilities, wanted: Places, seed: int) -> dict[str, Any]:
    """Share of texts that a judge takes for the class that was meant, and its interval."""
    right = (told.argmax(1) == wanted).astype(np.float64)
    return {
        "class_accuracy": float(right.mean()),
        "interval": ratio_interval(right, np.ones(len(right)), seed),
        "texts": len(right),
    }


def as_classifier(
    model: Probabilities,
    words: Probabilities,
    majority: Probabilities,
    labels: Places,
    names: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """The model by Bayes' rule beside words alone and the commonest class.

    Args:
        model: Probabilities [texts, classes] of each.
        words: By TF-IDF and logistic regression.
        majority: The training shares.
        labels: True classes.
        names: Of the classes.
        seed: Of the resampling.
    """
    sides = {"model": model, "tfidf": words, "majority": majority}
    scores = {name: classification_scores(one, labels, names, seed) for name, one in sides.items()}
    return {"scores": scores, "beaten_by": beaten_by(scores)}


def judged(
    known: Sequence[str],
    known_labels: Places,
    held_out: Sequence[str],
    held_out_labels: Places,
    sides: dict[str, tuple[list[str], Places]],
    names: Sequence[str],
    seed: int,
) -> tuple[dict[str, Any], Probabilities]:
    """Measure written texts beside real ones by a classifier of real texts, and by their n-grams.

    Args:
        known: Training texts, on which the judge (TF-IDF, logistic regression) is fitted.
        known_labels: Their classes.
        held_out: Real texts that nothing was learned from, whole.
        held_out_labels: Their classes.
        sides: ``labelled``, ``real`` and perhaps ``unlabelled``: texts cut alike, and the classes
            that were meant.
        names: Of the classes.
        seed: Of folds and resampling.

    Returns:
        ``sides`` ``{name: {class_accuracy, interval, texts, distinct_1, distinct_2, distinct_3,
        repetition, copied}}``, ``judge`` ``{accuracy, interval, examples}`` on the whole held-out
        texts, ``by_class`` ``[{name, accuracy, texts}]`` of the labelled ones, ``unit``,
        ``copied_length``; and what the judge says of the held-out texts.
    """
    texts = [*held_out, *(text for side, _wanted in sides.values() for text in side)]
    told = tfidf(known, known_labels, texts, len(names), seed)
    of_real = told[: len(held_out)]
    units = measures.units_of(known)
    words = {name: [measures.split(text) for text in side] for name, (side, _w) in sides.items()}
    shares = measures.copied(words, known, units.copied)
    most = {n: min(measures.gram_count(one, n) for one in words.values()) for n in (1, 2, 3)}
    found: dict[str, Any] = {}
    by_class: list[dict[str, Any]] = []
    start = len(held_out)
    for name, (side, wanted) in sides.items():
        mine = told[start : start + len(side)]
        start += len(side)
        found[name] = {
            **right_of(mine, wanted, seed),
            **{f"distinct_{n}": measures.distinct(words[name], n, most[n]) for n in most},
            "repetition": measures.repetition(words[name]),
            "copied": shares[name],
        }
        if name == "labelled":
            by_class = _by_class(mine, wanted, names)
    judge = right_of(of_real, held_out_labels, seed)
    return {
        "sides": found,
        "judge": {
            "accuracy": judge["class_accuracy"],
            "interval": judge["interval"],
            "examples": judge["texts"],
        },
        "by_class": by_class,
        "unit": units.name,
        "copied_length": units.copied,
    }, of_real


def _by_class(told: Probabilities, wanted: Places, names: Sequence[str]) -> list[dict[str, Any]]:
    right = told.argmax(1) == wanted
    return [
        {
            "name": name,
            "accuracy": float(right[wanted == place].mean()),
            "texts": int((wanted == place).sum()),
        }
        for place, name in enumerate(names)
        if (wanted == place).any()
    ]


def changed(found: dict[str, Any], classes: int) -> dict[str, bool]:
    """Whether labels changed anything, by the lower ends of the intervals.

    Args:
        found: With ``gap`` and ``sides``.
        classes: How many there are; as many texts were written of each.

    Returns:
        ``likelihood``: a wrong label makes real texts less likely; ``samples``: more of what is
        written is of the class that was meant than by chance and, if known, without a label.
    """
    sides = found["sides"]
    others = [1 / classes]
    if "unlabelled" in sides:
        others.append(sides["unlabelled"]["class_accuracy"])
    return {
        "likelihood": bool(found["gap"]["interval"][0] > 0),
        "samples": bool(sides["labelled"]["interval"][0] > max(others)),
    }


def balanced(labels: Places, count: int, classes: int) -> Places:
    """Places of at most so many texts of each class, spread evenly over the split."""
    found: list[npt.NDArray[np.int64]] = []
    for one in range(classes):
        places = np.flatnonzero(labels == one)
        taken = min(count, len(places))
        found.append(places[np.arange(taken) * len(places) // max(1, taken)])
    return np.concatenate(found)
