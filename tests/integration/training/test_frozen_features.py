"""A head on frozen features: real models, real labels, from the command line to the report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.training.labelled import numbered_texts
from tests.parity.text import CASES, word_pieces
from tests.small import SMALL, TOKENIZER, loud
from training.backbones.contract import BackboneConfig
from training.backbones.registry import model_class
from training.data.prepare import run as prepare
from training.data.prepare_spec import PrepareSpec
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.features.heads import load_head
from training.features.settings import POOLINGS
from training.features.texts import hidden_states, pool, text_features
from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec, work
from training.weights.checkpoint import read_checkpoint, write_checkpoint

WORDS = {"yes": ["so it goes", "so it went", "and it goes"], "no": ["xyz", "zz yx", "x y z z"]}
PIECES = word_pieces(lowercase=True)
BERT = CASES["bert-pooler"].model_copy(update={"vocab_size": PIECES.size})
OPT = CASES["opt-plain"].model_copy(update={"vocab_size": TOKENIZER.size})


def rows(count: int, *, label: bool = True) -> str:
    random = np.random.default_rng(3)
    found = []
    for number in range(count):
        name = ("yes", "no")[number % 2]
        text = " ".join([*random.choice(WORDS[name], 2), f"{number}"])
        found.append({"text": text, **({"label": name} if label else {})})
    return "".join(json.dumps(row) + "\n" for row in found)


def prepared(folder: Path, content: str, **settings: Any) -> Path:
    folder.mkdir()
    (folder / "upload.jsonl").write_text(content)
    log = EventLog(folder / "events.jsonl")
    settings = {"label_field": "label", "validation_percent": 20, "test_percent": 25} | settings
    prepare(PrepareSpec(path=str(folder / "upload.jsonl"), **settings), folder / "out", log)
    log.close()
    return folder / "out" / "dataset"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data") / "labelled", rows(120))


def checkpoint(folder: Path, config: BackboneConfig, tokenizer: Any) -> Path:
    write_checkpoint(folder, config, loud(config), tokenizer, {})
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("gpt2") / "c", SMALL, TOKENIZER)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("bert") / "c", BERT, PIECES)


def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


# --- features -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", [one for one in POOLINGS["text"] if one != "attention"])
def test_pooling_is_that_of_a_plain_loop_over_real_tokens(pooling: Any) -> None:
    hidden = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    found = pool(hidden, mask, pooling)
    for row, real in enumerate((5, 2, 1)):
        tokens = [hidden[row, place] for place in range(real)]
        mean = sum(tokens) / real
        largest = [max(token[dimension] for token in tokens) for dimension in range(4)]
        expected = {
            "mean": mean,
            "max": largest,
            "first": tokens[0],
            "last": tokens[-1],
            "mean_max": [*mean, *largest],
        }[pooling]
        assert np.allclose(found[row], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "tokenizer"),
    [(BERT, PIECES), (SMALL, TOKENIZER), (OPT, TOKENIZER)],
    ids=["bert", "gpt2", "opt"],
)
def test_a_text_has_the_same_features_alone_and_among_longer_ones(
    config: BackboneConfig, tokenizer: Any
) -> None:
    model = model_class(config.architecture)(config)
    model.load_named(loud(config))
    texts = [
        {"text": "so"},
        {"text": "so it goes, and so it went"},
        {"text": "it goes", "text_pair": "and went"},
        {"text": ""},
    ]
    for pooling in ("mean", "last", "max"):
        together = text_features(model, tokenizer, texts, pooling, batch_size=4)
        alone = [text_features(model, tokenizer, [text], pooling)[0] for text in texts]
        assert np.abs(together - np.stack(alone)).max() < 1e-4
        assert np.ptp(together, axis=0).max() > 0.1


def test_for_attention_every_token_of_a_text_is_kept_and_padding_is_none() -> None:
    model = model_class(BERT.architecture)(BERT)
    model.load_named(loud(BERT))
    texts = [{"text": "so"}, {"text": "so it goes, and so it went"}, {"text": "it goes"}]
    found = text_features(model, PIECES, texts, "attention", batch_size=1)
    mean = text_features(model, PIECES, texts, "mean")
    lengths = [len(PIECES.encode_input(text["text"], BERT.context)) for text in texts]
    assert found.shape == (3, max(lengths), BERT.hidden_size)
    assert (~np.isnan(found)).all(2).sum(1).tolist() == lengths
    assert np.abs(np.nanmean(found, 1) - mean).max() < 1e-5


def test_features_are_the_model_s_own_hidden_states() -> None:
    model = model_class(SMALL.architecture)(SMALL)
    model.load_named(loud(SMALL))
    text = "so it goes"
    ids = TOKENIZER.encode_input(text)
    expected = np.asarray(model.hidden(np.array([ids], np.int32)))
    ((places, hidden, mask),) = hidden_states(model, [(ids, [0] * len(ids))], 0)
    assert places.tolist() == [0]
    assert mask.tolist() == [[1] * len(ids)]
    assert np.abs(hidden[0] - expected).max() < 1e-5
    cut = text_features(model, TOKENIZER, [{"text": text}], "last", most_tokens=2)
    assert np.abs(cut[0] - expected[1]).max() < 1e-5


# --- the method -----------------------------------------------------------------------------------


def test_from_the_command_line_to_the_report(dataset: Path, bert: Path, tmp_path: Path) -> None:
    spec = {
        "method": "frozen_features",
        "data": {"path": str(dataset)},
        "source": {"checkpoint": str(bert)},
        "examples": 40,
        "cache": str(tmp_path / "cache"),
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))

    def run(out: Path) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "training", "run", tmp_path / "spec.json", "--out", out],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return report(out)

    first = run(tmp_path / "first")
    assert first["method"] == "frozen_features"
    assert first["parents"] == [read_checkpoint(bert).weights_sha256]
    assert (first["split"], first["examples"], first["classes"]) == ("test", 40, ["no", "yes"])
    assert set(first["scores"]) == {"model", "random", "tfidf", "majority"}
    assert first["scores"]["model"]["examples"] == 30
    assert first["scores"]["model"]["accuracy"] >= 0.9
    assert first["scores"]["majority"]["accuracy"] == 0.5
    assert first["features"]["splits"]["train"] == {"examples": 66, "cache": "miss"}
    shown = first["predictions"]
    assert [one["loss"] for one in shown] == sorted((one["loss"] for one in shown), reverse=True)
    uploaded = [json.loads(line) for line in rows(120).splitlines()]
    for one in shown:
        assert uploaded[one["id"]]["text"] == one["text"]
        assert uploaded[one["id"]]["label"] == one["label"]

    events, _ = read_events(tmp_path / "first" / "events.jsonl")
    assert events[-1]["kind"] == "finished"
    assert events[-1]["result"] == "head"
    told = [e["detail"] for e in events if e["kind"] == "phase" and e["name"] == "features"]
    assert {"train", "test", "train, random weights", "test, random weights"} <= set(told)

    # The second time nothing is computed, and everything is the same.
    again = run(tmp_path / "again")
    assert {s["cache"] for s in again["features"]["splits"].values()} == {"hit"}
    assert {s["cache"] for s in again["control"]["splits"].values()} == {"hit"}
    assert again["features"]["computed_s"] == 0
    assert again["features"]["saved_s"] > 0
    for name in ("scores", "predictions", "head", "classes"):
        assert again[name] == first[name]

    head, about = load_head(tmp_path / "first" / "head")
    assert about["pooling"] == "mean"
    assert about["weights_sha256"] == first["parents"][0]
    model = model_class(BERT.architecture)(BERT)
    model.load_named(read_checkpoint(bert).tensors())
    predicted = head.predict(text_features(model, PIECES, shown, "mean")).argmax(1)
    assert [about["classes"][place] for place in predicted] == [one["predicted"] for one in shown]


@pytest.mark.parametrize("kind", ["linear", "mlp", "knn"])
def test_a_number_is_predicted_in_its_units(
    kind: str, bert: Path, tmp_path: Path, events: EventLog
) -> None:
    dataset = numbered_texts(tmp_path / "data", 120)
    spec = FrozenFeaturesSpec(
        data={"path": str(dataset)}, source={"checkpoint": str(bert)}, head=kind, examples=60
    )
    work(spec, tmp_path / "out", events)
    found = report(tmp_path / "out")
    assert found["target"] == "score"
    assert found["examples"] == 60
    assert set(found["scores"]) == {"model", "random", "tfidf", "mean", "median"}
    mine, mean = (found["scores"][one]["rmse"] for one in ("model", "mean"))
    assert mine < 0.8 * mean
    head, about = load_head(tmp_path / "out" / "head")
    assert about["target"] == "score"
    assert head.kind == ("ridge" if kind == "linear" else kind)
    model = model_class(BERT.architecture)(BERT)
    model.load_named(read_checkpoint(bert).tensors())
    again = head.predict(text_features(model, PIECES, found["predictions"], "mean"))
    told = np.array([one["predicted"] for one in found["predictions"]])
    assert np.abs(again - told).max() < 0.1  # of neighbours the features decide to the last bit
    drawn = json.loads((tmp_path / "out" / "map" / "map.json").read_text())
    assert len(drawn["classes"]) == 5
    by_row = {(one["split"], one["id"]): one for one in drawn["points"]}
    for one in found["predictions"]:
        point = by_row[found["split"], one["id"]]
        assert (point["number"], point["predicted"]) == (one["label"], one["predicted"])


def test_without_a_test_split_the_validation_split_is_scored(
    gpt2: Path, tmp_path: Path, events: EventLog
) -> None:
    dataset = prepared(tmp_path / "data", rows(60), test_percent=0)
    spec = FrozenFeaturesSpec(
        data={"path": str(dataset)},
        source={"checkpoint": str(gpt2)},
        pooling="last",
        head="knn",
        control=False,
    )
    work(spec, tmp_path / "out", events)
    found = report(tmp_path / "out")
    assert found["split"] == "validation"
    assert set(found["features"]["splits"]) == {"train", "validation"}
    assert "random" not in found["scores"]
    assert found["control"] is None


def test_a_baseline_that_is_as_good_is_named(gpt2: Path, tmp_path: Path, events: EventLog) -> None:
    dataset = prepared(tmp_path / "data", rows(60))
    spec = FrozenFeaturesSpec(
        data={"path": str(dataset)}, source={"checkpoint": str(gpt2)}, pooling="last"
    )
    work(spec, tmp_path / "out", events)
    found = report(tmp_path / "out")
    mine = found["scores"]["model"]["accuracy"]
    expected = [n for n, s in found["scores"].items() if n != "model" and s["accuracy"] >= mine]
    assert sorted(found["beaten_by"]) == sorted(expected)
    # Single words tell these classes apart, so words alone cannot be worse.
    assert "tfidf" in found["beaten_by"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"data": "unlabelled"}, "dataset_without_labels"),
        ({"pooling": "first"}, "pooling_sees_nothing"),
        ({"examples": 2, "data": "three"}, "examples_fewer_than_classes"),
        ({"source": "image"}, "features_need_text"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_computed(
    change: dict[str, Any], code: str, gpt2: Path, dataset: Path, tmp_path: Path, events: EventLog
) -> None:
    data, source = dataset, gpt2
    match change.pop("data", None):
        case "unlabelled":
            data = prepared(tmp_path / "data", rows(30, label=False), label_field="")
        case "three":
            third = "".join(json.dumps({"text": f"t {n}", "label": "m"}) + "\n" for n in range(9))
            data = prepared(tmp_path / "data", rows(60) + third)
    if change.pop("source", None):
        from tests.unit.training.interop.test_own_form import SMALL as IMAGE

        source = checkpoint(tmp_path / "image", IMAGE, None)
    spec = FrozenFeaturesSpec(
        data={"path": str(data)}, source={"checkpoint": str(source)}, **change
    )
    with pytest.raises(TrainingError) as caught:
        work(spec, tmp_path / "out", events)
    assert caught.value.code == code
    assert not list((tmp_path / "out").glob("*"))
