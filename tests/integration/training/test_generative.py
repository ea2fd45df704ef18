"""Whole runs of the methods that make images: what comes out, from scratch and from a source, and
that a run taken up again ends the very same."""

import base64
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.integration.training.generative import METHODS, MODELS, spec_of
from tests.integration.training.labelled import checkpoint, image_dataset
from tests.integration.training.runs import built, loaded, named, report, run, state_of, tensors
from tests.integration.training.tiny import curve
from training.backbones.resnet.config import ResNetConfig
from training.errors import TrainingError
from training.events import read_events
from training.methods.task_related.cvae_task import CVAETask
from training.weights.checkpoint import read_checkpoint

STEPS, KEPT = 5, 3
WATCHED = {
    "cvae": {"validation_loss", "validation_reconstruction", "validation_divergence"},
    "cgan": {
        "validation_generator_loss",
        "validation_discriminator_loss",
        "validation_real_score",
        "validation_fake_score",
    },
}
JUDGED = {"validation_class_accuracy", "validation_frechet"}
Folders = pytest.TempPathFactory
Runs = dict[str, tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: Folders) -> Path:
    return image_dataset(tmp_path_factory.mktemp("data") / "d", {"red": 20, "green": 24})


@pytest.fixture(scope="module")
def runs(dataset: Path, tmp_path_factory: Folders) -> Runs:
    """Method → the folder of its run, and its spec; the GAN with spectral norms."""
    folder = tmp_path_factory.mktemp("runs")
    specs = {method: spec_of(method, dataset) for method in METHODS}
    specs["cgan"]["model"] = specs["cgan"]["model"] | {"spectral_norm": True}
    for method in METHODS:
        run(folder / method, specs[method])
    return {method: (folder / method, specs[method]) for method in METHODS}


def pictures(out: Path, kind: str) -> list[dict[str, Any]]:
    events, _offset = read_events(out / "events.jsonl")
    return [event for event in events if event["kind"] == "sample" and event["set"] == kind]


# --- what comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_checkpoint_makes_images_of_classes_it_names(method: str, runs: Runs) -> None:
    out, spec = runs[method]
    found = read_checkpoint(out / "checkpoint", verify=True)
    assert found.config.architecture == spec["model"]["architecture"]
    assert found.card["classes"] == ["green", "red"]  # the largest first
    assert found.card["method"] == method
    assert {"test_class_accuracy", "test_frechet"} <= found.card["scores"].keys()
    assert (out / "checkpoint" / "samples.png").is_file()
    values = dict(found.tensors())
    assert values.keys() == {one.name for one in found.config.tensors()}
    assert all(np.isfinite(value).all() for value in values.values())


def test_a_gan_s_generator_is_its_average_and_the_last(runs: Runs) -> None:
    out, _spec = runs["cgan"]
    values, last = tensors(out / "checkpoint"), state_of(out, STEPS)
    for name, value in values.items():
        kept = f"average.{name}" if name.startswith("generator.") else name
        assert np.array_equal(value, last[kept]), name
    assert report(out)["best"]["step"] == STEPS


@pytest.mark.parametrize("method", METHODS)
def test_a_report_has_the_model_beside_what_it_must_beat(method: str, runs: Runs) -> None:
    found = report(runs[method][0])["generated"]
    assert set(found["sides"]) == {"model", "real", "means", "noise"}
    for side in found["sides"].values():
        assert 0 <= side["class_accuracy"] <= 1
        assert side["frechet"] >= 0
    assert found["sides"]["real"]["frechet"] < found["sides"]["noise"]["frechet"]
    assert found["sides"]["real"]["class_accuracy"] == found["judge"]["accuracy"]
    assert found["judge"]["kind"] == "trained"
    assert found["rough"]  # a dozen images
    # Five steps make no images.
    assert "means" in found["beaten_by"]
    assert [one["name"] for one in found["classes"]] == ["green", "red"]
    assert set(found["copying"]) == {"made", "real", "copies", "images", "known"}


@pytest.mark.parametrize("method", METHODS)
def test_curves_tell_what_its_losses_and_its_judge_say(method: str, runs: Runs) -> None:
    curves = report(runs[method][0])["curves"]
    for name in WATCHED[method] | JUDGED:
        assert [step for step, _value in curves[name]] == [0, 3, 5], name
    assert ("validation_loss" in curves) == (method == "cvae")
    if method == "cvae":
        parts = [dict(curves[f"validation_{one}"]) for one in ("reconstruction", "divergence")]
        for step, value in curves["validation_loss"]:
            assert value == pytest.approx(sum(part[step] for part in parts), rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_row_of_samples_a_class_is_shown_while_it_trains(method: str, runs: Runs) -> None:
    out, _spec = runs[method]
    found = pictures(out, "samples")
    told = [(event["step"], event["prompt"]) for event in found]
    assert told == [(step, name) for step in (0, 3, 5) for name in ("green", "red")]
    for event in found:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(event["image"]))))
        assert picture.shape == (28, 3 * 28 + 2 * 2, 3)
        assert event["type"] == "image/png"
    assert found[0]["image"] != found[-2]["image"]
    # Pictures are events, and the report, which lists read, has none.
    assert report(out)["samples"] == {"before": [], "after": []}


@pytest.mark.parametrize("method", METHODS)
def test_the_report_has_pictures_of_its_own(method: str, runs: Runs) -> None:
    kinds = ["made", "real", "between", "nearest"]
    kinds += ["reconstructions"] if method == "cvae" else []
    for kind in kinds:
        found = pictures(runs[method][0], kind)
        assert [event["prompt"] for event in found] == ["green", "red"], kind
    assert method == "cvae" or not pictures(runs[method][0], "reconstructions")


# --- taken up again -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_was_killed_ends_the_very_same(method: str, runs: Runs, tmp_path: Path) -> None:
    """From the state after step 3: discriminator, average and spectral vectors are in it."""
    out, spec = runs[method]
    again = tmp_path / "again"
    again.mkdir()
    state = f"step-{KEPT:08d}"
    (again / "state").mkdir()
    shutil.copytree(out / "state" / state, again / "state" / state)
    run(again, spec)
    first, second = state_of(out, STEPS), state_of(again, STEPS)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    slots, others = state_of(out, STEPS, "optimizer"), state_of(again, STEPS, "optimizer")
    assert all(np.array_equal(slots[name], others[name]) for name in slots)
    if method == "cgan":
        assert any(name.startswith("average.") for name in first)
        assert any(name.endswith(".u") for name in first)
    rest = curve(again)
    assert len(rest) > 10
    assert rest == {key: value for key, value in curve(out).items() if key[1] > KEPT}
    assert report(out)["generated"] == report(again)["generated"]


# --- from a source --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_classes_follow_their_names(method: str, runs: Runs, tmp_path: Path) -> None:
    """Of red, blue and yellow the source knows red: its row is red's, behind it are new ones."""
    data = image_dataset(tmp_path / "d", {"blue": 16, "red": 12})
    source = runs[method][0] / "checkpoint"
    spec = spec_of(method, data, source={"checkpoint": str(source)})
    ready = loaded(spec, tmp_path / "loaded")
    assert ready.rows == ["green", "red", "blue"]
    assert ready.names == ["blue", "red"]
    assert ready.row_of.tolist() == [2, 1]
    task = built(spec, tmp_path / "run")
    assert task.weights_event["verified"]
    before, after = tensors(source), named(task)
    tables = [name for name in before if name.endswith(".class.weight")]
    assert len(tables) == 2
    for name in tables:
        assert after[name].shape[0] == 3
        assert np.array_equal(after[name][:2], before[name])
        assert np.any(after[name][2])
    for name in after.keys() - set(tables):
        if name in before and before[name].shape == after[name].shape:
            assert np.array_equal(after[name], before[name]), name


def test_a_source_of_another_kind_is_refused(runs: Runs, dataset: Path, tmp_path: Path) -> None:
    source = {"checkpoint": str(runs["cvae"][0] / "checkpoint")}
    with pytest.raises(TrainingError) as caught:
        loaded(spec_of("cgan", dataset, source=source), tmp_path / "run")
    assert caught.value.code == "architecture_not_trained"


# --- what is refused ------------------------------------------------------------------------------


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    data = image_dataset(tmp_path / "d", {"red": 12})
    with pytest.raises(TrainingError) as caught:
        loaded(spec_of("cvae", data), tmp_path / "run")
    assert caught.value.code == "dataset_without_labels"


def test_a_class_with_one_image_is_refused_by_name(dataset: Path, tmp_path: Path) -> None:
    found = Path(shutil.copytree(dataset, tmp_path / "d"))
    train = found / "train.jsonl"
    lines = train.read_text().splitlines()
    reds = [line for line in lines if '"red"' in line]
    train.write_text("\n".join([*[x for x in lines if x not in reds], reds[0]]) + "\n")
    with pytest.raises(TrainingError) as caught:
        loaded(spec_of("cgan", found), tmp_path / "run")
    assert caught.value.code == "generate_class_too_small"
    assert caught.value.params["name"] == "red"
    assert caught.value.params["images"] == 1


def test_a_classifier_of_the_library_judges(dataset: Path, tmp_path: Path) -> None:
    config = ResNetConfig(depths=[1], group_width=8, num_classes=3)
    judge = checkpoint(tmp_path / "judge", config, classes=["blue", "red", "green"])
    task = built(spec_of("cvae", dataset, judge={"checkpoint": str(judge)}), tmp_path / "run")
    found, images = task.judge, task.real("test")
    assert found.kind == "checkpoint"
    # Its classes are the data's by name: green is its third, red its second.
    network = found._network
    mean, deviation = found._mean, found._deviation
    logits = network((images - mean) / deviation, training=False).numpy()
    features, told = found.look(images)
    assert np.array_equal(told, logits[:, [2, 1]].argmax(1))
    assert features.shape == (len(images), found.width)
    labels = task.loaded.splits["test"].labels
    assert found.accuracy == pytest.approx((told == labels).mean())


def test_a_judge_of_another_spec_is_not_taken_for_this_one_s(dataset: Path, tmp_path: Path) -> None:
    """The folder of a run that was stopped before its first state is used for another."""
    out = tmp_path / "run"
    for image_px in (28, 32, 28):
        built(spec_of("cvae", dataset, model=MODELS["cvae"] | {"image_px": image_px}), out)
    assert len(list((out / "cache").iterdir())) == 2


def test_a_classifier_judges_at_the_size_that_it_learned_from(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ResNetConfig(depths=[1], group_width=8, num_classes=3)
    names = ["blue", "red", "green"]
    judge = checkpoint(tmp_path / "judge", config, classes=names, inputs={"image_px": 40})
    loads: list[int] = []
    real = CVAETask.real

    def watched(self: CVAETask, split: str, places: Any = None) -> Any:
        found = real(self, split, places)
        loads.append(len(found))
        return found

    monkeypatch.setattr(CVAETask, "real", watched)
    monkeypatch.setattr("training.generative.task.LOOKED_AT", 5)
    task = built(spec_of("cvae", dataset, judge={"checkpoint": str(judge)}), tmp_path / "run")
    found, images = task.judge, real(task, "test")
    # Its accuracy needs all images of the split, and no more than some of them at once.
    assert max(loads) == 5
    assert sum(loads) == len(images)
    large = tf.image.resize(images, [40, 40], antialias=True)
    seen = found._network.pooled((large - found._mean) / found._deviation, False).numpy()
    features, told = found.look(images)
    assert np.allclose(features, seen, rtol=1e-4, atol=1e-4)
    assert found.accuracy == pytest.approx((told == task.loaded.splits["test"].labels).mean())


def test_a_judge_that_lacks_a_class_is_refused_by_name(dataset: Path, tmp_path: Path) -> None:
    config = ResNetConfig(depths=[1], group_width=8, num_classes=2)
    judge = checkpoint(tmp_path / "judge", config, classes=["blue", "red"])
    spec = spec_of("cvae", dataset, judge={"checkpoint": str(judge)})
    with pytest.raises(TrainingError) as caught:
        run(tmp_path / "run", spec)
    assert caught.value.code == "judge_classes"
    assert caught.value.params["missing"] == "green"
