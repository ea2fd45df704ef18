"""Predictions in any state, their report and files as the engine's own code makes them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.factories.accounts import Cast
from tests.factories.datasets import make_labelled
from tests.factories.ensembles import NAMES, make_classifier
from tests.factories.jobs import make_job
from training.predicting.files import write_predictions, write_shown
from training.predicting.given import Given
from training.predicting.scoring import remarks_on_labels, scored
from training.predicting.spec import PredictSpec
from training.predicting.targets import Target
from training.predicting.truth import Truth, Value, truth_of
from webapp import storage
from webapp.jobs.models import State
from webapp.predictions.models import Prediction
from webapp.runs import references


class Texts(Given):
    """So many texts with a label each, or none."""

    kind = "text"

    def __init__(self, labels: list[Value] | None, count: int) -> None:
        self._labels = labels
        self.ids = np.arange(count)
        self.splits = ["test"] * count

    def truth(self, target: Target) -> Truth | None:
        return None if self._labels is None else truth_of(self._labels, target)

    def shown(self, place: int) -> dict[str, Any]:
        return {"id": place, "split": "test", "text": f"Text <i>{place}</i>"}


class Rows(Texts):
    """The same of a table."""

    kind = "table"

    def shown(self, place: int) -> dict[str, Any]:
        values = [("age", str(20 + place)), ("job", "cook <b>"), ("town", None)]
        return {"id": place, "split": "test", "values": values}


def make_report(
    folder: Path,
    given: Given,
    targets: tuple[Target, ...] = (Target("", tuple(NAMES)),),
    **fields: Any,
) -> dict[str, Any]:
    """``report.json`` of predictions that are right three times in four, and the files."""
    random, told = np.random.default_rng(0), []
    for target in targets:
        truth, count = given.truth(target), len(given)
        if target.is_number:
            said = random.normal(10, 3, count)
        else:
            places = random.integers(0, len(target.classes), count)
            if truth is not None:
                right = truth.known & (np.arange(count) % 4 != 0)
                places = np.where(right, truth.labels, places)
            said = np.eye(len(target.classes))[places] * 0.8 + 0.2 / len(target.classes)
        told.append((target, truth, said))
    file = write_predictions(folder, given, told, "csv")
    return {
        "version": 1,
        "method": "predict",
        "duration_s": 2.5,
        "split": "test",
        "splits": given.counts,
        "examples": len(given),
        "kind": given.kind,
        "targets": [scored(given, "test", *one, 0) for one in told],
        "columns": [],
        "overlap": {"known": "no", "learned": None, "watched": None},
        "remarks": [note for one in told for note in remarks_on_labels(*one[:2])],
        "file": file,
        "shown": write_shown(folder, given, told),
        "predicting": {"seconds": 0.5, "examples_per_s": 2 * len(given)},
    } | fields


def make_prediction(cast: Cast, **fields: Any) -> Prediction:
    """Finished predictions of a classifier of Alice's; ``job`` holds fields of its job, ``given``
    what was predicted, ``targets`` what of it."""
    job = {"kind": "predict", "state": State.SUCCEEDED} | fields.pop("job", {})
    done = job["state"] == State.SUCCEEDED
    given = fields.pop("given", None) or Texts([*NAMES * 30, "ugly", None], 62)
    targets = fields.pop("targets", (Target("", tuple(NAMES)),))
    told = fields.pop("report", {})
    checkpoint = fields.pop("checkpoint", None) or make_classifier(cast)
    version = fields.pop("version", None) or make_labelled(cast)
    spec = PredictSpec.model_validate(
        {
            "checkpoint": references.write("checkpoint", checkpoint.pk),
            "data": {"path": references.write("dataset", version.pk)},
            "split": "test",
        }
    )
    report: dict[str, Any] = {}
    values: dict[str, Any] = {
        "name": f"{checkpoint.name} → {version.dataset.name}",
        "checkpoint": checkpoint,
        "dataset_version": version,
        "team": cast.team,
        "owner": cast.alice,
    }
    if done:
        with tempfile.TemporaryDirectory() as folder:
            report = make_report(Path(folder), given, targets, **told)
            values["manifest"] = storage.store_folder(Path(folder))
        mine = (report["targets"][0].get("scores") or {}).get("model") or {}
        values |= {name: mine.get(name) for name in ("accuracy", "rmse")}
        values["examples"] = report["examples"]
    values["job"] = make_job(cast, spec=spec.model_dump(mode="json"), report=report, **job)
    return Prediction.objects.create(**values | fields)
