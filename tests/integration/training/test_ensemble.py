"""Ensembles of real networks on images, texts and tables: from members to a checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.training.labelled import checkpoint, image_dataset, spec_of, text_dataset
from tests.integration.training.runs import changed, report, run, tensors, told
from tests.parity.text import CASES, word_pieces
from tests.small_tables import people, table_dataset, table_spec
from training import stopping
from training.__main__ import main
from training.backbones.resnet.config import ResNetConfig
from training.backbones.shufflenet.config import ShuffleNetConfig
from training.engine.loop import Loop
from training.engine.run import run as train
from training.ensembles.folder import read_ensemble
from training.ensembles.spec import EnsembleSpec
from training.errors import EXIT_DONE, EXIT_REFUSED, TrainingError
from training.events import EventLog
from training.methods.task_related import wide_deep_task
from training.methods.task_related.ensemble import work
from training.methods.task_related.wide_deep_spec import WideDeepSpec
from training.weights.checkpoint import read_checkpoint

RESNET = ResNetConfig(depths=[1, 1], group_width=8, num_classes=3)
SHUFFLENET = ShuffleNetConfig(widths=[8, 16], depths=[1, 1], last=32, num_classes=3)
PIECES = word_pieces(lowercase=True)
WORDS = {"yes": ["so it goes", "so it went", "and it goes"], "no": ["xyz", "zz yx", "x y z z"]}
Folders = pytest.TempPathFactory


@pytest.fixture(scope="module")
def images(tmp_path_factory: Folders) -> Path:
    """Classes in the order of their sizes: red, blue, green."""
    return image_dataset(tmp_path_factory.mktemp("i") / "d", {"red": 40, "blue": 34, "green": 30})


@pytest.fixture(scope="module")
def networks(images: Path, tmp_path_factory: Folders) -> list[Path]:
    """A network that was trained for a few steps, and two that know nothing: another architecture
    with its classes in another order, and one that nobody says the size of images of."""
    folder = tmp_path_factory.mktemp("networks")
    run(folder / "run", spec_of(images, model=RESNET.model_dump(mode="json")))
    turned = ["green", "red", "blue"]
    return [
        folder / "run" / "checkpoint",
        checkpoint(folder / "s", SHUFFLENET, classes=turned, inputs={"image_px": 32}),
        checkpoint(folder / "r", RESNET, classes=["blue", "green", "red"]),
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: Folders) -> str:
    """A cache for tests that are about something else."""
    return str(tmp_path_factory.mktemp("cache"))


def ensemble(out: Path, dataset: Path, members: list[Any] | None = None, **settings: Any) -> Any:
    """Its report; members by their folders, or as the spec has them."""
    out.mkdir()
    named = [{"checkpoint": str(o)} if isinstance(o, Path) else o for o in members or []]
    spec = {"data": {"path": str(dataset)}, "members": named, "image_px": 24, **settings}
    log = EventLog(out / "events.jsonl")
    try:
        work(EnsembleSpec.model_validate(spec), out, log)
    finally:
        log.close()
    return report(out)


def test_each_member_scores_as_it_does_alone(
    images: Path, networks: list[Path], shared: str, tmp_path: Path
) -> None:
    """Its own size of images, normalisation and order of classes: the run's report is the judge."""
    found = ensemble(tmp_path / "e", images, networks, cache=shared)
    alone = report(networks[0].parent)["scores"]["model"]
    assert found["members"][0]["scores"]["accuracy"] == alone["accuracy"]
    assert found["members"][0]["scores"]["loss"] == pytest.approx(alone["loss"], abs=1e-5)
    assert found["members"][0]["scores"]["confusion"] == alone["confusion"]
    assert [one["inputs"] for one in found["members"]] == [
        {"image_px": 24},
        {"image_px": 32},
        {"image_px": 24},
    ]
    assert found["classes"] == ["red", "blue", "green"]
    assert found["members"][0]["overlap"] == {"known": "same", "examples": 0}
    assert found["members"][1]["overlap"] == {"known": "no", "examples": None}


def test_classes_in_another_order_are_the_same_classes(
    images: Path, networks: list[Path], shared: str, tmp_path: Path
) -> None:
    """The same network with its head's rows and names turned is the same member."""
    source = read_checkpoint(networks[0])
    values, order = dict(source.tensors()), [2, 0, 1]
    for name in source.config.label_head:
        values[name] = np.array(values[name])[order]
    turned = tmp_path / "turned"
    from training.weights.checkpoint import write_checkpoint

    names = [source.card["classes"][place] for place in order]
    card = {name: source.card[name] for name in ("images", "inputs")} | {"classes": names}
    write_checkpoint(turned, source.config, values, None, card)
    found = ensemble(tmp_path / "e", images, [networks[0], turned], cache=shared)
    first, second = (one["scores"] for one in found["members"])
    assert second["confusion"] == first["confusion"]
    assert second["loss"] == pytest.approx(first["loss"], abs=1e-6)
    assert found["disagreement"]["mean"] == 0
    assert found["gains"]["over_best"]["accuracy"]["gain"] == 0


def test_another_combination_of_the_same_members_computes_nothing(
    images: Path, networks: list[Path], tmp_path: Path
) -> None:
    cache = str(tmp_path / "cache")
    first = ensemble(tmp_path / "a", images, networks, combination="weights", cache=cache)
    assert [one["cache"] for one in first["members"]] == [
        {"validation": "miss", "test": "miss"}
    ] * 3
    again = ensemble(tmp_path / "b", images, networks, combination="stacking", cache=cache)
    assert [one["cache"] for one in again["members"]] == [{"validation": "hit", "test": "hit"}] * 3
    assert again["predicting"]["computed_s"] == 0
    assert again["predicting"]["saved_s"] == first["predicting"]["computed_s"]
    phases = [event["name"] for event in told(tmp_path / "b", "phase")]
    assert "evaluating" in phases
    assert "predicting" not in phases
    # Another size of images is another prediction; a member whose card says its own keeps it.
    other = ensemble(tmp_path / "c", images, networks, image_px=28, cache=cache)
    assert [one["cache"] for one in other["members"]] == [
        {"test": "hit"},
        {"test": "hit"},
        {"test": "miss"},
    ]


@pytest.mark.parametrize("kind", ["weights", "stacking"])
def test_what_is_fitted_is_fitted_on_validation_rows_alone(
    kind: str, images: Path, networks: list[Path], shared: str, tmp_path: Path
) -> None:
    """Other labels in the test split change no weight; other ones in the validation split do."""
    cache = shared
    first = ensemble(tmp_path / "a", images, networks, combination=kind, cache=cache)
    assert first["fitted_on"]["split"] == "validation"
    kept = tensors_of(tmp_path / "a")
    for split, alike in (("test", True), ("validation", False)):
        data = Path(shutil.copytree(images, tmp_path / split))
        turn_labels(data / f"{split}.jsonl")
        ensemble(tmp_path / f"{split}-run", data, networks, combination=kind, cache=cache)
        again = tensors_of(tmp_path / f"{split}-run")
        same = all(np.array_equal(kept[name], again[name]) for name in kept)
        assert same == alike, split


def turn_labels(path: Path) -> None:
    turned = {"red": "green", "green": "blue", "blue": "red"}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps(row | {"label": turned[row["label"]]}) for row in rows]
    path.write_text("".join(line + "\n" for line in lines))


def tensors_of(out: Path) -> dict[str, np.ndarray]:
    return dict(read_ensemble(out / "checkpoint").combined.arrays())


def test_an_ensemble_is_kept_whole_and_judges_other_data(
    images: Path, networks: list[Path], shared: str, tmp_path: Path
) -> None:
    """Its members are in it; the data's classes may stand in another order."""
    made = ensemble(tmp_path / "a", images, networks, combination="stacking", cache=shared)
    moved = Path(shutil.move(tmp_path / "a" / "checkpoint", tmp_path / "elsewhere"))
    kept = read_ensemble(moved)
    assert kept.config.classes == made["classes"]
    assert kept.card["parents"] == [read_checkpoint(one).weights_sha256 for one in networks]
    assert kept.card["scores"]["test_accuracy"] == made["scores"]["model"]["accuracy"]
    for one, source in zip(kept.members, networks, strict=True):
        assert not changed(tensors(one.folder), tensors(source))
    again = ensemble(tmp_path / "b", images, checkpoint=str(moved), cache=shared)
    assert again["scores"]["model"]["loss"] == pytest.approx(made["scores"]["model"]["loss"])
    assert again["fitted_on"] is None
    assert again["weights_sha256"] == made["weights_sha256"]
    assert not (tmp_path / "b" / "checkpoint").exists()

    other = image_dataset(tmp_path / "d", {"red": 30, "blue": 34, "green": 40})
    on_other = ensemble(tmp_path / "c", other, checkpoint=str(moved))
    assert on_other["classes"] == ["green", "blue", "red"]
    # What it was trained to see there is no harder: names were not mixed up.
    by_name = {one["name"]: one["recall"] for one in on_other["scores"]["model"]["classes"]}
    here = {one["name"]: one["recall"] for one in made["scores"]["model"]["classes"]}
    assert by_name == pytest.approx(here, abs=0.35)


def test_two_ensembles_of_other_members_are_other_weights(
    images: Path, networks: list[Path], shared: str, tmp_path: Path
) -> None:
    one = ensemble(tmp_path / "a", images, networks[:2], cache=shared)
    other = ensemble(tmp_path / "b", images, networks[1:], cache=shared)
    assert one["weights_sha256"] != other["weights_sha256"]


def test_examples_that_a_member_learned_from_are_counted(
    images: Path, networks: list[Path], shared: str, tmp_path: Path
) -> None:
    """A data set whose training split is this one's test split, and one that shares nothing."""
    out = tmp_path / "e"
    stolen = Path(shutil.copytree(images, tmp_path / "stolen"))
    for suffix in ("jsonl", "zip"):
        shutil.copy(stolen / f"test.{suffix}", stolen / f"train.{suffix}")
    named = [
        {"checkpoint": str(networks[0]), "trained_on": [str(stolen)]},
        {"checkpoint": str(networks[1]), "trained_on": [str(images)]},
    ]
    found = ensemble(out, images, named, cache=shared)
    count = found["scores"]["model"]["examples"]
    assert found["members"][0]["overlap"] == {"known": "counted", "examples": count}
    assert found["members"][1]["overlap"] == {"known": "counted", "examples": 0}


# --- texts and tables -----------------------------------------------------------------------------


def test_texts_have_members_with_tokenizers_of_their_own(tmp_path: Path) -> None:
    texts = text_dataset(tmp_path / "d", WORDS, 60)
    members = []
    for name, labels in (("bert-pooler", ["no", "yes"]), ("distilbert-plain", ["yes", "no"])):
        values = CASES[name].model_dump() | {"vocab_size": PIECES.size, "labels": labels}
        values |= {"head": "classification"} | ({"pooler": None} if "pooler" in values else {})
        config = type(CASES[name]).model_validate(values)
        members.append(checkpoint(tmp_path / name, config, PIECES, inputs={"most_tokens": 16}))
    command = {
        "method": "ensemble",
        "data": {"path": str(texts)},
        "members": [{"checkpoint": str(one)} for one in members],
        "combination": "weights",
    }
    (tmp_path / "spec.json").write_text(json.dumps(command))
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "spec.json"), "--out", str(out), "--quiet"]) == EXIT_DONE
    found = report(out)
    assert sum(found["combination"]["weights"]) == pytest.approx(1, abs=1e-6)
    assert "tfidf" in found["scores"]
    assert all("text" in one for one in found["predictions"])
    again = command | {"members": [], "checkpoint": str(out / "checkpoint")}
    (tmp_path / "again.json").write_text(json.dumps(again))
    out = tmp_path / "again"
    assert main(["run", str(tmp_path / "again.json"), "--out", str(out), "--quiet"]) == EXIT_DONE
    assert report(out)["scores"]["model"] == found["scores"]["model"]


def test_rows_of_a_table_have_models_of_tables(tmp_path: Path) -> None:
    table = table_dataset(tmp_path / "data", people())
    members = []
    for seed in (0, 1):
        out = tmp_path / f"run-{seed}"
        out.mkdir()
        log = EventLog(out / "events.jsonl")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(wide_deep_task, "table_baselines", lambda *_values: {})
            spec = table_spec(table, seed=seed, training={"steps": 10, "learning_rate": 0.1})
            assert isinstance(spec, WideDeepSpec)
            train(spec, out, log)
        log.close()
        members.append(out / "checkpoint")
    found = ensemble(tmp_path / "e", table, members, combination="logits")
    alone = report(tmp_path / "run-1")["scores"]["model"]
    assert found["members"][1]["scores"]["loss"] == pytest.approx(alone["loss"], abs=1e-5)
    assert {"boosting", "logistic", "majority"} <= set(found["scores"])
    assert found["predictions"][0]["values"]


# --- snapshots ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cyclic(images: Path) -> dict[str, Any]:
    training = {"steps": 6, "cycles": 3, "warmup_steps": 0}
    spec = spec_of(images, model=RESNET.model_dump(mode="json"), training=training)
    return spec | {"evaluation": {"every": 100, "batches": 4, "checkpoint_every": 3}}


@pytest.fixture(scope="module")
def snapshots(cyclic: dict[str, Any], tmp_path_factory: Folders) -> Path:
    out = tmp_path_factory.mktemp("snapshots") / "run"
    run(out, cyclic)
    return out


def test_each_cycle_leaves_a_checkpoint(snapshots: Path, images: Path, tmp_path: Path) -> None:
    told_of = report(snapshots)["snapshots"]
    assert [(one["number"], one["step"]) for one in told_of] == [(1, 2), (2, 4), (3, 6)]
    folders = [snapshots / "snapshots" / str(number) for number in (1, 2, 3)]
    for one, folder in zip(told_of, folders, strict=True):
        card = read_checkpoint(folder, verify=True).card
        assert card["weights_sha256"] == one["weights_sha256"]
        assert card["snapshot"] == {"number": one["number"], "of": 3, "step": one["step"]}
        assert card["classes"] == ["red", "blue", "green"]
        assert card["scores"]["validation_loss"] == one["validation_loss"]
    assert len({one["weights_sha256"] for one in told_of}) == 3
    found = ensemble(tmp_path / "e", images, folders)
    assert len(found["members"]) == 3


def test_stopped_between_two_cycles_and_resumed_its_snapshots_are_the_same(
    snapshots: Path, cyclic: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, asked = tmp_path / "run", []
    advance = Loop._advance

    def ask_at_step_three(loop: Loop) -> None:
        advance(loop)
        asked.append(loop.position.step)

    monkeypatch.setattr(Loop, "_advance", ask_at_step_three)
    monkeypatch.setattr(stopping, "requested", lambda: 3 in asked)
    with pytest.raises(stopping.Stopped):
        run(out, cyclic)
    monkeypatch.undo()
    assert (out / "snapshots" / "1").is_dir()
    assert not (out / "snapshots" / "3").is_dir()
    again = run(out, cyclic)
    assert [event["step"] for event in told(out, "resumed")] == [3]
    assert again["snapshots"] == report(snapshots)["snapshots"]
    for number in ("1", "2", "3"):
        folder = Path("snapshots") / number
        assert not changed(tensors(out / folder), tensors(snapshots / folder))


# --- refusals -------------------------------------------------------------------------------------


def refused(*args: Any, **settings: Any) -> TrainingError:
    with pytest.raises(TrainingError) as error:
        ensemble(*args, **settings)
    return error.value


def test_a_member_of_the_other_kind_is_refused_by_its_number(
    images: Path, networks: list[Path], tmp_path: Path
) -> None:
    values = CASES["bert-pooler"].model_dump() | {"head": "classification", "pooler": None}
    config = type(CASES["bert-pooler"]).model_validate(
        values | {"labels": ["red", "blue", "green"], "vocab_size": PIECES.size}
    )
    bert = checkpoint(tmp_path / "bert", config, PIECES)
    error = refused(tmp_path / "e", images, [networks[0], bert])
    assert (error.code, error.field) == ("member_of_other_data", "members.1.checkpoint")
    assert "Member 2, a BERT model, does not read this kind of data." in str(error)


def test_other_classes_are_named(images: Path, networks: list[Path], tmp_path: Path) -> None:
    other = checkpoint(tmp_path / "o", RESNET, classes=["red", "blue", "yellow"])
    error = refused(tmp_path / "e", images, [networks[0], other])
    assert (error.code, error.params) == (
        "member_classes_differ",
        {"number": 2, "extra": "yellow", "missing": "green"},
    )


def test_a_network_that_says_no_classes_is_refused(
    images: Path, networks: list[Path], tmp_path: Path
) -> None:
    nameless = checkpoint(tmp_path / "n", RESNET)
    error = refused(tmp_path / "e", images, [networks[0], nameless])
    assert error.code == "member_without_classes"


def test_a_member_that_cannot_be_read_is_named(
    images: Path, networks: list[Path], tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(networks[0], tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"nothing")
    error = refused(tmp_path / "e", images, [networks[0], broken])
    assert (error.code, error.params["number"]) == ("member_unreadable", 2)


def test_an_ensemble_is_no_member_and_no_source(
    images: Path, networks: list[Path], shared: str, tmp_path: Path
) -> None:
    ensemble(tmp_path / "a", images, networks[:2], cache=shared)
    made = tmp_path / "a" / "checkpoint"
    assert refused(tmp_path / "b", images, [networks[0], made]).code == "member_is_ensemble"
    with pytest.raises(TrainingError, match="take one of its members"):
        read_checkpoint(made)
    assert refused(tmp_path / "c", images, checkpoint=str(networks[0])).code == "ensemble_expected"


def test_what_is_fitted_needs_a_test_split(
    images: Path, networks: list[Path], tmp_path: Path
) -> None:
    data = Path(shutil.copytree(images, tmp_path / "d"))
    (data / "test.jsonl").unlink()
    error = refused(tmp_path / "a", data, networks, combination="weights")
    assert (error.code, error.field) == ("ensemble_needs_test", "combination")
    assert ensemble(tmp_path / "b", data, networks)["split"] == "validation"


def test_the_command_line_says_what_is_wrong(images: Path, tmp_path: Path) -> None:
    spec = {"method": "ensemble", "data": {"path": str(images)}, "members": [{"checkpoint": "x"}]}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "spec.json"), "--out", str(out), "--quiet"]) == EXIT_REFUSED
    assert told(out, "error")[0]["field"] == "members"
