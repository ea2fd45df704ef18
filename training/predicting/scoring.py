"""What a report says of predictions: scores as a run's report has them where the data have labels,
and without labels what was predicted how often.

Nothing that the model learned from is needed. What stands beside the model is therefore made of the
scored labels themselves: always their commonest class, always their mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training.data.remarks import remark
from training.errors import TrainingError
from training.evaluation import baselines
from training.evaluation.classification_report import classes_report
from training.evaluation.regression import numbers_report
from training.predicting.given import Given, GivenExamples
from training.predicting.given_tables import GivenTable
from training.predicting.models import Predictor
from training.predicting.outputs import Outputs
from training.predicting.targets import LABEL, Target
from training.predicting.truth import Truth

#: Names that a sentence lists.
NAMED = 5
#: What stands beside the model.
HERE = "here"
QUANTILES = (5, 25, 50, 75, 95)


def scored(
    given: Given,
    split: str,
    target: Target,
    truth: Truth | None,
    said: Outputs,
    seed: int,
) -> dict[str, Any]:
    """What the report says of a target.

    Args:
        given: What was predicted.
        split: Which part of the data.
        target: The target.
        truth: What is true; None: nobody says.
        said: Of each example the probabilities of the classes, or the number.
        seed: Of the resampling.

    Returns:
        ``target``, ``type``, ``classes``, ``labels`` (counts; None: none at all), ``predicted``,
        and where something is known what :func:`classes_report` or :func:`numbers_report` say.
    """
    found: dict[str, Any] = {
        "target": target.name,
        "type": target.type,
        "classes": list(target.classes),
        "labels": truth.counts if truth is not None else None,
        "predicted": _shares(target, said),
    }
    if truth is None or not truth.known.any():
        return found
    places = np.flatnonzero(truth.known)
    labels, mine = truth.labels[places], said[places]

    def tell(place: int) -> dict[str, Any]:
        return given.shown(int(places[place]))

    if target.is_number:
        beside = {"model": mine, HERE: np.full(len(labels), labels.mean())}
        return found | numbers_report(split, labels, beside, seed, tell)
    commonest = baselines.majority(labels, len(labels), len(target.classes))
    beside = {"model": mine, HERE: commonest}
    return found | classes_report(split, labels, target.classes, beside, seed, tell)


def _shares(target: Target, said: Outputs) -> Any:
    """How often each class was predicted; of numbers where they lie."""
    if target.is_number:
        return {
            "minimum": float(said.min()),
            "mean": float(said.mean()),
            "maximum": float(said.max()),
            "quantiles": {str(one): float(np.percentile(said, one)) for one in QUANTILES},
        }
    counts = np.bincount(said.argmax(1), minlength=len(target.classes))
    return [
        {"name": name, "rows": int(count)}
        for name, count in zip(target.classes, counts, strict=True)
    ]


def require_labels(target: Target, truth: Truth | None) -> None:
    """Refuse labels that the model does not know, where that was asked for.

    Raises:
        TrainingError: ``predict_unknown_labels``.
    """
    if truth is not None and truth.unknown:
        raise TrainingError(
            "predict_unknown_labels", field="unknown_labels", **_unknown(target, truth)
        )


def _unknown(target: Target, truth: Truth) -> dict[str, Any]:
    named = [f"{name} ({rows:,})" for name, rows in truth.unknown.most_common(NAMED)]
    return {
        "target": target.name or LABEL,
        "rows": truth.unknown.total(),
        "values": len(truth.unknown),
        "names": ", ".join(named) + (", …" if len(truth.unknown) > NAMED else ""),
    }


def remarks_on_labels(target: Target, truth: Truth | None) -> list[dict[str, Any]]:
    """Sentences about what could not be scored."""
    name = target.name or LABEL
    if truth is None:
        return [remark("predicted_without_labels", target=name)]
    found = []
    known = ", ".join(target.classes[:NAMED]) + (", …" if len(target.classes) > NAMED else "")
    if truth.other_type:
        code = "predicted_labels_classes" if target.is_number else "predicted_labels_numbers"
        found.append(remark(code, target=name))
    elif truth.unknown and target.is_number:
        found.append(remark("predicted_labels_unread", **_unknown(target, truth)))
    elif truth.unknown:
        found.append(remark("predicted_labels_unknown", **_unknown(target, truth)))
    if not truth.known.any():
        code = "predicted_no_number" if target.is_number else "predicted_no_known_class"
        found.append(remark(code, target=name, known=known))
    elif missing := truth.counts["missing"]:
        found.append(remark("predicted_labels_missing", target=name, rows=missing))
    return found


def remarks_on_inputs(predictor: Predictor, given: Given) -> list[dict[str, Any]]:
    """Sentences about what the model was shown otherwise than it learned."""
    if isinstance(given, GivenTable):
        return _on_columns(given)
    assert isinstance(given, GivenExamples)
    found = []
    number = given.number_name
    target = predictor.targets[0]
    if target.is_number and number is not None and target.name not in ("", number):
        found.append(remark("predicted_number_renamed", found=number, learned=target.name))
    if predictor.image_px is not None:
        px = predictor.image_px
        sides = [(row["width"], row["height"]) for row in given.rows]
        scaled = sum(min(side) != px for side in sides)
        cropped = sum(width != height for width, height in sides)
        if scaled or cropped:
            found.append(remark("predicted_images_fitted", px=px, scaled=scaled, cropped=cropped))
        grey = given.grey
        if predictor.channels == 3 and grey:
            found.append(remark("predicted_images_grey", rows=grey))
        if predictor.channels == 1 and grey < len(given):
            found.append(remark("predicted_images_coloured", rows=len(given) - grey))
    return found


def _on_columns(given: GivenTable) -> list[dict[str, Any]]:
    found = []
    if given.extra:
        columns = ", ".join(given.extra[:NAMED]) + (", …" if len(given.extra) > NAMED else "")
        found.append(remark("predicted_columns_extra", count=len(given.extra), columns=columns))
    for one in given.read.values():
        if one.type == "number" and one.found != "number":
            found.append(
                remark("predicted_column_parsed", column=one.name, rows=one.unread.total())
            )
        elif one.type == "category" and one.found != "category":
            found.append(remark("predicted_column_named", column=one.name))
        if one.unseen:
            named = [f"{name} ({rows:,})" for name, rows in one.unseen.most_common(NAMED)]
            found.append(
                remark(
                    "predicted_categories_unseen",
                    column=one.name,
                    rows=one.unseen.total(),
                    values=len(one.unseen),
                    names=", ".join(named) + (", …" if len(one.unseen) > NAMED else ""),
                )
            )
        if one.missing == len(given):
            found.append(remark("predicted_column_empty", column=one.name))
    return found
