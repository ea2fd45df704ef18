"""Wide & Deep on small tables: it trains, resumes, comes back, predicts, and is a source."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.small_tables import people, table_dataset, table_spec
from training import stopping
from training.__main__ import main
from training.backbones.registry import BACKBONES, model_class
from training.backbones.wide_deep.config import WideDeepConfig
from training.data.table_features import read_features
from training.data.tables import UNSEEN, Table, read_table
from training.engine.run import run
from training.errors import EXIT_DONE, TrainingError
from training.evaluation.classification import softmax
from training.events import EventLog, read_events
from training.methods.task_related import wide_deep_task
from training.methods.task_related.wide_deep import LoadedTable
from training.methods.task_related.wide_deep_spec import WideDeepSpec, scratch_twin
from training.predicting.models import TableModel
from training.weights.checkpoint import read_checkpoint
from training.weights.initial import initial_tensors


def trained(spec: WideDeepSpec, out: Path, *, baselines: bool = False) -> dict[str, Any]:
    """Its report; what stands beside the model takes longer than so short a run."""
    out.mkdir(parents=True, exist_ok=True)
    events = EventLog(out / "events.jsonl")
    with pytest.MonkeyPatch.context() as patched:
        if not baselines:
            patched.setattr(wide_deep_task, "table_baselines", lambda *_values: {})
        run(spec, out, events)
    events.close()
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_dataset(tmp_path_factory.mktemp("people") / "data", people())


@pytest.fixture(scope="module")
def finished(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    trained(table_spec(dataset, training={"steps": 40, "learning_rate": 0.1}), out, baselines=True)
    return out


def split(dataset: Path, name: str = "test") -> Table:
    found = read_table(dataset, name)
    assert found is not None
    return found


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", ["both", "wide", "deep"])
def test_the_network_is_the_sum_of_its_parts_in_plain_numpy(parts: Any) -> None:
    preset = BACKBONES["wide_deep"].presets["nano"]
    config = WideDeepConfig.model_validate(preset.model_dump() | {"parts": parts})
    random = np.random.default_rng(0)
    tensors = {
        one.name: random.normal(0, 0.5, one.shape).astype(np.float32) for one in config.tensors()
    }
    model = model_class("wide_deep")(config)
    model.load_named(tensors)
    count = 5
    numbers = random.normal(size=(count, 2 * 2 + 8 + 8)).astype(np.float32)
    codes = {
        kind: np.stack([random.integers(0, rows, count) for rows in sizes], 1).astype(np.int32)
        for kind, sizes in (
            ("number", config.numbers),
            ("category", config.categories),
            ("cross", config.crosses),
        )
    }
    wanted = np.tile(tensors["bias"].astype(np.float64), (count, 1))
    if parts != "deep":
        for kind, found in codes.items():
            for column in range(found.shape[1]):
                rows = tensors[f"wide.{kind}.{column}.weight"].shape[0]
                wanted += np.eye(rows)[found[:, column]] @ tensors[f"wide.{kind}.{column}.weight"]
    if parts != "wide":
        x = [numbers.astype(np.float64)]
        x += [
            tensors[f"deep.embedding.{column}.weight"][codes["category"][:, column]]
            for column in range(2)
        ]
        hidden = np.concatenate(x, 1)
        for layer in range(2):
            kernel = tensors[f"deep.hidden.{layer}.weight"]
            hidden = np.maximum(hidden @ kernel.T + tensors[f"deep.hidden.{layer}.bias"], 0)
        wanted += hidden @ tensors["deep.head.weight"].T
    rows = tuple(map(tf.constant, (numbers, *codes.values())))
    np.testing.assert_allclose(model(rows).numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_dropout_is_on_in_training_alone_and_follows_from_the_seed() -> None:
    config = BACKBONES["wide_deep"].presets["nano"]
    model = model_class("wide_deep")(config, dropout=0.5)
    model.load_named(initial_tensors(config.tensors(), 0))
    rows = (tf.ones([3, 20]), *(tf.zeros([3, n], tf.int32) for n in (2, 2, 1)))

    def seen(seed: int) -> Any:
        return model(rows, training=True, seed=tf.constant([seed, 0])).numpy()

    assert (seen(1) == seen(1)).all()
    assert (seen(1) != seen(2)).any()
    assert (model(rows).numpy() != seen(1)).any()


# --- a run ----------------------------------------------------------------------------------------


def test_it_learns_what_only_a_cross_or_a_network_can(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    assert report["counts"] == "examples"
    assert report["target"] == "rich"
    assert report["split"] == "test"
    assert list(report["scores"]) == ["model", "boosting", "logistic", "majority"]
    scores = {name: one["auc"] for name, one in report["scores"].items()}
    assert scores["model"] > 0.85
    assert scores["majority"] == 0.5
    # Where job and town meet, a linear model without crosses sees little.
    assert scores["model"] > scores["logistic"] + 0.1
    assert report["before"]["test"]["accuracy"] < report["after"]["test"]["accuracy"]
    worst = report["predictions"][0]
    assert [name for name, _value in worst["values"]] == ["age", "job", "town"]
    assert worst["label"] != worst["predicted"]
    assert 0 < report["parameters"]["total"] == report["parameters"]["trainable"]


def test_the_worst_rows_are_shown_as_they_were_uploaded(finished: Path, dataset: Path) -> None:
    rows = people()
    for one in json.loads((finished / "report.json").read_text())["predictions"]:
        row = rows[one["id"]]
        values = dict(one["values"])
        assert values["town"] == row["town"]
        assert values["job"] == (row["job"] or None)
        told = values["age"]
        assert told is None if row["age"] == "" else float(told) == row["age"]
        assert one["label"] == row["rich"]


def test_the_checkpoint_predicts_what_the_report_says(finished: Path, dataset: Path) -> None:
    checkpoint = read_checkpoint(finished / "checkpoint", verify=True)
    assert "table.json" in checkpoint.card["files"]
    model, table = TableModel(checkpoint), split(dataset)
    names, found = model.targets[0].classes, softmax(model.of_table(table)[0])
    (target,) = table.targets
    right = np.array(names)[found.argmax(1)] == np.array(target.column.categories)[target.values]
    report = json.loads((finished / "report.json").read_text())
    assert right.mean() == pytest.approx(report["scores"]["model"]["accuracy"])
    np.testing.assert_allclose(found.sum(1), 1)
    assert checkpoint.card["classes"] == list(names)


def test_what_it_has_never_seen_is_predicted_all_the_same(finished: Path, dataset: Path) -> None:
    checkpoint, table = read_checkpoint(finished / "checkpoint"), split(dataset)
    unseen = replace(table, categories=np.full_like(table.categories, UNSEEN))
    missing = replace(
        table,
        numbers=np.full_like(table.numbers, np.nan),
        categories=np.zeros_like(table.categories),
    )
    wild = replace(table, numbers=np.full_like(table.numbers, 3e38))
    for one in (unseen, missing, wild):
        (found,) = TableModel(checkpoint).of_table(one)
        assert np.isfinite(found).all()
    # No training row was like that: what stands for it says nothing.
    tensors = checkpoint.tensors()
    for name in ("deep.embedding.0.weight", "wide.category.0.weight"):
        assert (tensors[name][UNSEEN] == 0).all()
        assert (tensors[name][UNSEEN + 1] != 0).any()


def test_a_table_without_its_columns_is_refused(finished: Path, tmp_path: Path) -> None:
    rows = [{"age": row["age"], "job": row["job"], "rich": row["rich"]} for row in people(100)]
    other = split(table_dataset(tmp_path, rows))
    with pytest.raises(TrainingError) as caught:
        TableModel(read_checkpoint(finished / "checkpoint")).of_table(other)
    assert caught.value.code == "table_columns_missing"
    assert caught.value.params["columns"] == "town"


def test_a_paused_run_goes_on_to_the_same_bits(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = table_spec(
        dataset,
        network={"hidden": [8], "embedding": 3},
        training={"dropout": 0.2, "l1": 0.01, "accumulation": 2},
    )
    whole = trained(spec, tmp_path / "whole")
    asked = iter([False] * 5 + [True] * 100)
    with monkeypatch.context() as patched:
        patched.setattr(stopping, "requested", lambda: next(asked))
        with pytest.raises(stopping.Stopped):
            trained(spec, tmp_path / "paused")
    resumed = trained(spec, tmp_path / "paused")
    told, _offset = read_events(tmp_path / "paused" / "events.jsonl")
    assert [one["step"] for one in told if one["kind"] == "resumed"] not in ([], [0], [-1])
    assert resumed["curves"] == whole["curves"]
    hashes = [
        read_checkpoint(tmp_path / name / "checkpoint").weights_sha256
        for name in ("whole", "paused")
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("parts", ["wide", "deep"])
def test_each_part_trains_alone(parts: str, dataset: Path, tmp_path: Path) -> None:
    crosses = [] if parts == "deep" else [["job", "town"]]
    spec = table_spec(dataset, network={"parts": parts}, features={"crosses": crosses})
    report = trained(spec, tmp_path)
    assert report["after"]["validation"]["loss"] < report["before"]["validation"]["loss"]
    assert (report["zero_share"] is None) == (parts == "deep")


def test_a_strong_l1_leaves_most_of_the_wide_part_at_zero(dataset: Path, tmp_path: Path) -> None:
    report = trained(table_spec(dataset, training={"l1": 0.5}), tmp_path)
    assert report["zero_share"] > 0.5


def test_three_classes_and_a_table_of_numbers_alone(tmp_path: Path) -> None:
    rows = [
        {"x": n % 40, "y": (n * 7) % 31, "rich": ["no", "some", "yes"][(n % 40) // 14]}
        for n in range(300)
    ]
    spec = table_spec(table_dataset(tmp_path / "data", rows), features={"crosses": [["x", "y"]]})
    report = trained(spec, tmp_path / "run")
    assert set(report["classes"]) == {"no", "some", "yes"}
    assert len(report["scores"]["model"]["confusion"]) == 3


# --- from a source --------------------------------------------------------------------------------


def source_spec(dataset: Path, finished: Path, **values: Any) -> WideDeepSpec:
    source = {"checkpoint": str(finished / "checkpoint")}
    return table_spec(dataset, source=source, **values)


def test_a_run_on_an_equal_table_starts_from_all_weights(
    finished: Path, dataset: Path, tmp_path: Path
) -> None:
    report = trained(source_spec(dataset, finished, training={"steps": 4}), tmp_path)
    weights = report["weights"]
    assert weights["verified"]
    assert weights["initialised"] == 0
    assert weights["parameters_copied"] == weights["parameters_total"]
    before = json.loads((finished / "report.json").read_text())["after"]["test"]
    assert report["before"]["test"] == pytest.approx(before)
    # The wide part goes on from where it was, and is not thrown back to zero by the first step.
    assert report["after"]["test"]["loss"] < 1.2 * before["loss"]


def test_rows_follow_names_and_new_categories_stand_behind(
    finished: Path, dataset: Path, tmp_path: Path
) -> None:
    rows = [dict(reversed(row.items())) for row in people(240, seed=9, jobs=("monk", "cook"))]
    other = table_dataset(tmp_path / "data", rows)
    spec = source_spec(other, finished, training={"steps": 4})
    events = EventLog(tmp_path / "events.jsonl")
    loaded = LoadedTable(spec)
    old = read_features(finished / "checkpoint")
    assert loaded.features.categories[0].categories == (*old.categories[0].categories, "monk")
    task = loaded.build(
        compute_dtype="float32", fused=True, strategy=tf.distribute.get_strategy(), events=events
    )
    events.close()
    source = read_checkpoint(finished / "checkpoint").tensors()
    now = task.model.named()
    for name in ("deep.embedding.0.weight", "wide.category.0.weight", "wide.cross.0.weight"):
        count = source[name].shape[0]
        assert now[name].shape[0] > count
        assert (now[name][:count] == source[name]).all()
    assert (now["wide.category.0.weight"][source["wide.category.0.weight"].shape[0] :] == 0).all()
    trained(spec, tmp_path / "run")
    assert read_features(tmp_path / "run" / "checkpoint") == loaded.features


def test_other_classes_start_all_heads_afresh_and_keep_the_network(
    finished: Path, tmp_path: Path
) -> None:
    rows = [row | {"rich": row["rich"] + "!"} for row in people()]
    spec = source_spec(table_dataset(tmp_path / "data", rows), finished, training={"steps": 4})
    report = trained(spec, tmp_path / "run")
    fresh = {"wide.number.0", "wide.category.0", "wide.category.1", "wide.cross.0", "deep.head"}
    assert report["weights"]["initialised"] == len(fresh) + 1
    assert report["weights"]["copied"] > 0


def test_a_twin_is_the_same_model_without_the_weights(
    finished: Path, dataset: Path, tmp_path: Path
) -> None:
    transfer = source_spec(dataset, finished)
    source = read_checkpoint(finished / "checkpoint")
    twin = scratch_twin(transfer, source.config)
    one, other = LoadedTable(transfer), LoadedTable(twin)
    assert one.config == other.config == source.config
    assert one.features == other.features
    assert other.source is None


def test_the_command_line_tells_what_it_will_take(
    dataset: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for spec in (table_spec(dataset), source_spec(dataset, finished)):
        (tmp_path / "spec.json").write_text(spec.model_dump_json())
        assert main(["estimate", str(tmp_path / "spec.json")]) == EXIT_DONE
        told = json.loads(capsys.readouterr().out)
        assert told["parameters"] == LoadedTable(spec).config.parameter_count()


# --- refusals -------------------------------------------------------------------------------------


def test_what_cannot_be_learned_from_is_refused_before_tensorflow(
    dataset: Path, tmp_path: Path
) -> None:
    rows = people()
    plain = table_dataset(tmp_path / "plain", rows, targets=[])
    number = table_dataset(tmp_path / "number", rows, targets=["age"])
    no_validation = shutil.copytree(dataset, tmp_path / "no-validation")
    (no_validation / "validation.parquet").unlink()
    for spec, code, field in (
        (table_spec(plain), "table_without_target", "data.path"),
        (table_spec(number), "table_target_number", "data.path"),
        (table_spec(dataset, target="job"), "table_target_unknown", "target"),
        (table_spec(no_validation), "split_missing", "data.path"),
        (table_spec(tmp_path), "dataset_not_table", "data.path"),
        (
            table_spec(dataset, features={"crosses": [["job", "pet"]]}),
            "cross_column_unknown",
            "features.crosses.0",
        ),
    ):
        with pytest.raises(TrainingError) as caught:
            LoadedTable(spec)
        assert (caught.value.code, caught.value.field) == (code, field)


def test_of_several_targets_one_is_chosen_and_rows_without_it_are_left_out(tmp_path: Path) -> None:
    rows = [row | {"pet": ["cat", "dog", ""][n % 3]} for n, row in enumerate(people())]
    both = table_dataset(tmp_path / "data", rows, targets=["rich", "pet"])
    loaded = LoadedTable(table_spec(both, target="pet"))
    assert sorted(loaded.names) == ["cat", "dog"]
    for one in loaded.splits.values():
        assert all(rows[row]["pet"] for row in one.table.rows[one.places].tolist())
        assert len(one) < len(one.table)
    assert {one.name for one in loaded.features.categories} == {"job", "town"}
