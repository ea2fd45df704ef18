"""Networks that predict a number of each text or image, from the data to a head in its units."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.integration.training.labelled import (
    checkpoint,
    numbered_images,
    numbered_texts,
    spec_of,
    text_dataset,
)
from tests.integration.training.runs import changed, report, run, tensors
from tests.parity.text import CASES, word_pieces
from training.__main__ import main
from training.backbones.registry import model_class
from training.backbones.resnet.config import ResNetConfig
from training.command_specs import ExportSpec, MergeSpec
from training.data.inputs import encoded
from training.data.tokenizers import tokenizer_of
from training.errors import EXIT_DONE, TrainingError
from training.events import EventLog
from training.interop import exporting
from training.interop.exports import keras as keras_form
from training.interop.huggingface import read_folder
from training.methods.task_related.regression import LoadedNumbers
from training.methods.task_related.regression_spec import RegressionSpec
from training.weights import merging
from training.weights.checkpoint import read_checkpoint

PIECES = word_pieces(lowercase=True)
BERT = CASES["bert-pooler"].model_copy(update={"vocab_size": PIECES.size})
RESNET = ResNetConfig(depths=[1, 1], group_width=8)
HEAD = {"classifier.weight", "classifier.bias"}
POOLER = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}

Folders = pytest.TempPathFactory


def regression(dataset: Path, source: Path | None = None, **parts: Any) -> dict[str, Any]:
    if source is not None:
        parts["source"] = {"checkpoint": str(source)}
    return spec_of(dataset, method="regression", **parts)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: Folders) -> Path:
    return numbered_texts(tmp_path_factory.mktemp("texts") / "d", 100)


@pytest.fixture(scope="module")
def images(tmp_path_factory: Folders) -> Path:
    return numbered_images(tmp_path_factory.mktemp("images") / "d", 60)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: Folders) -> Path:
    return checkpoint(tmp_path_factory.mktemp("bert") / "c", BERT, PIECES)


@pytest.fixture(scope="module")
def tuned(texts: Path, bert: Path, tmp_path_factory: Folders) -> Path:
    """The folder of a run on texts, by the command line."""
    out = tmp_path_factory.mktemp("tuned") / "run"
    path = out.parent / "run.json"
    spec = regression(texts, bert, training={"steps": 60, "learning_rate": 1e-2})
    spec["evaluation"]["every"] = 20
    path.write_text(json.dumps(spec))
    assert main(["run", str(path), "--out", str(out), "--quiet"]) == EXIT_DONE
    return out


def predicted(folder: Path, rows: list[dict[str, Any]]) -> np.ndarray:
    """What a checkpoint of texts says by itself, one text at a time."""
    found = read_checkpoint(folder)
    model = model_class(found.config.architecture)(found.config)
    model.load_named(found.tensors())
    tokenizer = tokenizer_of(found)
    ids = [encoded(tokenizer, row, found.config.context)[0] for row in rows]
    return np.array([float(model(np.array([one], np.int32)).numpy()[0, 0]) for one in ids])


def rows_of(dataset: Path, split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (dataset / f"{split}.jsonl").read_text().splitlines()]


# --- what a report says ---------------------------------------------------------------------------


def test_it_learns_the_number_and_says_so_in_its_units(tuned: Path, texts: Path) -> None:
    found = report(tuned)
    assert (found["method"], found["target"], found["split"]) == ("regression", "score", "test")
    assert set(found["scores"]) == {"model", "tfidf", "mean", "median"}
    mine, mean = found["scores"]["model"], found["scores"]["mean"]
    assert mine["rmse"] < 0.8 * mean["rmse"]
    assert mine["pearson"] > 0.7
    # Words decide, so that words alone are hard to beat.
    assert found["beaten_by"] == ["tfidf"]
    after = found["after"]["test"]
    assert after["rmse"] == pytest.approx(mine["rmse"], rel=1e-5)
    assert after["mae"] == pytest.approx(mine["mae"], rel=1e-5)
    deviation = read_checkpoint(tuned / "checkpoint").card["target"]["deviation"]
    assert after["loss"] == pytest.approx((mine["rmse"] / deviation) ** 2, rel=1e-4)
    # It begins near the mean, wherever that is.
    before = found["before"]["validation"]
    assert before["rmse"] < 2 * deviation
    curves = found["curves"]
    assert curves["validation_rmse"][-1][1] == pytest.approx(
        deviation * curves["validation_loss"][-1][1] ** 0.5, rel=1e-5
    )
    for name in ("rmse", "mae"):
        assert (
            read_checkpoint(tuned / "checkpoint").card["scores"][f"test_{name}"]
            == (found["after"]["test"][name])
        )


def test_the_examples_that_are_farthest_off_are_shown(tuned: Path, texts: Path) -> None:
    rows = {row["id"]: row for row in rows_of(texts, "test")}
    shown = report(tuned)["predictions"]
    assert len(shown) == len(rows) == 25
    off = [abs(one["error"]) for one in shown]
    assert off == sorted(off, reverse=True)
    for one in shown:
        assert (one["text"], one["label"]) == (rows[one["id"]]["text"], rows[one["id"]]["label"])
        assert one["error"] == pytest.approx(one["predicted"] - one["label"])
    assert sorted(label for label, _predicted in report(tuned)["points"]) == sorted(
        row["label"] for row in rows.values()
    )


# --- what a checkpoint is -------------------------------------------------------------------------


def test_the_checkpoint_answers_in_the_number_s_own_units(tuned: Path, texts: Path) -> None:
    found = read_checkpoint(tuned / "checkpoint", verify=True)
    numbers = np.array([row["label"] for row in rows_of(texts, "train")])
    assert found.config.labels == ["score"]
    assert found.card["target"] == {
        "name": "score",
        "mean": pytest.approx(numbers.mean()),
        "deviation": pytest.approx(numbers.std()),
    }
    assert "classes" not in found.card
    told = {one["id"]: one["predicted"] for one in report(tuned)["predictions"]}
    rows = rows_of(texts, "test")
    answers = predicted(tuned / "checkpoint", rows)
    assert answers == pytest.approx([told[row["id"]] for row in rows], abs=2e-3)


@pytest.mark.parametrize("form", ["huggingface", "keras"])
def test_what_is_exported_says_the_same_numbers(
    form: Any, tuned: Path, texts: Path, tmp_path: Path
) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    exporting.run(ExportSpec(checkpoint=str(tuned / "checkpoint"), format=form), tmp_path, log)
    log.close()
    if form == "huggingface":
        config = json.loads((tmp_path / "export/config.json").read_text())
        assert config["architectures"] == ["BertForSequenceClassification"]
        # As transformers takes it: one label, whose score is the number.
        assert (config["problem_type"], config["id2label"]) == ("regression", {"0": "score"})
        again = read_folder(tmp_path / "export")
        assert again.config.labels == ["score"]
        stored = tensors(tuned / "checkpoint")
        assert all(np.array_equal(stored[name], again.tensors[name]) for name in HEAD)
        return
    model = keras.saving.load_model(tmp_path / "export" / keras_form.FILE, safe_mode=True)
    row = rows_of(texts, "test")[0]
    ids = np.array([encoded(PIECES, row, BERT.context)[0]], np.int32)
    given = [ids, np.ones_like(ids), np.zeros_like(ids)][: len(model.inputs)]
    found = float(np.asarray(model(given))[0, 0])
    assert found == pytest.approx(float(predicted(tuned / "checkpoint", [row])[0]), abs=2e-3)


def test_a_merge_of_two_that_predict_the_same_number_says_so(tuned: Path, tmp_path: Path) -> None:
    found = read_checkpoint(tuned / "checkpoint")
    elsewhere = {"name": "score", "mean": 900.0, "deviation": 3.0}
    other = checkpoint(tmp_path / "other", found.config, PIECES, target=elsewhere)
    age = checkpoint(tmp_path / "age", found.config, PIECES, target=elsewhere | {"name": "age"})
    for place, kept in ((other, True), (age, False)):
        spec = MergeSpec(
            method="interpolate", checkpoints=[str(found.folder), str(place)], alpha=0.5
        )
        out = tmp_path / f"merged-{kept}"
        out.mkdir()
        log = EventLog(out / "events.jsonl")
        merging.run(spec, out, log)
        log.close()
        card = read_checkpoint(out / "checkpoint").card
        # Both answer in its units, so that their mean does.
        assert card.get("target") == (found.card["target"] if kept else None)


# --- where a run begins ---------------------------------------------------------------------------


def test_a_later_run_begins_where_the_checkpoint_left_off(
    tuned: Path, tmp_path_factory: Folders, tmp_path: Path
) -> None:
    # Other texts, in other numbers: neither mean nor deviation is the first data's.
    others = numbered_texts(tmp_path_factory.mktemp("others") / "d", 40)
    run(tmp_path / "run", regression(others, tuned / "checkpoint", training={"steps": 2}))
    rows = rows_of(others, "test")
    answers = predicted(tuned / "checkpoint", rows)
    labels = np.array([row["label"] for row in rows])
    before = report(tmp_path / "run")["before"]["test"]["rmse"]
    assert before == pytest.approx(float(np.sqrt(np.square(answers - labels).mean())), rel=1e-3)
    weights = report(tmp_path / "run")["weights"]
    assert (weights["initialised"], weights["verified"]) == (0, True)


def test_another_number_gets_a_head_of_its_own(
    tuned: Path, tmp_path_factory: Folders, tmp_path: Path
) -> None:
    others = numbered_texts(tmp_path_factory.mktemp("ages") / "d", 40, column="age")
    spec = regression(
        others, tuned / "checkpoint", training={"steps": 4, "policy": "head", "loss": "huber"}
    )
    run(tmp_path / "run", spec)
    before, after = tensors(tuned / "checkpoint"), tensors(tmp_path / "run/checkpoint")
    # The pooler came along and is none of the head's; nothing but the head was trained.
    assert changed(before, after) == HEAD
    found = report(tmp_path / "run")
    assert found["weights"]["initialised"] == 2
    after_loss, scale = found["after"]["test"], read_checkpoint(tmp_path / "run/checkpoint").card
    assert after_loss["loss"] <= (after_loss["rmse"] / scale["target"]["deviation"]) ** 2


def test_a_classifier_is_a_source_and_so_is_a_regressor(
    tuned: Path, texts: Path, tmp_path: Path, tmp_path_factory: Folders
) -> None:
    words = {"yes": ["so it goes"], "no": ["xyz"]}
    classes = text_dataset(tmp_path_factory.mktemp("classes") / "d", words, 40)
    run(tmp_path / "c", spec_of(classes, source={"checkpoint": str(tuned / "checkpoint")}))
    assert report(tmp_path / "c")["weights"]["initialised"] == 2
    assert read_checkpoint(tmp_path / "c/checkpoint").config.labels == ["no", "yes"]
    run(tmp_path / "r", regression(texts, tmp_path / "c/checkpoint"))
    assert report(tmp_path / "r")["weights"]["initialised"] == 2
    assert "target" not in read_checkpoint(tmp_path / "c/checkpoint").card


def test_what_a_plan_froze_stays_to_the_bit(tuned: Path, texts: Path, tmp_path: Path) -> None:
    found = read_checkpoint(tuned / "checkpoint")
    frozen = checkpoint(tmp_path / "frozen", found.config, PIECES)
    card = json.loads((frozen / "card.json").read_text()) | {"frozen": sorted(HEAD | POOLER)}
    (frozen / "card.json").write_text(json.dumps(card))
    run(tmp_path / "run", regression(texts, frozen))
    moved = changed(tensors(frozen), tensors(tmp_path / "run/checkpoint"))
    assert not moved & (HEAD | POOLER)
    assert moved


def test_lora_adapts_it_and_is_merged(bert: Path, texts: Path, tmp_path: Path) -> None:
    spec = regression(texts, bert, training={"lora": {"rank": 2}})
    run(tmp_path / "run", spec)
    after = tensors(tmp_path / "run/checkpoint")
    moved = {
        name for name, value in tensors(bert).items() if not np.array_equal(value, after[name])
    }
    assert all(".query." in name or ".value." in name or "pooler" in name for name in moved)
    assert (tmp_path / "run/checkpoint/adapter/adapter_config.json").is_file()


# --- images ---------------------------------------------------------------------------------------


def test_images_from_scratch_and_from_there(images: Path, tmp_path: Path) -> None:
    scratch = regression(
        images,
        model=RESNET.model_dump(),
        inputs={"normalisation": "unit"},
        training={"steps": 30, "learning_rate": 1e-2},
    )
    found = run(tmp_path / "scratch", scratch)
    assert set(found["scores"]) == {"model", "pixels", "mean", "median"}
    assert found["scores"]["model"]["rmse"] < 0.7 * found["scores"]["mean"]["rmse"]
    assert {"split", "offset", "size", "name"} <= set(found["predictions"][0])
    made = read_checkpoint(tmp_path / "scratch/checkpoint")
    assert made.config == RESNET.model_copy(update={"num_classes": 1})
    assert made.card["target"]["name"] == "brightness"
    again = run(
        tmp_path / "again",
        regression(images, tmp_path / "scratch/checkpoint", examples=20, training={"steps": 2}),
    )
    assert again["examples"] == 20
    assert again["weights"]["initialised"] == 0
    assert again["before"]["test"]["rmse"] == pytest.approx(
        found["after"]["test"]["rmse"], rel=1e-3
    )


# --- refusals -------------------------------------------------------------------------------------


def refusal(spec: dict[str, Any], folder: Path) -> TrainingError:
    log = EventLog(folder / "events.jsonl")
    with pytest.raises(TrainingError) as caught:
        LoadedNumbers(RegressionSpec.model_validate(spec), folder, log)
    log.close()
    return caught.value


def test_data_with_other_labels_are_refused_by_either(
    texts: Path, bert: Path, tmp_path: Path, tmp_path_factory: Folders
) -> None:
    classes = text_dataset(tmp_path_factory.mktemp("classes") / "d", {"a": ["x"], "b": ["y"]}, 40)
    said = refusal(regression(classes, bert), tmp_path)
    assert (said.code, said.field) == ("labels_are_classes", "data.path")
    with pytest.raises(TrainingError) as caught:
        run(tmp_path / "c", spec_of(texts, source={"checkpoint": str(bert)}))
    assert (caught.value.code, caught.value.field) == ("labels_are_numbers", "data.path")


def test_training_examples_that_are_all_alike_are_refused(
    texts: Path, bert: Path, tmp_path: Path
) -> None:
    alike = tmp_path / "alike"
    alike.mkdir()
    for path in texts.iterdir():
        (alike / path.name).write_bytes(path.read_bytes())
    lines = [row | {"label": 7.5} for row in rows_of(texts, "train")]
    (alike / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    said = refusal(regression(alike, bert), tmp_path)
    assert (said.code, said.params) == ("numbers_constant_in_training", {"value": "7.5"})
