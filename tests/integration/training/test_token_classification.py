"""Networks that tag the words of sentences, from the data to a checkpoint that others open."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.integration.training.labelled import (
    begun,
    checkpoint,
    prepared,
    spec_of,
    tagged_sentences,
    text_dataset,
)
from tests.integration.training.runs import built, loaded, report, run, tensors
from tests.parity.text import CASES, framed, word_pieces
from training import stopping
from training.__main__ import main
from training.backbones.registry import model_class
from training.command_specs import ExportSpec, MergeSpec
from training.data.entities import entities
from training.data.tokenizers import tokenizer_of
from training.errors import EXIT_DONE, TrainingError
from training.events import EventLog
from training.fine_tuning.settings import scratch_twin
from training.interop import exporting
from training.interop.exports import keras as keras_form
from training.interop.huggingface import read_folder
from training.methods.task_related.token_classification_spec import TokenClassificationSpec
from training.weights import merging
from training.weights.checkpoint import read_checkpoint

PIECES = word_pieces(lowercase=True)
BERT = CASES["bert-pooler"].model_copy(update={"vocab_size": PIECES.size})
HEAD = {"classifier.weight", "classifier.bias"}
TAGS = ["O", "B-LOC", "B-PER", "I-PER"]

Folders = pytest.TempPathFactory


def tagging(dataset: Path, source: Path | None = None, **parts: Any) -> dict[str, Any]:
    if source is not None:
        parts["source"] = {"checkpoint": str(source)}
    spec = spec_of(dataset, method="token_classification", **parts)
    del spec["inputs"]["image_px"]
    return spec


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: Folders) -> Path:
    return tagged_sentences(tmp_path_factory.mktemp("sentences") / "d", 100)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: Folders) -> Path:
    return begun(tmp_path_factory.mktemp("bert") / "c", BERT, PIECES)


@pytest.fixture(scope="module")
def tuned(sentences: Path, bert: Path, tmp_path_factory: Folders) -> Path:
    """The folder of a run by the command line."""
    out = tmp_path_factory.mktemp("tuned") / "run"
    path = out.parent / "run.json"
    spec = tagging(sentences, bert, training={"steps": 30, "learning_rate": 1e-2, "dropout": 0.05})
    spec["evaluation"]["every"] = 10
    path.write_text(json.dumps(spec))
    assert main(["run", str(path), "--out", str(out), "--quiet"]) == EXIT_DONE
    return out


def rows_of(dataset: Path, split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (dataset / f"{split}.jsonl").read_text().splitlines()]


def said_by(folder: Path, row: dict[str, Any]) -> np.ndarray:
    """What a checkpoint says of each word by itself: its head's scores at the first pieces."""
    found = read_checkpoint(folder)
    model = model_class(found.config.architecture)(found.config)
    model.load_named(found.tensors())
    ids, starts = tokenizer_of(found).encode_words(row["words"])
    return model(np.array([ids], np.int32)).numpy()[0][starts]


# --- what a report says ---------------------------------------------------------------------------


def test_it_learns_the_tags_and_says_how_well(tuned: Path, sentences: Path) -> None:
    found = report(tuned)
    assert (found["method"], found["split"], found["counts"]) == (
        "token_classification",
        "test",
        "words",
    )
    assert (found["tags"], found["scheme"], found["measure"]) == (TAGS, "IOB2", "entity_f1")
    assert set(found["scores"]) == {"model", "forms", "lexicon", "majority"}
    mine, lexicon = found["scores"]["model"], found["scores"]["lexicon"]
    # "so" is a name's second word after a name only: what a word is does not tell.
    assert mine["entities"]["f1"] > 0.95
    assert lexicon["entities"]["f1"] < 0.9
    assert found["scores"]["majority"]["entities"]["f1"] == 0
    after = found["after"]["test"]
    assert after["accuracy"] == pytest.approx(mine["accuracy"])
    assert after["loss"] == pytest.approx(mine["loss"], rel=1e-4)
    words = sum(len(row["words"]) for row in rows_of(sentences, "test"))
    assert after["words"] == mine["words"] == words
    assert found["unseen"]["test"] == {"cut": 0, "sentences": 0, "pieceless": 0}
    assert found["curves"]["validation_accuracy"][-1][1] > 0.9


def test_worst_sentences_are_shown_with_what_was_said(tuned: Path, sentences: Path) -> None:
    rows = {row["id"]: row for row in rows_of(sentences, "test")}
    shown = report(tuned)["predictions"]
    ranks = [(one["wrong"] == 0, -one["loss"]) for one in shown]
    assert ranks == sorted(ranks)
    for one in shown:
        row = rows[one["id"]]
        assert (one["words"], one["tags"]) == (row["words"], row["tags"])
        said = said_by(tuned / "checkpoint", row).argmax(1)
        assert one["predicted"] == [TAGS[tag] for tag in said]
        assert one["wrong"] == sum(
            a != b for a, b in zip(one["tags"], one["predicted"], strict=True)
        )


def test_entities_of_the_report_follow_from_the_tags(tuned: Path, sentences: Path) -> None:
    right = said = there = 0
    for row in rows_of(sentences, "test"):
        tags = [TAGS[tag] for tag in said_by(tuned / "checkpoint", row).argmax(1)]
        true, found = set(entities(row["tags"])), set(entities(tags))
        right, said, there = right + len(true & found), said + len(found), there + len(true)
    mine = report(tuned)["scores"]["model"]["entities"]
    assert (mine["precision"], mine["recall"]) == (right / said, right / there)
    assert mine["entities"] == there


# --- how it is trained ----------------------------------------------------------------------------


def test_the_loss_is_the_mean_over_words_whatever_sentence_they_are_of(
    sentences: Path, bert: Path, tmp_path: Path
) -> None:
    task = built(tagging(sentences, bert), tmp_path / "run")
    parts = task.arrays("train", np.arange(8))
    tokens, mask, types, labels, counted = parts
    rows = rows_of(sentences, "train")[:8]
    assert counted.sum() == sum(len(row["words"]) for row in rows)
    variables = [task.model.named_variables[name].value for name in sorted(HEAD)]
    phase = task.phases[0]
    chosen = type(phase)(**{**phase.__dict__, "names": tuple(sorted(HEAD))})
    loss, count, gradients = task.gradients(
        tuple(map(tf.constant, parts)), tf.constant([0, 1]), variables, chosen
    )
    scores = task.model(tokens, mask, types).numpy().astype(np.float64)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    own = np.take_along_axis(shares, labels[..., None], -1)[..., 0]
    expected = -(np.log(own) * counted).sum()
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(count) == counted.sum()
    bias = ((shares - np.eye(4)[labels]) * counted[..., None]).sum((0, 1))
    assert gradients[0].numpy() == pytest.approx(bias, abs=1e-3)


def test_paused_it_goes_on_to_the_same_bits(
    sentences: Path, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tagging(sentences, bert, training={"steps": 8, "dropout": 0.1})
    whole = run(tmp_path / "whole", spec)
    asked = iter([False] * 4 + [True] * 100)
    with monkeypatch.context() as patched:
        patched.setattr(stopping, "requested", lambda: next(asked))
        with pytest.raises(stopping.Stopped):
            run(tmp_path / "paused", spec)
    resumed = run(tmp_path / "paused", spec)
    assert resumed["curves"] == whole["curves"]
    assert resumed["scores"] == whole["scores"]
    hashes = {
        read_checkpoint(tmp_path / name / "checkpoint").weights_sha256
        for name in ("whole", "paused")
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("policy", ["head", "gradual", "lp_ft"])
def test_every_policy_trains_its_share(
    policy: str, sentences: Path, bert: Path, tmp_path: Path
) -> None:
    spec = tagging(sentences, bert, training={"steps": 6, "policy": policy, "l2_sp": 0.01})
    run(tmp_path / "run", spec)
    before, after = tensors(bert), tensors(tmp_path / "run/checkpoint")
    assert after.keys() - before.keys() == HEAD
    moved = {name for name in before.keys() & after.keys() if (before[name] != after[name]).any()}
    assert bool(moved) == (policy != "head")


def test_lora_adapts_it_and_is_merged(bert: Path, sentences: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", tagging(sentences, bert, training={"lora": {"rank": 2}}))
    before, after = tensors(bert), tensors(tmp_path / "run/checkpoint")
    moved = {name for name in before.keys() & after.keys() if (before[name] != after[name]).any()}
    assert moved
    assert all(".query." in name or ".value." in name for name in moved)
    told = json.loads((tmp_path / "run/checkpoint/adapter/adapter_config.json").read_text())
    assert told["task_type"] == "TOKEN_CLS"


def test_the_scratch_twin_sees_the_same_sentences_and_the_same_pieces(
    sentences: Path, bert: Path, tmp_path: Path
) -> None:
    spec = tagging(sentences, bert, examples=20, training={"steps": 2, "policy": "lp_ft"})
    twin = scratch_twin(TokenClassificationSpec.model_validate(spec), read_checkpoint(bert).config)
    ours = loaded(spec, tmp_path / "ours")
    theirs = loaded(twin.model_dump(mode="json"), tmp_path / "theirs")
    assert ours.splits["train"].rows == theirs.splits["train"].rows
    assert len(ours.splits["train"]) == 20
    for one, other in zip(
        ours.inputs.aligned(ours.splits["train"], range(20)),
        theirs.inputs.aligned(theirs.splits["train"], range(20)),
        strict=True,
    ):
        assert np.array_equal(one, other)
    found = run(tmp_path / "twin", twin.model_dump(mode="json"))
    assert found["weights"] is None
    assert found["examples"] == 20


@pytest.mark.parametrize("case", ["distilbert-plain", "roberta-no-pooler"])
def test_the_other_architectures_learn_too(case: str, sentences: Path, tmp_path: Path) -> None:
    pieces = PIECES if case.startswith("distil") else framed("roberta")
    config = CASES[case].model_copy(update={"vocab_size": pieces.size})
    source = begun(tmp_path / "source", config, pieces)
    spec = tagging(sentences, source, training={"steps": 40, "learning_rate": 1e-2})
    found = run(tmp_path / "run", spec)
    scores = found["scores"]
    assert scores["model"]["accuracy"] > scores["majority"]["accuracy"] + 0.2
    made = read_checkpoint(tmp_path / "run/checkpoint", verify=True)
    assert made.config.head == "token_classification"
    assert tensors(tmp_path / "run/checkpoint").keys() >= HEAD


# --- what a checkpoint is -------------------------------------------------------------------------


def test_the_checkpoint_is_a_model_for_token_classification(tuned: Path) -> None:
    found = read_checkpoint(tuned / "checkpoint", verify=True)
    assert (found.config.head, found.config.labels) == ("token_classification", TAGS)
    assert found.card["tags"] == TAGS
    assert "classes" not in found.card
    config = json.loads((tuned / "checkpoint/config.json").read_text())
    assert config["architectures"] == ["BertForTokenClassification"]
    assert config["id2label"] == {str(place): tag for place, tag in enumerate(TAGS)}
    assert config["label2id"] == {tag: place for place, tag in enumerate(TAGS)}
    # Its class in transformers has no pooler.
    assert "bert.pooler.dense.weight" not in tensors(tuned / "checkpoint")


@pytest.mark.parametrize("form", ["huggingface", "keras"])
def test_what_is_exported_says_the_same(
    form: Any, tuned: Path, sentences: Path, tmp_path: Path
) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    exporting.run(ExportSpec(checkpoint=str(tuned / "checkpoint"), format=form), tmp_path, log)
    log.close()
    if form == "huggingface":
        again = read_folder(tmp_path / "export")
        stored = tensors(tuned / "checkpoint")
        assert again.config == read_checkpoint(tuned / "checkpoint").config
        assert all(np.array_equal(stored[name], again.tensors[name]) for name in stored)
        readme = (tmp_path / "export/README.md").read_text()
        assert "pipeline_tag: token-classification" in readme
        assert "AutoTokenizer, BertForTokenClassification" in readme
        return
    model = keras.saving.load_model(tmp_path / "export" / keras_form.FILE, safe_mode=True)
    row = rows_of(sentences, "test")[0]
    ids, starts = PIECES.encode_words(row["words"])
    tokens = np.array([ids], np.int32)
    given = [tokens, np.ones_like(tokens), np.zeros_like(tokens)][: len(model.inputs)]
    found = np.asarray(model(given))[0][starts]
    assert found == pytest.approx(said_by(tuned / "checkpoint", row), abs=2e-3)


def test_a_merge_of_two_with_the_same_tags_has_them(tuned: Path, tmp_path: Path) -> None:
    found = read_checkpoint(tuned / "checkpoint")
    other = checkpoint(tmp_path / "other", found.config, PIECES, tags=TAGS)
    log = EventLog(tmp_path / "events.jsonl")
    spec = MergeSpec(method="interpolate", checkpoints=[str(found.folder), str(other)], alpha=0.5)
    merging.run(spec, tmp_path, log)
    log.close()
    assert read_checkpoint(tmp_path / "checkpoint").card["tags"] == TAGS


# --- where a run begins ---------------------------------------------------------------------------


def test_the_head_comes_along_where_the_tags_are_the_same(
    tuned: Path, tmp_path_factory: Folders, tmp_path: Path
) -> None:
    others = tagged_sentences(tmp_path_factory.mktemp("others") / "d", 40)
    found = run(tmp_path / "run", tagging(others, tuned / "checkpoint", training={"steps": 1}))
    assert (found["weights"]["initialised"], found["weights"]["verified"]) == (0, True)
    assert found["before"]["test"]["accuracy"] > 0.9


def test_other_tags_get_a_head_of_their_own_and_so_do_texts(
    tuned: Path, tmp_path_factory: Folders, tmp_path: Path
) -> None:
    # As many tags, and those of the source among them.
    text = "".join(f"so\tO\nit\tB-LOC\ngoes\tB-PER\n{number}\tVERB\n\n" for number in range(30))
    others = prepared(tmp_path_factory.mktemp("o") / "d", "u.conll", text.encode())
    found = run(tmp_path / "run", tagging(others, tuned / "checkpoint", training={"steps": 1}))
    assert found["weights"]["initialised"] == 2
    assert found["scheme"] is None
    # Texts whose classes are called as the tags are: another head all the same.
    classes = text_dataset(
        tmp_path_factory.mktemp("c") / "d", {tag: ["so it goes", "xyz"] for tag in TAGS}, 60
    )
    spec = spec_of(classes, source={"checkpoint": str(tuned / "checkpoint")})
    found = run(tmp_path / "classes", spec | {"training": spec["training"] | {"steps": 1}})
    # The pooler is new too: there is none to come along.
    assert found["weights"]["initialised"] == 4


# --- what is not seen, and what is refused --------------------------------------------------------


def test_words_beyond_the_limit_are_counted_and_left_out(
    sentences: Path, bert: Path, tmp_path: Path
) -> None:
    spec = tagging(sentences, bert, inputs={"most_tokens": 6}, training={"steps": 1})
    ready = loaded(spec, tmp_path / "loaded")
    rows = rows_of(sentences, "train")
    kept = [PIECES.encode_words(row["words"], 6)[1] for row in rows]
    lost = sum(start is None for starts in kept for start in starts)
    assert lost
    assert ready.unseen["train"] == {"cut": lost, "sentences": len(rows), "pieceless": 0}
    found = run(tmp_path / "run", spec)
    assert found["unseen"]["train"]["cut"] == lost
    test = rows_of(sentences, "test")
    seen = sum(len(row["words"]) for row in test) - found["unseen"]["test"]["cut"]
    assert found["scores"]["model"]["words"] == found["scores"]["lexicon"]["words"] == seen


def refusal(spec: dict[str, Any], folder: Path) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        run(folder, spec)
    return caught.value


def test_other_data_are_refused_and_by_others_these(
    sentences: Path, bert: Path, tmp_path: Path, tmp_path_factory: Folders
) -> None:
    classes = text_dataset(tmp_path_factory.mktemp("c") / "d", {"a": ["x"], "b": ["y"]}, 40)
    said = refusal(tagging(classes, bert), tmp_path / "a")
    assert (said.code, said.field) == ("labels_are_not_tags", "data.path")
    for method in ("classification", "regression"):
        spec = spec_of(sentences, method=method, source={"checkpoint": str(bert)})
        said = refusal(spec, tmp_path / method)
        assert (said.code, said.field) == ("labels_are_tags", "data.path")


def test_a_limit_without_room_for_a_word_is_refused(
    bert: Path, tmp_path: Path, tmp_path_factory: Folders
) -> None:
    # No word has a piece: the tokenizer removes control characters.
    text = "".join(
        f"\x7f\tA\n\x7f{chr(0x80 + number)}\t{'AB'[number % 2]}\n\n" for number in range(31)
    )
    data = prepared(tmp_path_factory.mktemp("p") / "d", "u.conll", text.encode())
    said = refusal(tagging(data, bert), tmp_path / "run")
    assert said.code == "words_all_cut"
