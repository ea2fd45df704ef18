"""What stands beside every classifier: what it must beat, and the examples it is most wrong about.

For a further kind of data, add it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.data.labelled import Labelled
from training.data.pixels import raw_pixels
from training.evaluation import baselines
from training.evaluation.classification import Probabilities, worst_predictions
from training.features.heads import fit_head

#: Predictions that a report shows.
SHOWN = 100
#: Characters of a text that a report shows.
SHOWN_CHARACTERS = 400


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


def beaten_by(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What stands beside the model and is at least as accurate, the best first."""
    mine = results["model"]["accuracy"]
    others = {name: one["accuracy"] for name, one in results.items() if name != "model"}
    return sorted(
        (name for name, accuracy in others.items() if accuracy >= mine),
        key=lambda name: -others[name],
    )


def most_wrong(
    kind: str, split: str, scored: Labelled, probabilities: Probabilities, names: list[str]
) -> list[dict[str, Any]]:
    """The predictions with the highest loss, wrong ones first, with what was predicted.

    Returns:
        See :func:`training.evaluation.classification.worst_predictions`; of texts also ``id`` and
        ``text``, of images ``split`` and where the image lies.
    """
    found = worst_predictions(probabilities, scored.labels, names, SHOWN)
    return [one | shown(kind, split, scored.rows[one["place"]]) for one in found]


def shown(kind: str, split: str, row: dict[str, Any]) -> dict[str, Any]:
    """An example, as a report shows it."""
    if kind == "text":
        return {"id": row["id"], "text": row["text"][:SHOWN_CHARACTERS]}
    wanted = ("id", "name", "width", "height", "offset", "size")
    return {"split": split, **{key: row[key] for key in wanted}}
