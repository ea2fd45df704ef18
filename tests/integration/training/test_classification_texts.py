"""Encoders fine-tuned on labelled texts, from the command line to a checkpoint with labels."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.integration.training.labelled import checkpoint, pair_dataset, spec_of, text_dataset
from tests.integration.training.runs import built, changed, loaded, report, tensors, told
from tests.parity.text import CASES, word_pieces
from tests.small import loud
from training.__main__ import main
from training.backbones.contract import BackboneConfig
from training.backbones.lora import factor_specs, merge, read_adapter
from training.backbones.registry import model_class
from training.backbones.roberta.config import RobertaConfig
from training.backbones.vit.config import ViTConfig
from training.data.labelled import class_names, read_about
from training.data.tokenizers import tokenizer_of
from training.errors import EXIT_DONE
from training.fine_tuning.settings import (
    AdaptedLayer,
    FineTuningLoraSpec,
    adapted_matrices,
    scratch_twin,
)
from training.methods.task_related.classification_spec import ClassificationSpec
from training.weights.checkpoint import read_checkpoint

PIECES = word_pieces(lowercase=True)
BERT = CASES["bert-pooler"].model_copy(update={"vocab_size": PIECES.size})
WORDS = {"yes": ["so it goes", "so it went", "and it goes"], "no": ["xyz", "zz yx", "x y z z"]}
VIT = ViTConfig(image_size=16, patch_size=8, width=16, depth=1, heads=2, inner=32, num_classes=3)
HEAD = {"classifier.weight", "classifier.bias"}
POOLER = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}

Folders = pytest.TempPathFactory


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: Folders) -> Path:
    """Classes of one size stand in the order of their names: no, yes."""
    return text_dataset(tmp_path_factory.mktemp("data") / "d", WORDS, 80)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: Folders) -> Path:
    """A source without a head."""
    return checkpoint(tmp_path_factory.mktemp("bert") / "c", BERT, PIECES)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: Folders) -> Path:
    """A source that predicts masked tokens, and so has no pooler."""
    config = BERT.model_validate(BERT.model_dump() | {"head": "masked_lm"})
    return checkpoint(tmp_path_factory.mktemp("masked") / "c", config, PIECES)


def command_line(spec: dict, out: Path) -> None:
    path = out.parent / f"{out.name}.json"
    path.write_text(json.dumps(spec))
    assert main(["run", str(path), "--out", str(out), "--quiet"]) == EXIT_DONE


@pytest.fixture(scope="module")
def fine_tuned(dataset: Path, bert: Path, tmp_path_factory: Folders) -> Path:
    """The folder of a run that trains everything, with dropout."""
    spec = spec_of(
        dataset,
        source={"checkpoint": str(bert)},
        inputs={"image_px": None, "most_tokens": 12},
        training={"steps": 25, "dropout": 0.1, "head_rate": 3},
    )
    out = tmp_path_factory.mktemp("tuned") / "run"
    command_line(spec, out)
    return out


def test_it_learns_the_classes_beside_what_needs_no_model(fine_tuned: Path) -> None:
    found = report(fine_tuned)
    assert found["classes"] == ["no", "yes"]
    assert (found["split"], found["scores"]["model"]["examples"]) == ("test", 20)
    assert set(found["scores"]) == {"model", "tfidf", "majority"}
    assert found["scores"]["majority"]["accuracy"] == 0.5
    assert found["scores"]["model"]["accuracy"] >= 0.9
    assert "majority" not in found["beaten_by"]
    # Single words tell these classes apart, so words alone cannot be worse.
    assert found["beaten_by"] == ["tfidf"]
    assert found["after"]["validation"]["loss"] < found["before"]["validation"]["loss"]


def test_the_texts_it_is_most_wrong_about_are_shown(fine_tuned: Path, dataset: Path) -> None:
    lines = (dataset / "test.jsonl").read_text().splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    shown = report(fine_tuned)["predictions"]
    assert len(shown) == len(rows) == 20
    for one in shown:
        assert (one["text"], one["label"]) == (rows[one["id"]]["text"], rows[one["id"]]["label"])


def test_the_checkpoint_has_the_labels_in_its_configuration(fine_tuned: Path, bert: Path) -> None:
    found = read_checkpoint(fine_tuned / "checkpoint", verify=True)
    assert found.config == BERT.model_validate(
        BERT.model_dump() | {"head": "classification", "labels": ["no", "yes"]}
    )
    settings = json.loads((fine_tuned / "checkpoint" / "config.json").read_text())
    assert settings["id2label"] == {"0": "no", "1": "yes"}
    assert settings["architectures"] == ["BertForSequenceClassification"]
    assert found.card["classes"] == ["no", "yes"]
    assert "images" not in found.card
    assert found.card["parents"] == [read_checkpoint(bert).weights_sha256]
    assert tokenizer_of(found).sha256 == PIECES.sha256


def test_all_but_the_labels_comes_from_the_source(fine_tuned: Path) -> None:
    (weights,) = told(fine_tuned, "weights")
    assert weights["verified"] is True
    assert (weights["initialised"], weights["left_behind"]) == (2, 0)
    new = weights["parameters_total"] - weights["parameters_copied"]
    assert new == 2 * BERT.hidden_size + 2


def test_pairs_are_told_apart_by_their_second_text(bert: Path, tmp_path: Path) -> None:
    pairs = pair_dataset(tmp_path / "d", WORDS, 80)
    spec = spec_of(
        pairs,
        source={"checkpoint": str(bert)},
        inputs={"image_px": None, "most_tokens": 16},
        training={"steps": 25, "head_rate": 3},
    )
    command_line(spec, tmp_path / "run")
    found = report(tmp_path / "run")
    assert found["scores"]["model"]["accuracy"] >= 0.9
    assert found["scores"]["tfidf"]["accuracy"] >= 0.9
    for one in found["predictions"]:
        assert one["text"].startswith("and ")
        assert any(phrase in one["text_pair"] for phrase in WORDS[one["label"]])


def test_a_pair_s_second_text_has_the_second_token_type(bert: Path, tmp_path: Path) -> None:
    pairs = pair_dataset(tmp_path / "d", WORDS, 40)
    task = built(
        spec_of(
            pairs, source={"checkpoint": str(bert)}, inputs={"image_px": None, "most_tokens": 16}
        ),
        tmp_path,
    )
    tokens, mask, types, _labels, _mask = task.arrays("test", np.arange(4))
    after = tokens == PIECES.after[0]
    assert (after.sum(1) == 2).all()
    expected = (np.cumsum(after, 1) - after) * mask
    assert np.array_equal(types, expected)
    model = task.model
    hidden = np.asarray(model.hidden(tokens, mask, types))
    assert np.abs(np.asarray(task.logits((tokens, mask, types)))).max() > 0
    assert np.abs(hidden - np.asarray(model.hidden(tokens, mask))).max() > 0.01


def test_a_pooler_that_the_source_lacks_learns_with_the_head(
    dataset: Path, masked: Path, tmp_path: Path
) -> None:
    spec = spec_of(
        dataset,
        source={"checkpoint": str(masked)},
        training={"steps": 4, "policy": "head", "dropout": 0.1},
    )
    command_line(spec, tmp_path / "run")
    before, after = tensors(masked), tensors(tmp_path / "run" / "checkpoint")
    shared = before.keys() & after.keys()
    assert after.keys() - shared == HEAD | POOLER
    assert {name.split(".")[0] for name in before.keys() - shared} == {"cls"}
    assert all(np.array_equal(before[name], after[name]) for name in shared)
    width = BERT.hidden_size
    trainable = report(tmp_path / "run")["parameters"]["trainable"]
    assert trainable == width * width + width + 2 * width + 2


def test_gradual_unfreezing_goes_down_the_encoder_block_by_block(
    dataset: Path, bert: Path, tmp_path: Path
) -> None:
    training = {"policy": "gradual", "frozen_share": 0.5, "stages": 4, "rate_decay": 0.5}
    spec = spec_of(
        dataset,
        source={"checkpoint": str(bert)},
        training=training | {"steps": 16, "head_rate": 8},
    )
    task = built(spec, tmp_path)
    assert [phase.first for phase in task.phases] == [1, 3, 5, 7, 9]
    assert set(task.phases[0].names) == HEAD
    assert set(task.phases[1].names) == HEAD | POOLER
    assert set(task.phases[-1].names) == {spec.name for spec in task.loaded.config.tensors()}
    assert [phase.whole for phase in task.phases] == [False] * 4 + [True]
    assert task.rates["classifier.bias"] == 8
    assert task.rates["bert.pooler.dense.bias"] == 0.5
    assert task.rates["bert.encoder.layer.0.output.dense.bias"] == 0.125
    assert task.rates["bert.embeddings.word_embeddings.weight"] == 0.0625


def test_the_same_classes_keep_the_source_s_head_and_its_order(
    fine_tuned: Path, tmp_path: Path
) -> None:
    other = text_dataset(tmp_path / "d", {"yes": WORDS["yes"], "no": WORDS["no"]}, 39)
    assert class_names(read_about(other)) == ["yes", "no"]
    task = built(spec_of(other, source={"checkpoint": str(fine_tuned / "checkpoint")}), tmp_path)
    assert task.loaded.names == ["no", "yes"]
    assert not changed(tensors(fine_tuned / "checkpoint"), task.model.named())
    for split in task.loaded.splits.values():
        told_apart = [task.loaded.names[label] for label in split.labels]
        assert told_apart == [row["label"] for row in split.rows]


def test_a_text_is_scored_alike_whatever_stands_beside_it(
    dataset: Path, bert: Path, tmp_path: Path
) -> None:
    task = built(spec_of(dataset, source={"checkpoint": str(bert)}), tmp_path)
    task.model.load_named(loud(task.loaded.config))
    split, inputs = task.loaded.splits["train"], task.loaded.inputs
    tokens, mask, types = inputs.take(split, np.arange(8))
    assert not mask.all()
    together = inputs.call(task.model, (tokens, mask, types), training=False).numpy()
    for row, real in enumerate(mask.sum(1)):
        alone = task.model(tokens[[row], :real]).numpy()[0]
        assert np.abs(alone - together[row]).max() < 1e-4
    assert np.ptp(together, axis=0).max() > 0.1


def test_from_nothing_it_has_the_rows_of_the_tokenizer_that_it_borrows(
    dataset: Path, bert: Path, tmp_path: Path
) -> None:
    model = RobertaConfig.model_validate(CASES["roberta-pooler"].model_dump())
    assert model.vocab_size != PIECES.size
    found = loaded(
        spec_of(dataset, model=model.model_dump(), inputs={"checkpoint": str(bert)}), tmp_path
    )
    assert found.source is None
    assert found.config == model.model_validate(
        model.model_dump()
        | {"head": "classification", "labels": ["no", "yes"], "vocab_size": PIECES.size}
    )


def test_a_transfer_and_its_twin_are_shown_the_very_same_texts(
    dataset: Path, masked: Path, tmp_path: Path
) -> None:
    spec = ClassificationSpec.model_validate(
        spec_of(dataset, source={"checkpoint": str(masked)}, examples=11)
    )
    twin = scratch_twin(spec, read_checkpoint(masked).config)
    ours, theirs = (built(one.model_dump(mode="json"), tmp_path) for one in (spec, twin))
    assert len(ours.loaded.splits["train"]) == 11
    for index in (0, 5):
        for one, other in zip(ours.batch(index), theirs.batch(index), strict=True):
            assert np.array_equal(one, other)
    assert ours.loaded.config == theirs.loaded.config
    # What starts from random values in both is the same, and all else of the source is not there.
    first, second = ours.model.named(), theirs.model.named()
    assert {name for name in first if first[name].ndim > 1} - changed(first, second) == {
        "bert.pooler.dense.weight",
        "classifier.weight",
    }


# --- LoRA -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapted(dataset: Path, bert: Path, tmp_path_factory: Folders) -> Path:
    """The folder of a run that trains low-rank updates, first of all the head."""
    lora = {"rank": 2, "alpha": 8, "targets": ["attention.query", "feed_forward.in"]}
    spec = spec_of(
        dataset,
        source={"checkpoint": str(bert)},
        inputs={"image_px": None, "most_tokens": 12},
        training={"steps": 12, "policy": "lp_ft", "learning_rate": 0.02, "lora": lora},
    )
    out = tmp_path_factory.mktemp("adapted") / "run"
    command_line(spec, out)
    return out


def test_lora_changes_its_matrices_by_a_low_rank_and_else_only_the_head(
    adapted: Path, bert: Path
) -> None:
    before, after = (
        read_checkpoint(bert).tensors(),
        read_checkpoint(adapted / "checkpoint", verify=True).tensors(),
    )
    names = {name for name in before if not np.array_equal(before[name], after[name])}
    wanted = ("attention.self.query.weight", "intermediate.dense.weight")
    assert names == {name for name in before if name.endswith(wanted)}
    for name in names:
        change = np.asarray(after[name], np.float64) - before[name]
        assert np.linalg.matrix_rank(change, tol=1e-6) == 2
    assert set(after) - set(before) == HEAD


def test_lora_leaves_its_updates_beside_the_merged_weights(adapted: Path, bert: Path) -> None:
    updates = read_adapter(adapted / "checkpoint/adapter")
    before, after = read_checkpoint(bert).tensors(), tensors(adapted / "checkpoint")
    assert updates
    for name, update in updates.items():
        assert not update.turned
        assert update.scale == 4.0
        assert np.abs(before[name] + update.times(1.0) - after[name]).max() < 1e-6
    told = json.loads((adapted / "checkpoint/adapter/adapter_config.json").read_text())
    assert told["fan_in_fan_out"] is False
    assert {f"{module}.weight" for module in told["target_modules"]} == set(updates)


def test_only_head_and_factors_are_counted_as_trained(adapted: Path) -> None:
    counted = report(adapted)["parameters"]
    config = read_checkpoint(adapted / "checkpoint").config
    lora = FineTuningLoraSpec(rank=2, targets=["attention.query", "feed_forward.in"])
    factors = sum(2 * sum(one.shape) for one in adapted_matrices(config, lora))
    head = sum(one.size for one in config.tensors() if one.block == "head")
    assert counted == {"total": config.parameter_count(), "trainable": head + factors}


@pytest.mark.parametrize("config", [BERT, VIT], ids=["bert", "vit"])
def test_an_adapted_network_computes_what_the_merged_one_does(config: BackboneConfig) -> None:
    every = list(get_args(AdaptedLayer))
    matrices = adapted_matrices(config, FineTuningLoraSpec(targets=every))
    weights = dict(loud(config))
    plain, low = (model_class(config.architecture)(config) for _ in range(2))
    low.load_named(weights)
    low.adapt(matrices, 2, 1.5)
    random = np.random.default_rng(2)
    factors = {
        spec.name: random.normal(0, 0.3, spec.shape).astype(np.float32)
        for spec in factor_specs(matrices, 2)
    }
    for name, value in factors.items():
        low.named_variables[name].assign(value)
    plain.load_named(merge(weights, factors, config, matrices, 1.5))
    seen = np.array([[3, 1, 4, 1]], np.int32) if config is BERT else np.ones([1, 16, 16, 3], "f4")
    assert np.abs(low(seen).numpy() - plain(seen).numpy()).max() < 1e-4
    plain.load_named(weights)
    assert np.abs(low(seen).numpy() - plain(seen).numpy()).max() > 1e-2
