"""What the worker does for predictions: inputs and the outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.factories import Cast
from tests.factories.heads import make_head
from tests.factories.predictions import Texts, make_prediction, make_report
from webapp.jobs.models import State
from webapp.predictions import jobs
from webapp.runs import inputs, references


def test_inputs_hold_data_model_head_and_what_it_learned_from(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_prediction(cast, job={"state": State.QUEUED})
    placed: dict[str, str] = {}

    def place(reference: str, folder: Path) -> str:
        placed[folder.name] = reference
        return str(folder)

    monkeypatch.setattr(jobs, "place_files", place)
    head = references.write("head", make_head(cast, version=row.dataset_version).pk)
    data = row.job.spec["data"]["path"]
    spec = json.loads(json.dumps(row.job.spec)) | {"head": head, "trained_on": [data]}
    found = jobs.inputs(row.job, spec, tmp_path)
    assert placed == {
        "data": data,
        "checkpoint": row.job.spec["checkpoint"],
        "head": head,
        "learned-0": data,
    }
    assert found["checkpoint"] == str(tmp_path / "checkpoint")
    assert found["trained_on"] == [str(tmp_path / "learned-0")]
    assert jobs.name(row.job) == row.name


def test_a_head_has_files_to_place(cast: Cast) -> None:
    head = make_head(cast)
    assert inputs._manifest(references.write("head", head.pk)) == head.manifest


@pytest.mark.parametrize("labels", [["good <b>", "bad"] * 10, None])
def test_the_outcome_is_stored_with_its_score(
    labels: list[str] | None, cast: Cast, tmp_path: Path
) -> None:
    row = make_prediction(cast, job={"state": State.RUNNING})
    (tmp_path / "predictions").mkdir()
    given = Texts(list(labels) if labels else None, 20)
    report = make_report(tmp_path / "predictions", given)
    (tmp_path / "report.json").write_text(json.dumps(report))
    jobs.finish(row.job, jobs.collect(row.job, tmp_path))
    row.refresh_from_db()
    assert row.examples == 20
    assert (row.accuracy is None) == (labels is None)
    assert row.rmse is None
    wanted = {"predictions.csv", "uncertain.json", "first.json"}
    assert set(row.manifest) == wanted | ({"worst.json"} if labels else set())
