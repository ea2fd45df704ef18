"""``python -m training predict``: what a trained model says of a data set, and how well.

Writes ``predictions/`` (:mod:`training.predicting.files`) and ``report.json``, whole or not at all.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from training.data.remarks import remark
from training.durable import durable_folder, sweep
from training.errors import TrainingError
from training.events import EventLog
from training.predicting.files import write_predictions, write_shown
from training.predicting.given import Given, GivenExamples
from training.predicting.given_tables import GivenTable
from training.predicting.models import Predictor, open_predictor
from training.predicting.overlap import fingerprints, learned
from training.predicting.scoring import (
    remarks_on_inputs,
    remarks_on_labels,
    require_labels,
    scored,
)
from training.predicting.spec import PredictSpec
from training.report import describe_dataset, write_report

METHOD = "predict"


def run(spec: PredictSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Predict, and score what has labels.

    Args:
        spec: Checkpoint, data, and what is done with what the model does not know.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``predict_*``, ``split_missing``, ``checkpoint_*``, ``dataset_*``,
            ``disk_full_writing``; nothing was written.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="loading", fraction=None, detail="")
    head = Path(spec.head) if spec.head else None
    predictor = open_predictor(Path(spec.checkpoint), head, spec.image_px, spec.most_tokens)
    given = predictor.given(Path(spec.data.path), spec.split)
    if isinstance(given, GivenTable) and spec.other_types == "refuse" and given.other_types:
        raise TrainingError(
            "predict_columns_typed", field="other_types", columns=", ".join(given.other_types)
        )
    truths = [given.truth(target) for target in predictor.targets]
    if spec.unknown_labels == "refuse":
        for target, truth in zip(predictor.targets, truths, strict=True):
            require_labels(target, truth)
    said, seconds = _predict(spec, predictor, given, events)
    events.emit("phase", name="evaluating", fraction=None, detail="")
    told = list(zip(predictor.targets, truths, said, strict=True))
    targets = [scored(given, spec.split, *one, spec.seed) for one in told]
    data = describe_dataset(Path(spec.data.path))
    seen = _overlap(spec, predictor, given, data)
    notes = [note for target, truth, _ in told for note in remarks_on_labels(target, truth)]
    notes = [*_on_overlap(seen), *notes, *remarks_on_inputs(predictor, given)]
    events.emit("phase", name="saving", fraction=None, detail="")
    with durable_folder(out / "predictions", point="predictions", what="predictions") as folder:
        file = write_predictions(folder, given, told, spec.format)
        shown = write_shown(folder, given, told)
    columns = given.read.values() if isinstance(given, GivenTable) else ()
    write_report(
        out,
        METHOD,
        spec,
        time.monotonic() - started,
        {
            "command": METHOD,
            "seed": spec.seed,
            "weights_sha256": predictor.weights_sha256,
            "kind": given.kind,
            "data": data,
            "split": spec.split,
            "splits": given.counts,
            "examples": len(given),
            "targets": targets,
            "columns": [one.to_json() for one in columns],
            "overlap": seen,
            "remarks": notes,
            "file": file,
            "shown": shown,
            "predicting": {
                "seconds": round(seconds, 3),
                "examples_per_s": round(len(given) / seconds, 1),
            },
        },
    )
    return {"report": "report.json", "result": "predictions"}


def _predict(
    spec: PredictSpec, predictor: Predictor, given: Given, events: EventLog
) -> tuple[list[Any], float]:
    """What is said of each target, and what that took, in seconds."""
    events.emit("phase", name="loading", fraction=None, detail="TensorFlow")
    from training.engine.devices import configure, default_threads

    configure(spec.devices, default_threads())

    def tell(share: float) -> None:
        events.emit("phase", name="predicting", fraction=round(share, 4), detail="")

    tell(0.0)
    started = time.monotonic()
    said = predictor.predict(given, spec.batch_size, tell)
    return said, time.monotonic() - started


def _overlap(
    spec: PredictSpec, predictor: Predictor, given: Given, data: dict[str, Any]
) -> dict[str, Any]:
    """Whether the model learned from what it predicts.

    Returns:
        ``known``: ``same`` (its card names these very data), ``counted`` (data that it or its
        ancestors learned from were looked through) or ``no``; ``learned``, examples that it
        learned from (None: nobody knows), and ``watched``, of the split that chose its weights.
    """
    is_same = data["sha256"] is not None and data["sha256"] in predictor.learned_from
    counts = given.counts
    seen = counts.get("train", 0) if is_same else 0
    watched = counts.get("validation", 0) if is_same else 0
    if spec.trained_on and isinstance(given, GivenExamples):
        known = learned([Path(one) for one in spec.trained_on], given.kind)
        marks = [mark for part in given.parts for mark in fingerprints(part, given.kind)]
        splits = [name for name, count in counts.items() for _ in range(count)]
        seen = sum(
            mark in known or (is_same and split == "train")
            for mark, split in zip(marks, splits, strict=True)
        )
        return {"known": "counted", "learned": seen, "watched": watched}
    if is_same:
        return {"known": "same", "learned": seen, "watched": watched}
    return {"known": "no", "learned": None, "watched": None}


def _on_overlap(seen: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    if seen["learned"]:
        found.append(remark("predicted_learned", rows=seen["learned"]))
    if seen["watched"]:
        found.append(remark("predicted_watched", rows=seen["watched"]))
    if seen["known"] == "no":
        found.append(remark("predicted_overlap_unknown"))
    return found
