"""What every classifier's report says: its scores beside what it must beat, and its worst mistakes.

For a further kind of data, add it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        ``predictions``: the worst.
    """
    results = {
        name: classification_scores(one, scored.labels, names, seed)
        for name, one in predicted.items()
    }
    return {
        "classes": list(names),
        "examples": len(train),
        "split": split,
        "scores": results,
        "beaten_by": beaten_by(results),
        "predictions": most_wrong(kind, split, scored, predicted["model"], names),
    }


def beaten_by(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What stands beside the model and is at least as accurate, the best first."""
    mine = results["model"]["accuracy"]
    others = {name: one["accuracy"] for name, one in results.items() if name != "model"}
    return sorted(
        (name for name, accuracy in others.items() if accuracy >= mine),
        key=lambda name: -others[name],
    )


def most_wrong(
    kind: str, split: str, scored: Examples, probabilities: Probabilities, names: Sequence[str]
) -> list[dict[str, Any]]:
    """The predictions with the highest loss, wrong ones first, with what was predicted.

    Returns:
        See :func:`training.evaluation.classification.worst_predictions`; instead of its ``place``,
        of texts ``id``, ``text`` and of pairs ``text_pair``, of images ``id``, ``split`` and where
        the image lies, of tables ``id`` and ``values``.
    """
    found = []
    for one in worst_predictions(probabilities, scored.labels, names, SHOWN):
        row = scored.rows[one.pop("place")]
        found.append(one | shown(kind, split, row))
    return found


def shown(kind: str, split: str, row: dict[str, Any]) -> dict[str, Any]:
    """An example, as a report shows it."""
    if kind == "table":
        return row
    if kind == "text":
        texts = {name: row[name] for name in ("text", "text_pair") if name in row}
        return {"id": row["id"]} | {name: text[:SHOWN_CHARACTERS] for name, text in texts.items()}
    wanted = ("id", "name", "width", "height", "offset", "size")
    return {"split": split, **{key: row[key] for key in wanted}}
