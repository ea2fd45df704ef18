"""Runs on two views, each method's once: from scratch and from sources, with labels and without;
what comes out, and that a run taken up again ends the very same.

SimCLR starts from random weights and BYOL goes on from what it learned; SimSiam's images have no
labels; MoCo starts from a classifier.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.training import labelled
from tests.integration.training.labelled import checkpoint, image_dataset
from tests.integration.training.runs import (
    Steps,
    built,
    changed,
    named,
    report,
    run,
    state_of,
    tensors,
    told,
)
from tests.integration.training.siamese import METHODS, RESNET, spec_of, without_labels
from tests.integration.training.tiny import curve
from training.data.pixels import NORMALISATIONS
from training.weights.checkpoint import read_checkpoint
from training.weights.initial import initial_weights

CLASSIFIER = RESNET.model_copy(update={"num_classes": 2})
BACKBONE = {spec.name for spec in RESNET.tensors()}
TRAINED = {spec.name for spec in RESNET.tensors() if spec.trained}
STATISTICS = BACKBONE - TRAINED
WATCHED = {"validation_views_loss", "validation_spread", "validation_dimensions"}
FROM_LABELS = {"validation_knn", "validation_probe"}
STEPS, KEPT = 5, 3

Folders = pytest.TempPathFactory


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: Folders) -> Path:
    return image_dataset(
        tmp_path_factory.mktemp("data") / "d", {"red": 24, "green": 24, "blue": 24}
    )


@pytest.fixture(scope="module")
def unlabelled(dataset: Path, tmp_path_factory: Folders) -> Path:
    """The same images."""
    found = Path(shutil.copytree(dataset, tmp_path_factory.mktemp("unlabelled") / "d"))
    without_labels(found)
    return found


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: Folders) -> Path:
    """A checkpoint with a head; its pixels were normalised in a way of its own."""
    images = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    return checkpoint(tmp_path_factory.mktemp("classifier") / "c", CLASSIFIER, images=images)


@pytest.fixture(scope="module")
def runs(
    dataset: Path, unlabelled: Path, classifier: Path, tmp_path_factory: Folders
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Method → the folder of its run, and its spec."""
    folder = tmp_path_factory.mktemp("runs")
    earlier = {"source": {"checkpoint": str(folder / "simclr" / "checkpoint")}}
    own = {"views": {"normalisation": "auto"}}
    specs = {
        "simclr": spec_of("simclr", dataset),
        "byol": spec_of("byol", dataset, **earlier, **own),
        "simsiam": spec_of("simsiam", unlabelled),
        "moco": spec_of("moco", dataset, source={"checkpoint": str(classifier)}, **own),
    }
    for method in METHODS:
        run(folder / method, specs[method])
    return {method: (folder / method, specs[method]) for method in METHODS}


Runs = dict[str, tuple[Path, dict[str, Any]]]


# --- what comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_checkpoint_is_the_backbone_alone(method: str, runs: Runs) -> None:
    out, _spec = runs[method]
    found = read_checkpoint(out / "checkpoint", verify=True)
    assert found.config == RESNET
    values = dict(found.tensors())
    assert values.keys() == BACKBONE
    assert all(np.isfinite(value).all() for value in values.values())
    assert all((value >= 0).all() for name, value in values.items() if name.endswith("_var"))
    # What it is after the last step, whatever the losses were.
    last = state_of(out, STEPS)
    assert all(np.array_equal(values[name], last[name]) for name in BACKBONE)
    assert report(out)["best"]["step"] == STEPS


@pytest.mark.parametrize("method", METHODS)
def test_its_card_says_how_it_was_made(method: str, runs: Runs, classifier: Path) -> None:
    out, spec = runs[method]
    card = read_checkpoint(out / "checkpoint").card
    assert card["method"] == method
    assert card["steps"] == STEPS
    assert card["made_by"]["seed"] == spec["seed"]
    assert card["data"] == report(out)["data"]
    assert "classes" not in card
    mean, deviation = NORMALISATIONS["unit"]
    expected = {"mean": list(mean), "std": list(deviation)}
    parents = []
    if "source" in spec:
        source = read_checkpoint(Path(spec["source"]["checkpoint"]))
        parents, expected = [source.weights_sha256], source.card["images"]
    assert card["parents"] == parents
    assert card["images"]["mean"] == pytest.approx(expected["mean"])
    assert card["images"]["std"] == pytest.approx(expected["std"])


@pytest.mark.parametrize("method", METHODS)
def test_everything_is_trained_and_nothing_else_changes(method: str, runs: Runs) -> None:
    out, spec = runs[method]
    if "source" in spec:
        start = tensors(Path(spec["source"]["checkpoint"]))
        start = {name: value for name, value in start.items() if name in BACKBONE}
    else:
        start = dict(initial_weights(RESNET, spec["seed"]))
    assert changed(start, tensors(out / "checkpoint")) == BACKBONE
    slots = {name.rsplit(".", 1)[0] for name in state_of(out, STEPS, "optimizer")}
    kept = state_of(out, STEPS)
    assert kept.keys() >= BACKBONE
    assert slots & BACKBONE == TRAINED
    on_top = {name.split(".")[0] for name in slots - BACKBONE}
    beside = {name.split(".")[0] for name in kept.keys() - BACKBONE}
    predictor = {"predictor"} if method in ("byol", "simsiam") else set()
    follows = {"byol": {"momentum"}, "moco": {"momentum", "queue"}}.get(method, set())
    assert on_top == {"projector"} | predictor
    assert beside == on_top | follows
    if follows:
        inside = {name.removeprefix("momentum.") for name in kept if name.startswith("momentum.")}
        assert inside == {name for name in kept if not name.startswith(("mom", "pred", "queue"))}


@pytest.mark.parametrize("method", METHODS)
def test_curves_say_how_it_goes(method: str, runs: Runs) -> None:
    points = curve(runs[method][0])
    names = {name for name, _step in points}
    assert {step for name, step in points if name == "loss"} == set(range(1, STEPS + 1))
    assert names & FROM_LABELS == (set() if method == "simsiam" else FROM_LABELS)
    for name in names & (WATCHED | FROM_LABELS):
        assert {step for other, step in points if other == name} == {0, 3, STEPS}, name
    assert names >= WATCHED
    assert not {"validation_loss", "validation_accuracy"} & names
    assert report(runs[method][0])["curves"].keys() == names
    assert all(np.isfinite(value) for value in points.values())


@pytest.mark.parametrize("method", ["simclr", "byol", "moco"])
def test_the_report_says_what_features_are_good_for_and_what_they_must_beat(
    method: str, runs: Runs
) -> None:
    out, spec = runs[method]
    found = report(out)
    source = {"source"} if "source" in spec else set()
    assert set(found["scores"]) == {"model", "random", "pixels", "majority"} | source
    assert found["split"] == "test"
    assert found["classes"] == ["blue", "green", "red"]
    assert found["scores"]["model"]["examples"] == 18
    assert found["scores"]["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert set(found["beaten_by"]) <= {"random", "pixels", "majority"} | source
    assert all("label" in one for one in found["predictions"])
    for when in ("before", "after"):
        for split, examples in (("validation", 12), ("test", 18)):
            scores = found[when][split]
            assert scores.keys() == {"loss", "examples", "spread", "dimensions", "knn", "probe"}
            assert scores["examples"] == examples
            assert 0 <= scores["knn"] <= 1
    assert found["counts"] == "examples"
    assert found["tokens"] == STEPS * 8


def test_images_without_labels_are_learned_from_and_not_scored(runs: Runs) -> None:
    found = report(runs["simsiam"][0])
    assert not {"scores", "classes", "beaten_by", "predictions"} & found.keys()
    for when in ("before", "after"):
        assert found[when]["test"].keys() == {"loss", "examples", "spread", "dimensions"}
    assert found["after"]["validation"]["loss"] != found["before"]["validation"]["loss"]


# --- labels are for looking on --------------------------------------------------------------------


def test_labels_change_nothing_of_what_is_learned(
    runs: Runs, unlabelled: Path, tmp_path: Path
) -> None:
    """SimCLR on the same images without their labels takes the very same steps."""
    out, spec = runs["simclr"]
    without = Steps(spec | {"data": {"path": str(unlabelled)}}, tmp_path / "without")
    without.take(KEPT)
    assert without.losses == [curve(out)["loss", step] for step in range(1, KEPT + 1)]
    found = without.weights[-1]
    assert not changed(state_of(out, KEPT), found)


# --- from a source, and as one --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["byol", "moco"])
def test_a_source_is_copied_exactly_but_for_its_head(
    method: str, runs: Runs, tmp_path: Path
) -> None:
    out, spec = runs[method]
    theirs = tensors(Path(spec["source"]["checkpoint"]))
    (event,) = told(out, "weights")
    assert event["verified"] is True
    assert event["parameters_copied"] == event["parameters_total"]
    assert event["initialised"] == 0
    assert report(out)["weights"]["verified"] is True
    task = built(spec, tmp_path / "built")
    ours = task.model.online.named()
    assert theirs.keys() - ours.keys() == ({"fc.weight", "fc.bias"} if method == "moco" else set())
    assert not changed({name: theirs[name] for name in ours}, ours)
    # The momentum encoder begins where the encoder does.
    everything = named(task)
    for name, value in everything.items():
        if name.startswith("momentum."):
            assert np.array_equal(value, everything[name.removeprefix("momentum.")]), name


def test_from_scratch_nothing_is_copied(runs: Runs, tmp_path: Path) -> None:
    out, spec = runs["simclr"]
    assert not told(out, "weights")
    assert report(out)["weights"] is None
    ours = built(spec, tmp_path / "built").model.online.named()
    assert not changed(dict(initial_weights(RESNET, spec["seed"])), ours)


def test_what_starts_afresh_is_said(runs: Runs, dataset: Path, tmp_path: Path) -> None:
    source = runs["simclr"][0] / "checkpoint"
    chosen = {"checkpoint": str(source), "reinitialise": ["layer1.*"]}
    task = built(spec_of("simclr", dataset, source=chosen), tmp_path / "built")
    afresh = {name for name in BACKBONE if name.startswith("layer1.")}
    assert task.weights_event["initialised"] == len(afresh)
    ours, random = task.model.online.named(), initial_weights(RESNET, 3)
    assert all(np.array_equal(ours[name], random[name]) for name in afresh)
    theirs = tensors(source)
    assert all(np.array_equal(ours[name], theirs[name]) for name in BACKBONE - afresh)


def test_a_classifier_starts_from_what_was_learned(
    runs: Runs, dataset: Path, tmp_path: Path
) -> None:
    """With everything but the head, and with the pixels normalised in the same way."""
    source = runs["simclr"][0] / "checkpoint"
    spec = labelled.spec_of(
        dataset,
        source={"checkpoint": str(source)},
        inputs={"image_px": 16},
        training={"steps": 1, "policy": "head"},
    )
    out = tmp_path / "run"
    found = run(out, spec)
    assert found["weights"]["verified"] is True
    assert found["weights"]["initialised"] == 2
    after, before = tensors(out / "checkpoint"), tensors(source)
    assert after.keys() - before.keys() == {"fc.weight", "fc.bias"}
    assert not changed(before, {name: after[name] for name in before})
    card = read_checkpoint(out / "checkpoint").card
    assert card["parents"] == [read_checkpoint(source).weights_sha256]
    assert card["images"] == read_checkpoint(source).card["images"]


# --- taken up again -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_resumed_it_comes_to_the_very_same_end(method: str, runs: Runs, tmp_path: Path) -> None:
    """From the state of the third step, in a new process's place: another model, another graph."""
    straight, spec = runs[method]
    out = tmp_path / "run"
    kept = f"state/step-{KEPT:08d}"
    shutil.copytree(straight / kept, out / kept)
    found, expected = run(out, spec), report(straight)
    assert [event["step"] for event in told(out, "resumed")] == [KEPT]
    for file in ("weights", "optimizer", "best"):
        assert not changed(state_of(out, STEPS, file), state_of(straight, STEPS, file)), file
    late = {key: value for key, value in curve(straight).items() if key[1] > KEPT}
    assert late
    assert {key: value for key, value in curve(out).items() if key[1] > KEPT} == late
    assert not changed(tensors(out / "checkpoint"), tensors(straight / "checkpoint"))
    for name in ("before", "after", "best", "steps", "tokens", "scores", "predictions"):
        assert found.get(name) == expected.get(name), name
