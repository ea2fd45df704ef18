"""Predictions of trained models: the run's own figures, and data unlike those that were learned."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.integration.training.labelled import (
    checkpoint,
    image_dataset,
    numbered_texts,
    pair_dataset,
    prepared,
    spec_of,
    text_dataset,
)
from tests.integration.training.runs import report, run, told
from tests.parity.text import CASES, word_pieces
from tests.pictures import archive, encoded
from tests.small_tables import people, table_dataset, table_spec
from training.__main__ import main
from training.backbones.resnet.config import ResNetConfig
from training.engine.run import run as train
from training.ensembles.spec import EnsembleSpec
from training.errors import EXIT_DONE, TrainingError
from training.events import EventLog
from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec
from training.methods.feature_matching.frozen_features import work as fit_head
from training.methods.task_related import multi_task_task, wide_deep_task
from training.methods.task_related.ensemble import work as combine
from training.methods.task_related.multi_task_spec import MultiTaskSpec
from training.predicting.command import run as predict
from training.predicting.spec import PredictSpec

PIECES = word_pieces(lowercase=True)
BERT = CASES["bert-pooler"].model_copy(update={"vocab_size": PIECES.size})
RESNET = ResNetConfig(depths=[1, 1], group_width=8, num_classes=3)
WORDS = {"yes": ["so it goes", "so it went", "and it goes"], "no": ["xyz", "zz yx", "x y z z"]}
#: Of a report on classes and on a number, what must be the run's to the last bit or 1e-6 of it.
CLASSES = ("accuracy", "macro_f1", "auc", "loss", "ece", "intervals", "classes", "calibration")
NUMBERS = ("rmse", "mae", "r2")

Folders = pytest.TempPathFactory


def predicted(out: Path, source: Path, dataset: Path, **settings: Any) -> dict[str, Any]:
    """The report of predictions; the test split unless something else is said."""
    out.mkdir(parents=True)
    values = {"checkpoint": str(source), "data": {"path": str(dataset)}, "split": "test"}
    log = EventLog(out / "events.jsonl")
    try:
        predict(PredictSpec.model_validate(values | settings), out, log)
    finally:
        log.close()
    return report(out)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions" / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def codes(found: dict[str, Any]) -> list[str]:
    return [one["code"] for one in found["remarks"]]


def same(found: dict[str, Any], wanted: dict[str, Any], names: tuple[str, ...]) -> None:
    """The scores of the model are those of the run's own report."""
    mine, theirs = found["scores"]["model"], wanted["scores"]["model"]
    for name in names:
        _alike(mine[name], theirs[name])
    if "confusion" in theirs:
        assert mine["confusion"] == theirs["confusion"]
    worst = [one["id"] for one in found["predictions"][:3]]
    assert worst == [one["id"] for one in wanted["predictions"][:3]]


def _alike(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            _alike(one[name], other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            _alike(mine, theirs)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6)
    else:
        assert one == other


def work(function: Any, spec: Any, out: Path) -> dict[str, Any]:
    """Do what is no run of the loop; its report."""
    out.mkdir(parents=True)
    log = EventLog(out / "events.jsonl")
    try:
        function(spec, out, log)
    finally:
        log.close()
    return report(out)


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory: Folders) -> Path:
    return table_dataset(tmp_path_factory.mktemp("people") / "data", people())


@pytest.fixture(scope="module")
def wide_deep(table: Path, tmp_path_factory: Folders) -> Path:
    out = tmp_path_factory.mktemp("wide_deep") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wide_deep_task, "table_baselines", lambda *_values: {})
        spec = table_spec(table, training={"steps": 40, "learning_rate": 0.1})
        work(train, spec, out)
    return out


def strangers(folder: Path, **settings: Any) -> Path:
    """A table with jobs and a class that the model has never seen, a column more, ages as text."""
    found = people(80, seed=3, jobs=("cook", "=pilot"))
    for place, row in enumerate(found):
        row["age"] = "old" if place < 4 else f"{row['age'] or 33} "
        row["shoe"] = ["red", "blue"][place % 2]
        if place % 10 == 0:
            row["rich"] = "perhaps"
        elif place % 10 == 1:
            row["rich"] = ""
    types = {"columns": {"age": "category"}, "leave_out_unlabelled": False}
    return table_dataset(folder, found, **types | settings)


def test_a_table_is_predicted_as_its_run_scored_it(
    table: Path, wide_deep: Path, tmp_path: Path
) -> None:
    found = predicted(tmp_path / "p", wide_deep / "checkpoint", table)
    (target,) = found["targets"]
    same(target, report(wide_deep), CLASSES)
    assert target["target"] == "rich"
    assert target["scores"]["here"]["accuracy"] == pytest.approx(
        max(one["examples"] for one in target["scores"]["model"]["classes"]) / found["examples"]
    )
    assert found["overlap"] == {"known": "same", "learned": 0, "watched": 0}
    assert found["remarks"] == []
    written = rows(tmp_path / "p")
    ids = [int(one["id"]) for one in written]
    assert ids == sorted(ids)
    assert ids == pq.read_table(table / "test.parquet")["__row__"].to_pylist()
    for one in written:
        share = {name: float(one[f"probability.{name}"]) for name in ("yes", "no")}
        assert sum(share.values()) == pytest.approx(1, abs=1e-6)
        assert one["predicted"] == max(share, key=lambda name: share[name])
    right = np.mean([one["predicted"] == one["label"] for one in written])
    assert right == pytest.approx(target["scores"]["model"]["accuracy"])


def test_all_rows_are_in_the_order_of_the_upload_and_those_learned_from_are_told(
    table: Path, wide_deep: Path, tmp_path: Path
) -> None:
    found = predicted(tmp_path / "p", wide_deep / "checkpoint", table, split="all")
    counts = found["splits"]
    assert found["overlap"] == {
        "known": "same",
        "learned": counts["train"],
        "watched": counts["validation"],
    }
    assert codes(found) == ["predicted_learned", "predicted_watched"]
    ids = [int(one["id"]) for one in rows(tmp_path / "p")]
    assert ids == sorted(ids)
    assert len(ids) == sum(counts.values()) == found["examples"]


def test_what_a_model_of_tables_never_saw_is_counted_and_left_out_of_the_scores(
    wide_deep: Path, tmp_path: Path
) -> None:
    data = strangers(tmp_path / "d")
    found = predicted(tmp_path / "p", wide_deep / "checkpoint", data, split="all")
    (target,) = found["targets"]
    assert target["labels"]["unknown"] == 8
    assert target["labels"]["unknown_values"] == [{"name": "perhaps", "rows": 8}]
    assert target["labels"]["missing"] == 8
    assert target["scores"]["model"]["examples"] == target["labels"]["known"] == 64
    assert found["examples"] == len(rows(tmp_path / "p")) == 80
    columns = {one["name"]: one for one in found["columns"]}
    jobs = columns["job"]["unseen"]
    assert (jobs["values"], jobs["largest"][0]["name"]) == (1, "=pilot")
    assert jobs["rows"] == jobs["largest"][0]["rows"] > 20
    assert columns["age"]["unread"] == {
        "rows": 4,
        "values": 1,
        "largest": [{"name": "old", "rows": 4}],
    }
    assert set(codes(found)) == {
        "predicted_overlap_unknown",
        "predicted_labels_unknown",
        "predicted_labels_missing",
        "predicted_columns_extra",
        "predicted_column_parsed",
        "predicted_categories_unseen",
    }
    shown = json.loads((tmp_path / "p/predictions/first.json").read_text())["rows"]
    assert dict(shown[0]["example"]["values"])["age"] == "old"
    assert shown[0]["told"][0]["label"] == "perhaps"
    assert not shown[0]["told"][0]["known"]


def test_numbers_written_as_text_say_what_the_numbers_say(wide_deep: Path, tmp_path: Path) -> None:
    """A converted column changes no prediction."""
    as_numbers = table_dataset(tmp_path / "n", people(60, seed=4))
    as_text = table_dataset(tmp_path / "t", people(60, seed=4), columns={"age": "category"})
    source = wide_deep / "checkpoint"
    for name, data in (("one", as_numbers), ("other", as_text)):
        predicted(tmp_path / name, source, data, split="all")
    keys = ("id", "predicted", "probability.yes", "label")
    assert [[one[key] for key in keys] for one in rows(tmp_path / "one")] == [
        [one[key] for key in keys] for one in rows(tmp_path / "other")
    ]


def test_a_category_is_known_when_the_model_knows_it_whatever_these_data_hold(
    wide_deep: Path, tmp_path: Path
) -> None:
    """The training rows of the new table have no clerk; the model has seen many."""
    found = people(60, seed=6)
    for row in found:
        row["job"] = "cook"
    whole = table_dataset(tmp_path / "d", found, columns={"job": "category"})
    test = pq.read_table(whole / "test.parquet")
    place = test.schema.get_field_index("job")
    clerks = pa.array(["clerk"] * test.num_rows)
    pq.write_table(test.set_column(place, "job", clerks), whole / "test.parquet")
    said = predicted(tmp_path / "p", wide_deep / "checkpoint", whole)
    assert "predicted_categories_unseen" not in codes(said)
    assert {one["name"]: one["unseen"]["rows"] for one in said["columns"]}["job"] == 0


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"unknown_labels": "refuse"}, "predict_unknown_labels"),
        ({"other_types": "refuse"}, "predict_columns_typed"),
    ],
)
def test_what_is_not_known_is_refused_where_that_is_chosen(
    choice: dict[str, str], code: str, wide_deep: Path, tmp_path: Path
) -> None:
    data = strangers(tmp_path / "d")
    with pytest.raises(TrainingError) as refused:
        predicted(tmp_path / "p", wide_deep / "checkpoint", data, **choice)
    assert refused.value.code == code
    assert not (tmp_path / "p/predictions").exists()


def test_columns_that_are_missing_are_named_with_their_reason(
    wide_deep: Path, tmp_path: Path
) -> None:
    found = [{**row, "town": "Ulm"} for row in people(40)]
    for row in found:
        del row["job"]
    data = table_dataset(tmp_path / "d", found)
    with pytest.raises(TrainingError) as refused:
        predicted(tmp_path / "p", wide_deep / "checkpoint", data)
    assert refused.value.code == "predict_columns_missing"
    assert refused.value.params["columns"] == "job, town (constant)"


def test_a_table_without_the_target_or_without_a_known_class_is_predicted_all_the_same(
    wide_deep: Path, tmp_path: Path
) -> None:
    bare = [{key: row[key] for key in ("age", "job", "town")} for row in people(50)]
    data = table_dataset(tmp_path / "d", bare, targets=[])
    found = predicted(tmp_path / "p", wide_deep / "checkpoint", data, split="all")
    assert "scores" not in found["targets"][0]
    assert sum(one["rows"] for one in found["targets"][0]["predicted"]) == 50
    assert "label" not in rows(tmp_path / "p")[0]
    assert sorted(found["shown"]) == ["first", "uncertain"]
    assert "predicted_without_labels" in codes(found)

    others = [{**row, "rich": {"yes": "ja", "no": "nein"}[row["rich"]]} for row in people(50)]
    data = table_dataset(tmp_path / "o", others)
    found = predicted(tmp_path / "q", wide_deep / "checkpoint", data, split="all")
    assert "scores" not in found["targets"][0]
    assert "predicted_no_known_class" in codes(found)


def test_several_targets_are_predicted_as_their_run_scored_them(tmp_path: Path) -> None:
    found = [
        {**row, "pay": 20 + 12 * (row["town"] == "Ulm") + place % 7}
        for place, row in enumerate(people(200))
    ]
    data = table_dataset(tmp_path / "d", found, targets=["rich", "pay"])
    spec = MultiTaskSpec.model_validate(
        {
            "data": {"path": str(data)},
            "network": {"hidden": [8]},
            "training": {"steps": 20, "batch_size": 32, "warmup_steps": 2},
            "evaluation": {"every": 10, "checkpoint_every": 20},
        }
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(multi_task_task, "table_baselines", lambda *_values: {})
        own = work(train, spec, tmp_path / "run")
    told_of = predicted(tmp_path / "p", tmp_path / "run/checkpoint", data)
    for mine, theirs, names in zip(
        told_of["targets"], own["tasks"], (CLASSES, NUMBERS), strict=True
    ):
        same(mine, theirs, names)
    first = rows(tmp_path / "p")[0]
    assert list(first) == [
        "id",
        "split",
        "rich.predicted",
        *(f"rich.probability.{name}" for name in told_of["targets"][0]["classes"]),
        "rich.label",
        "pay.predicted",
        "pay.label",
    ]


def test_formulas_are_text_in_csv_and_as_they_are_in_parquet(tmp_path: Path) -> None:
    found = [{**row, "rich": {"yes": "=1+1", "no": "-no"}[row["rich"]]} for row in people(120)]
    data = table_dataset(tmp_path / "d", found)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wide_deep_task, "table_baselines", lambda *_values: {})
        work(train, table_spec(data), tmp_path / "run")
    source = tmp_path / "run/checkpoint"
    predicted(tmp_path / "p", source, data)
    assert {one["label"] for one in rows(tmp_path / "p")} == {"'=1+1", "'-no"}
    predicted(tmp_path / "q", source, data, format="parquet")
    table = pq.read_table(tmp_path / "q/predictions/predictions.parquet")
    assert set(table["label"].to_pylist()) == {"=1+1", "-no"}
    np.testing.assert_allclose(
        table["probability.=1+1"].to_numpy(),
        [float(one["probability.=1+1"]) for one in rows(tmp_path / "p")],
        rtol=1e-8,
    )


# --- texts and images -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(tmp_path_factory: Folders) -> Path:
    return image_dataset(tmp_path_factory.mktemp("i") / "d", {"red": 40, "blue": 34, "green": 30})


@pytest.fixture(scope="module")
def network(images: Path, tmp_path_factory: Folders) -> Path:
    out = tmp_path_factory.mktemp("network") / "run"
    run(out, spec_of(images, model=RESNET.model_dump(mode="json")))
    return out


def test_images_are_predicted_as_their_run_scored_them(
    images: Path, network: Path, tmp_path: Path
) -> None:
    found = predicted(tmp_path / "p", network / "checkpoint", images, seed=3)
    same(found["targets"][0], report(network), CLASSES)
    assert found["targets"][0]["predictions"][0]["split"] == "test"
    assert {event["name"] for event in told(tmp_path / "p", "phase")} >= {"predicting"}


def test_images_of_other_classes_and_none_are_predicted(
    network: Path, images: Path, tmp_path: Path
) -> None:
    """Classes go by name: ``red`` is there in another order, and ``grey`` nobody knows."""
    mixed = image_dataset(tmp_path / "m", {"grey": 24, "red": 16})
    found = predicted(tmp_path / "p", network / "checkpoint", mixed, split="all")
    labels = found["targets"][0]["labels"]
    assert (labels["known"], labels["unknown"]) == (16, 24)
    assert found["targets"][0]["classes"] == ["red", "blue", "green"]
    assert found["targets"][0]["scores"]["model"]["confusion"][0] != [0, 0, 0]

    plain = prepared(
        tmp_path / "u",
        "upload.zip",
        (images.parents[1] / "upload.zip").read_bytes(),
        folders_are_classes=False,
    )
    found = predicted(
        tmp_path / "q",
        network / "checkpoint",
        plain,
        split="all",
        trained_on=[str(images)],
    )
    assert "scores" not in found["targets"][0]
    assert found["overlap"]["known"] == "counted"
    train = (images / "train.jsonl").read_text().splitlines()
    assert found["overlap"]["learned"] == len(train)


def test_images_of_other_sizes_and_without_colours_are_told(network: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    files = {
        f"red/{number}.png": encoded(
            Image.fromarray(random.integers(0, 256, (30, 24 + 8 * (number % 2)), np.uint8))
        )
        for number in range(8)
    } | {
        f"blue/{number}.png": encoded(
            Image.fromarray(random.integers(0, 256, (24, 24, 3), np.uint8))
        )
        for number in range(6)
    }
    data = prepared(tmp_path / "d", "upload.zip", archive(files))
    found = predicted(tmp_path / "p", network / "checkpoint", data, split="all")
    told_of = {one["code"]: one["params"] for one in found["remarks"]}
    # Of the grey ones half are 24 pixels wide, which is their shorter side, and the others 30 high.
    assert told_of["predicted_images_fitted"] == {"px": 24, "scaled": 4, "cropped": 8}
    assert told_of["predicted_images_grey"] == {"rows": 8}
    assert found["targets"][0]["labels"]["known"] == 14


@pytest.fixture(scope="module")
def bert(tmp_path_factory: Folders) -> Path:
    return checkpoint(tmp_path_factory.mktemp("bert") / "c", BERT, PIECES)


def test_pairs_are_predicted_as_their_run_scored_them_and_single_texts_are_refused(
    bert: Path, tmp_path: Path
) -> None:
    pairs = pair_dataset(tmp_path / "d", WORDS, 80)
    spec = spec_of(
        pairs,
        source={"checkpoint": str(bert)},
        inputs={"image_px": None, "most_tokens": 16},
    )
    own = run(tmp_path / "run", spec)
    source = tmp_path / "run/checkpoint"
    found = predicted(tmp_path / "p", source, pairs, seed=3)
    same(found["targets"][0], own, CLASSES)
    texts = text_dataset(tmp_path / "t", WORDS, 60)
    with pytest.raises(TrainingError) as refused:
        predicted(tmp_path / "q", source, texts)
    assert refused.value.code == "predict_pairs_expected"
    table = table_dataset(tmp_path / "table", people(40))
    with pytest.raises(TrainingError) as refused:
        predicted(tmp_path / "r", source, table)
    assert refused.value.code == "dataset_is_table"


def test_numbers_of_texts_are_predicted_as_their_run_scored_them(
    bert: Path, tmp_path: Path
) -> None:
    data = numbered_texts(tmp_path / "d", 80)
    spec = spec_of(
        data,
        method="regression",
        source={"checkpoint": str(bert)},
        inputs={"image_px": None, "most_tokens": 16},
    )
    own = run(tmp_path / "run", spec)
    source = tmp_path / "run/checkpoint"
    found = predicted(tmp_path / "p", source, data, seed=3)
    same(found["targets"][0], own, NUMBERS)
    # So few steps make predictions that hardly differ, and float32 has few digits of 1,000.
    mine, theirs = found["targets"][0]["scores"]["model"], own["scores"]["model"]
    assert mine["pearson"] == pytest.approx(theirs["pearson"], abs=1e-4)
    for name, interval in theirs["intervals"].items():
        assert mine["intervals"][name] == pytest.approx(interval, rel=1e-5, abs=1e-5), name
    assert found["targets"][0]["scores"]["here"]["r2"] == pytest.approx(0, abs=1e-9)

    classes = text_dataset(tmp_path / "t", WORDS, 60)
    found = predicted(tmp_path / "q", source, classes, split="all")
    assert codes(found)[1:] == ["predicted_labels_classes", "predicted_no_number"]
    assert found["examples"] == 60


def test_a_head_on_frozen_features_predicts_as_it_was_scored(bert: Path, tmp_path: Path) -> None:
    data = text_dataset(tmp_path / "d", WORDS, 80)
    spec = {
        "data": {"path": str(data)},
        "source": {"checkpoint": str(bert)},
        "control": False,
        "map": False,
    }
    own = work(fit_head, FrozenFeaturesSpec.model_validate(spec), tmp_path / "head")
    found = predicted(tmp_path / "p", bert, data, head=str(tmp_path / "head/head"))
    same(found["targets"][0], own, CLASSES)
    assert found["overlap"]["known"] == "same"
    other = checkpoint(tmp_path / "other", BERT, PIECES, classes=["yes", "no"])
    (other / "card.json").write_text(
        (other / "card.json").read_text().replace('"weights_sha256": "', '"weights_sha256": "0')
    )
    with pytest.raises(TrainingError) as refused:
        predicted(tmp_path / "q", other, data, head=str(tmp_path / "head/head"))
    assert refused.value.code == "predict_head_of_another"


def test_a_head_that_predicts_a_number_says_it_in_its_units(bert: Path, tmp_path: Path) -> None:
    data = numbered_texts(tmp_path / "d", 80)
    spec = {"data": {"path": str(data)}, "source": {"checkpoint": str(bert)}}
    spec = FrozenFeaturesSpec.model_validate(spec | {"control": False, "map": False})
    own = work(fit_head, spec, tmp_path / "head")
    found = predicted(tmp_path / "p", bert, data, head=str(tmp_path / "head/head"))
    (target,) = found["targets"]
    assert (target["target"], target["type"]) == ("score", "number")
    assert target["scores"]["model"]["rmse"] == pytest.approx(own["scores"]["model"]["rmse"])
    said = {int(row["id"]): float(row["predicted"]) for row in rows(tmp_path / "p")}
    for one in own["predictions"]:
        assert said[one["id"]] == pytest.approx(one["predicted"], rel=1e-6)


def test_a_model_without_a_head_is_refused(bert: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as refused:
        predicted(tmp_path / "p", bert, images)
    assert refused.value.code == "predict_without_head"


# --- ensembles, and the command -------------------------------------------------------------------


def test_an_ensemble_of_images_predicts_as_it_was_judged(
    images: Path, network: Path, tmp_path: Path
) -> None:
    turned = checkpoint(tmp_path / "r", RESNET, classes=["blue", "green", "red"])
    spec = {
        "data": {"path": str(images)},
        "members": [{"checkpoint": str(network / "checkpoint")}, {"checkpoint": str(turned)}],
        "image_px": 24,
        "combination": "weights",
    }
    own = work(combine, EnsembleSpec.model_validate(spec), tmp_path / "e")
    found = predicted(tmp_path / "p", tmp_path / "e/checkpoint", images)
    same(found["targets"][0], own, CLASSES)


def test_an_ensemble_of_tables_predicts_as_it_was_judged(
    table: Path, wide_deep: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wide_deep_task, "table_baselines", lambda *_values: {})
        work(train, table_spec(table, seed=5), tmp_path / "run")
    members = [wide_deep / "checkpoint", tmp_path / "run/checkpoint"]
    spec = {
        "data": {"path": str(table)},
        "members": [{"checkpoint": str(one)} for one in members],
    }
    own = work(combine, EnsembleSpec.model_validate(spec), tmp_path / "e")
    found = predicted(tmp_path / "p", tmp_path / "e/checkpoint", table)
    same(found["targets"][0], own, CLASSES)


def test_the_command_predicts(table: Path, wide_deep: Path, tmp_path: Path) -> None:
    spec = {
        "checkpoint": str(wide_deep / "checkpoint"),
        "data": {"path": str(table)},
        "split": "test",
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    arguments = ["predict", str(tmp_path / "spec.json"), "--out", str(tmp_path / "p"), "--quiet"]
    assert main(arguments) == EXIT_DONE
    assert report(tmp_path / "p")["examples"] == len(rows(tmp_path / "p"))
