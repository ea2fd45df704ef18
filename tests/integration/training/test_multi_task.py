"""Several targets of small tables: the loss, missing labels, resuming, sources, what is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.small_tables import people, table_dataset, table_spec
from training import stopping
from training.backbones.multi_task.model import MultiTask
from training.backbones.registry import BACKBONES
from training.data.table_tasks import read_tasks
from training.data.tables import read_table
from training.engine.run import run
from training.errors import TrainingError
from training.events import EventLog
from training.methods.task_related import multi_task_task, wide_deep_task
from training.methods.task_related.multi_task import LoadedTasks
from training.methods.task_related.multi_task_loss import row_losses, row_weights, weigh
from training.methods.task_related.multi_task_spec import (
    MultiTaskSpec,
    scratch_twin,
    single_task_twin,
)
from training.methods.task_related.multi_task_task import MultiTaskTask
from training.predicting.models import TableModel
from training.weights.checkpoint import read_checkpoint

TARGETS = ["rich", "pay", "pet"]
NUMBER = [False, True, False]


def workers(count: int = 260, *, rich: float = 0.5) -> list[dict[str, Any]]:
    """Rows with three targets: classes that few have, a number, and classes again."""
    draw, found = random.Random(1), []
    for row in people(count):
        ulm = row["town"] == "Ulm"
        pay = 20 + (12 if ulm else 0) + draw.gauss(0, 2)
        found.append(
            row
            | {
                "pay": "" if draw.random() < 0.2 else round(pay, 2),
                "pet": draw.choice(["cat", "dog", "eel", ""]),
                "rich": ["no", "yes"][ulm != (draw.random() < 0.05)]
                if draw.random() < rich
                else "",
            }
        )
    return found


def spec_of(dataset: Path, **values: Any) -> MultiTaskSpec:
    """A short run; parts given are laid over its own."""
    spec: dict[str, Any] = {
        "data": {"path": str(dataset)},
        "features": {"pieces": 4},
        "network": {"hidden": [8, 4]},
        "training": {"steps": 12, "batch_size": 32, "warmup_steps": 2, "learning_rate": 0.01},
        "evaluation": {"every": 4, "checkpoint_every": 4},
    }
    for name, value in values.items():
        part = spec.get(name)
        spec[name] = part | value if isinstance(part, dict) and isinstance(value, dict) else value
    if values.get("source"):
        del spec["features"], spec["network"]
    return MultiTaskSpec.model_validate(spec)


def trained(spec: Any, out: Path, *, baselines: bool = False) -> dict[str, Any]:
    """Its report; what stands beside the model takes longer than so short a run."""
    out.mkdir(parents=True, exist_ok=True)
    events = EventLog(out / "events.jsonl")
    with pytest.MonkeyPatch.context() as patched:
        if not baselines:
            for module in (multi_task_task, wide_deep_task):
                patched.setattr(module, "table_baselines", lambda *_values: {})
            patched.setattr(multi_task_task, "number_baselines", lambda *_values: {})
        run(spec, out, events)
    events.close()
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def built(spec: MultiTaskSpec, folder: Path) -> MultiTaskTask:
    events = EventLog(folder / "built.jsonl")
    task: MultiTaskTask = LoadedTasks(spec).build(
        compute_dtype="float32", fused=True, strategy=tf.distribute.get_strategy(), events=events
    )
    events.close()
    return task


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_dataset(tmp_path_factory.mktemp("workers") / "data", workers(), targets=TARGETS)


@pytest.fixture(scope="module")
def finished(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    training = {"steps": 60, "weighting": "uncertainty", "learning_rate": 0.01}
    spec = spec_of(dataset, training=training)
    trained(spec, out, baselines=True)
    return out


# --- the loss -------------------------------------------------------------------------------------


def in_numpy(
    outputs: list[Any], labels: Any, present: Any, weights: list[float] | None, s: Any
) -> float:
    """The loss of a batch as its definition says, row by row."""
    total = 0.0
    for task, is_number in enumerate(NUMBER):
        rows = np.flatnonzero(present[:, task])
        found = []
        for row in rows:
            said = outputs[task][row]
            if is_number:
                loss = (said[0] - labels[row, task]) ** 2
            else:
                shares = np.exp(said) / np.exp(said).sum()
                loss = -np.log(shares[int(labels[row, task])])
            if weights is not None:
                found.append(weights[task] * loss)
            elif is_number:
                found.append(loss / (2 * np.exp(s[task])) + s[task] / 2)
            else:
                found.append(loss / np.exp(s[task]) + s[task] / 2)
        total += float(np.mean(found)) if len(rows) else 0.0
    return total


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.6, 1.0])
def test_the_loss_is_that_of_plain_numpy(learned: bool, missing: float) -> None:
    draw = np.random.default_rng(3)
    count = 9
    outputs = [draw.normal(size=(count, n)).astype(np.float32) for n in (2, 1, 3)]
    labels = np.stack(
        [draw.integers(0, 2, count), draw.normal(size=count), draw.integers(0, 3, count)], 1
    ).astype(np.float32)
    present = draw.random((count, 3)) >= missing
    if missing == 1:
        present[:, 1] = True  # two tasks without any label
    weights, s = [1.0, 0.5, 2.0], draw.normal(size=3).astype(np.float32)
    losses = row_losses([tf.constant(one) for one in outputs], tf.constant(labels), NUMBER)
    found = weigh(losses, NUMBER, weights, list(tf.unstack(tf.constant(s))) if learned else [])
    total = float(tf.reduce_sum(found * row_weights(present))) / count
    wanted = in_numpy(outputs, labels, present, None if learned else weights, s)
    assert total == pytest.approx(wanted, rel=1e-5)


def test_a_task_is_its_noise_where_the_loss_is_smallest() -> None:
    # Of a number the best σ² is the mean squared error, as the likelihood of a normal says.
    for is_number, best in ((True, 0.4), (False, 0.8)):
        s = tf.Variable(np.log(best), dtype=tf.float32)
        with tf.GradientTape() as tape:
            losses = weigh(tf.constant([[0.3], [0.5]]), [is_number], [1.0], [s])
            loss = tf.reduce_mean(losses)
        assert float(tape.gradient(loss, s)) == pytest.approx(0, abs=1e-6)


def test_the_network_is_a_trunk_with_heads_in_plain_numpy() -> None:
    config = BACKBONES["multi_task"].presets["nano"]
    draw = np.random.default_rng(0)
    tensors = {
        one.name: draw.normal(0, 0.5, one.shape).astype(np.float32) for one in config.tensors()
    }
    model = MultiTask(config)
    model.load_named(tensors)
    numbers = draw.normal(size=(5, 2 * 2 + 8 + 8)).astype(np.float32)
    codes = np.stack([draw.integers(0, rows, 5) for rows in config.categories], 1).astype(np.int32)
    x = [numbers] + [tensors[f"deep.embedding.{n}.weight"][codes[:, n]] for n in range(2)]
    hidden = np.concatenate(x, 1).astype(np.float64)
    for layer in range(2):
        kernel = tensors[f"deep.hidden.{layer}.weight"]
        hidden = np.maximum(hidden @ kernel.T + tensors[f"deep.hidden.{layer}.bias"], 0)
    for key, said in zip(config.tasks, model((numbers, codes)), strict=True):
        wanted = hidden @ tensors[f"task.{key}.weight"].T + tensors[f"task.{key}.bias"]
        np.testing.assert_allclose(said.numpy(), wanted, rtol=1e-4, atol=1e-4)


# --- batches --------------------------------------------------------------------------------------


def test_a_missing_label_changes_nothing_of_its_task_whatever_stands_there(
    dataset: Path, tmp_path: Path
) -> None:
    task = built(spec_of(dataset), tmp_path)
    batch = task.batch(0)
    names = list(task.phases[0].names)
    variables = [task.model.named_variables[name].value for name in names]
    *_rest, labels, counts, _mask = batch
    assert (counts == 0).any(0).all()
    odd = np.where(counts == 0, 1.0, labels).astype(np.float32)

    def told(values: Any) -> Any:
        parts = [tf.constant(one) for one in (*batch[:2], values, *batch[3:])]
        loss, rows, found = task.gradients(parts, tf.constant([0, 1]), variables, task.phases[0])
        return float(loss), float(rows), [tf.convert_to_tensor(one).numpy() for one in found]

    one, other = told(labels), told(odd)
    assert one[:2] == other[:2]
    for mine, theirs in zip(one[2], other[2], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_few_rows_with_the_main_target_have_their_share_of_each_batch(tmp_path: Path) -> None:
    dataset = table_dataset(tmp_path / "data", workers(rich=0.15), targets=TARGETS)
    for share, least, most in ((0.5, 16, 16), (0.0, 0, 14)):
        task = built(spec_of(dataset, training={"main_share": share}), tmp_path)
        for index in range(5):
            *_rows, counts, _mask = task.batch(index)
            labelled = int((counts[:, 0] > 0).sum())
            assert least <= labelled <= most
            # Whatever their share, each task is averaged over its own rows.
            np.testing.assert_allclose(counts.sum(0), 32, rtol=1e-5)
    assert task.epoch(0) == (0, 0)


# --- a run ----------------------------------------------------------------------------------------


def test_a_report_has_each_target_by_its_own_measures(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    rich, pay, pet = report["tasks"]
    assert [one["target"] for one in report["tasks"]] == TARGETS
    assert list(rich["scores"]) == ["model", "boosting", "logistic", "majority"]
    assert list(pay["scores"]) == ["model", "mean"]
    assert list(pet["scores"]) == ["model", "majority"]
    assert rich["scores"]["model"]["auc"] > 0.75
    assert pay["scores"]["model"]["rmse"] < 0.8 * pay["scores"]["mean"]["rmse"]
    assert 4 < pay["scores"]["mean"]["rmse"] < 8  # in the column's units
    assert len(pet["scores"]["model"]["confusion"]) == 3
    assert rich["labelled"]["train"] < pay["labelled"]["train"]
    # What can be told is weighed more than what is drawn by lot.
    assert pay["log_variance"] < pet["log_variance"]
    assert pay["weight"] == pytest.approx(0.5 * np.exp(-pay["log_variance"]))
    after = report["after"]["test"]
    assert set(after) == {"loss", "accuracy", "examples", "loss.pay", "loss.pet"}
    assert after["accuracy"] == pytest.approx(rich["scores"]["model"]["accuracy"])
    assert {"validation_loss.pay", "validation_noise.rich"} <= set(report["curves"])
    rows = workers()
    for one in pay["predictions"]:
        assert one["label"] == pytest.approx(rows[one["id"]]["pay"], rel=1e-5)
        assert [name for name, _value in one["values"]] == ["age", "job", "town"]


def test_the_checkpoint_predicts_what_the_report_says(finished: Path, dataset: Path) -> None:
    checkpoint = read_checkpoint(finished / "checkpoint", verify=True)
    table = read_table(dataset, "test")
    assert table is not None
    model = TableModel(checkpoint)
    found = dict(zip(TARGETS, model.of_table(table), strict=True))
    report = json.loads((finished / "report.json").read_text())
    truth = {one.column.name: one for one in table.targets}
    pay = truth["pay"]
    missed = (found["pay"][:, 0] - pay.values)[pay.present]
    told = report["tasks"][1]["scores"]["model"]["rmse"]
    assert np.sqrt(np.square(missed).mean()) == pytest.approx(told, rel=1e-4)
    assert [one.name for one in model.targets] == TARGETS
    assert found["pet"].shape[1] == len(model.targets[2].classes) == 3
    assert [one.name for one in read_tasks(checkpoint.folder)] == TARGETS


def test_a_paused_run_goes_on_to_the_same_bits_noises_included(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(dataset, training={"weighting": "uncertainty", "dropout": 0.2})
    whole = trained(spec, tmp_path / "whole")
    asked = iter([False] * 5 + [True] * 100)
    with monkeypatch.context() as patched:
        patched.setattr(stopping, "requested", lambda: next(asked))
        with pytest.raises(stopping.Stopped):
            trained(spec, tmp_path / "paused")
    resumed = trained(spec, tmp_path / "paused")
    assert resumed["curves"] == whole["curves"]
    noises = [value for _step, value in whole["curves"]["validation_noise.pay"]]
    assert noises[0] == 0
    assert len(set(noises)) == len(noises)
    hashes = {
        read_checkpoint(tmp_path / name / "checkpoint").weights_sha256
        for name in ("whole", "paused")
    }
    assert len(hashes) == 1


def test_the_main_target_alone_begins_from_the_very_same_weights_and_rows(
    dataset: Path, tmp_path: Path
) -> None:
    spec = spec_of(dataset)
    single = single_task_twin(spec)
    assert single is not None
    several, alone = built(spec, tmp_path), built(single, tmp_path)
    assert [one.name for one in alone.loaded.tasks] == ["rich"]
    assert alone.loaded.features == several.loaded.features
    mine, theirs = several.model.named(), alone.model.named()
    for name, value in theirs.items():
        np.testing.assert_array_equal(mine[name], value)
    rows, few = several.loaded.splits["train"], alone.loaded.splits["train"]
    assert len(few) == rows.present[:, 0].sum()
    assert few.left_out > rows.left_out
    report = trained(single, tmp_path / "run")
    assert len(report["tasks"]) == 1
    assert report["left_out"]["train"] == few.left_out


def test_a_number_can_be_the_main_target(dataset: Path, tmp_path: Path) -> None:
    report = trained(spec_of(dataset, tasks=["pay", "rich = 0.2"]), tmp_path, baselines=True)
    pay, rich = report["tasks"]
    assert list(pay["scores"]) == ["model", "boosting", "linear", "mean"]
    assert rich["weight"] == 0.2
    after = report["after"]["test"]
    assert after["rmse"] == pytest.approx(pay["scores"]["model"]["rmse"], rel=1e-4)
    assert "accuracy" not in after


# --- from a source --------------------------------------------------------------------------------


def test_equal_targets_take_over_everything_in_whatever_order(
    finished: Path, dataset: Path, tmp_path: Path
) -> None:
    source = {"checkpoint": str(finished / "checkpoint")}
    spec = spec_of(
        dataset,
        source=source,
        tasks=["pay", "rich"],
        training={"steps": 2, "weighting": "uncertainty"},
    )
    report = trained(spec, tmp_path)
    assert report["weights"]["verified"]
    assert report["weights"]["initialised"] == 0
    old = json.loads((finished / "report.json").read_text())["after"]["test"]
    assert report["before"]["test"]["loss"] == pytest.approx(old["loss.pay"], rel=1e-5)
    assert report["before"]["test"]["loss.rich"] == pytest.approx(old["loss"], rel=1e-5)


def test_other_targets_keep_the_trunk_and_begin_with_new_heads(
    finished: Path, dataset: Path, tmp_path: Path
) -> None:
    rows = [row | {"pet": row["pet"] and row["pet"] + "!"} for row in workers()]
    other = table_dataset(tmp_path / "data", rows, targets=TARGETS)
    spec = spec_of(other, source={"checkpoint": str(finished / "checkpoint")})
    loaded = LoadedTasks(spec)
    assert loaded.afresh == ["pet"]
    source = read_checkpoint(finished / "checkpoint").tensors()
    now = built(spec, tmp_path).model.named()
    for name in ("deep.hidden.0.weight", "task.rich.weight", "task.pay.bias"):
        np.testing.assert_array_equal(now[name], source[name])
    assert (now["task.pet.weight"] != source["task.pet.weight"]).any()
    twin = LoadedTasks(scratch_twin(spec, loaded.config))
    assert twin.config == loaded.config
    assert twin.features == loaded.features
    assert twin.source is None


def test_the_trunk_of_a_wide_and_deep_model_is_a_source(dataset: Path, tmp_path: Path) -> None:
    trained(table_spec(dataset, target="rich", training={"steps": 2}), tmp_path / "source")
    spec = spec_of(dataset, source={"checkpoint": str(tmp_path / "source" / "checkpoint")})
    report = trained(spec, tmp_path / "run")
    # Embeddings and layers; three heads of two tensors each are new.
    assert report["weights"]["copied"] == 2 + 4
    assert report["weights"]["initialised"] == 6
    wide = table_spec(dataset, target="rich", network={"parts": "wide"}, training={"steps": 2})
    trained(wide, tmp_path / "wide")
    with pytest.raises(TrainingError) as caught:
        LoadedTasks(spec_of(dataset, source={"checkpoint": str(tmp_path / "wide" / "checkpoint")}))
    assert caught.value.code == "source_without_trunk"


# --- refusals -------------------------------------------------------------------------------------


def with_values(dataset: Path, folder: Path, column: str, **splits: Any) -> Path:
    """A copy of a data set with one value, or none, in a target of some splits."""
    folder.mkdir()
    for path in dataset.iterdir():
        (folder / path.name).symlink_to(path)
    for split, value in splits.items():
        path = folder / f"{split}.parquet"
        table = pq.read_table(path)
        path.unlink()
        place = table.column_names.index(column)
        kind = table.schema.field(place)
        values = pa.array([value] * len(table), kind.type)
        pq.write_table(table.set_column(place, kind, values), path)
    return folder


def test_what_cannot_be_learned_is_refused_before_tensorflow(dataset: Path, tmp_path: Path) -> None:
    plain = table_dataset(tmp_path / "plain", workers(), targets=[])
    one = with_values(dataset, tmp_path / "one", "rich", train="yes")
    none = with_values(dataset, tmp_path / "none", "rich", train=None)
    equal = with_values(dataset, tmp_path / "equal", "pay", train=3.0)
    unseen = with_values(dataset, tmp_path / "unseen", "rich", validation=None)
    for spec, code, field in (
        (spec_of(plain), "table_without_target", "data.path"),
        (spec_of(dataset, tasks=["rich", "job"]), "table_target_unknown", "tasks.1"),
        (spec_of(one, tasks=["pay", "rich"]), "table_target_one_class", "tasks.1"),
        (spec_of(none), "task_without_labels", "data.path"),
        (spec_of(equal, tasks=["pay"]), "table_target_constant", "tasks.0"),
        (spec_of(unseen, tasks=TARGETS), "task_without_labels", "tasks.0"),
    ):
        with pytest.raises(TrainingError) as caught:
            LoadedTasks(spec)
        assert (caught.value.code, caught.value.field) == (code, field)


def test_a_target_without_labels_to_score_by_is_told_without_scores(
    dataset: Path, tmp_path: Path
) -> None:
    folder = with_values(dataset, tmp_path / "data", "pet", validation=None, test=None)
    report = trained(spec_of(folder, training={"steps": 2}), tmp_path / "run")
    assert "scores" not in report["tasks"][2]
    assert report["tasks"][2]["labelled"]["test"] == 0
    assert "loss.pet" not in report["after"]["test"]
