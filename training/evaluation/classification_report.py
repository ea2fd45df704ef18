"""What every classifier's report says: its scores beside what it must beat, and its worst mistakes.

For a further kind of data, add it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from training.data.labelled import Labelled
from training.data.pixels import raw_pixels
from training.evaluation import baselines
from training.evaluation.classification import (
    Labels,
    Probabilities,
    classification_scores,
    worst_predictions,
)
from training.features.heads import fit_head

#: Predictions that a report shows.
SHOWN = 100
#: Characters of a text that a report shows.
SHOWN_CHARACTERS = 400
#: Place of an example → what a report shows of it.
Tell = Callable[[int], dict[str, Any]]


class Examples(Protocol):
    """A split, as far as a report looks at it.

    Attributes:
        labels: Class of each example.
        rows: What :func:`shown` makes of one.
    """

    @property
    def labels(self) -> Labels: ...
    @property
    def rows(self) -> Sequence[dict[str, Any]]: ...
    def __len__(self) -> int: ...


def without_a_model(
    kind: str, train: Labelled, scored: Labelled, classes: int, seed: int
) -> dict[str, Probabilities]:
    """Predictions of the scored examples by what no model is needed for.

    Args:
        kind: ``text`` or ``image``.
        train: What is fitted on; every class is there.
        scored: What is predicted.
        classes: How many there are.
        seed: Of the folds.

    Returns:
        ``tfidf`` or ``pixels``, and ``majority``.
    """
    found: dict[str, Probabilities] = {}
    if kind == "text":
        found["tfidf"] = baselines.tfidf(train.texts, train.labels, scored.texts, classes, seed)
    else:
        seen, unseen = (raw_pixels(map(split.pixels, split.rows)) for split in (train, scored))
        head = fit_head("logistic", seen, train.labels, classes, seed)
        found["pixels"] = head.predict(unseen)
    found["majority"] = baselines.majority(train.labels, len(scored), classes)
    return found


def classification_report(
    kind: str,
    split: str,
    train: Examples,
    scored: Examples,
    names: Sequence[str],
    predicted: Mapping[str, Probabilities],
    seed: int,
) -> dict[str, Any]:
    """The fields of a report that are the same for every classifier.

    Args:
        kind: Of the data, ``text``, ``image`` or ``table``.
        split: That is scored.
        train: What was learned from.
        scored: That split's examples.
        names: Of the classes.
        predicted: Probabilities [examples, classes] of ``model`` and of what stands beside it.
        seed: Of the resampling.

    Returns:
        ``classes``, ``examples`` (learned from), ``split``, ``scores`` of each, ``beaten_by``,
        ``predictions``: the worst, see
        :func:`training.evaluation.classification.worst_predictions`; instead of their ``place``
        what :func:`shown` tells.
    """
    found = classes_report(
        split,
        scored.labels,
        names,
        predicted,
        seed,
        lambda place: shown(kind, split, scored.rows[place]),
    )
    return found | {"examples": len(train)}


def classes_report(
    split: str,
    labels: Labels,
    names: Sequence[str],
    predicted: Mapping[str, Probabilities],
    seed: int,
    tell: Tell,
) -> dict[str, Any]:
    """The same, but for what was learned from, which nobody may know.

    Args:
        split: That is scored.
        labels: The true classes.
        names: Of the classes.
        predicted: Probabilities [examples, classes] of ``model`` and of what stands beside it.
        seed: Of the resampling.
        tell: An example by its place, as a report shows it.
    """
    results = {
        name: classification_scores(one, labels, names, seed) for name, one in predicted.items()
    }
    worst = worst_predictions(predicted["model"], labels, names, SHOWN)
    return {
        "classes": list(names),
        "split": split,
        "scores": results,
        "beaten_by": beaten_by(results),
        "predictions": [one | tell(one.pop("place")) for one in worst],
    }


def beaten_by(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What stands beside the model and is at least as accurate, the best first."""
    mine = results["model"]["accuracy"]
    others = {name: one["accuracy"] for name, one in results.items() if name != "model"}
    return sorted(
        (name for name, accuracy in others.items() if accuracy >= mine),
        key=lambda name: -others[name],
    )


def shown(kind: str, split: str, row: dict[str, Any]) -> dict[str, Any]:
    """An example, as a report shows it.

    Returns:
        Of texts ``id``, ``text`` and of pairs ``text_pair``, of images ``id``, ``split`` and where
        the image lies, of tables ``id`` and ``values``.
    """
    if kind == "table":
        return row
    if kind == "text":
        texts = {name: row[name] for name in ("text", "text_pair") if name in row}
        return {"id": row["id"]} | {name: text[:SHOWN_CHARACTERS] for name, text in texts.items()}
    wanted = ("id", "name", "width", "height", "offset", "size")
    return {"split": split, **{key: row[key] for key in wanted}}
