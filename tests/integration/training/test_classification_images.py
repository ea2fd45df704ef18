"""Image networks with a head: from scratch, from a source by each policy, stopped and resumed."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.training.labelled import image_dataset, spec_of
from tests.integration.training.runs import (
    built,
    changed,
    loaded,
    report,
    run,
    state_of,
    tensors,
    told,
)
from tests.integration.training.tiny import curve, finish, start
from training import stopping
from training.backbones.resnet.config import ResNetConfig
from training.data.labelled import class_names, read_about
from training.data.pixels import NORMALISATIONS
from training.engine.loop import Loop
from training.errors import EXIT_DONE
from training.fine_tuning.settings import scratch_twin
from training.methods.task_related.classification_spec import ClassificationSpec
from training.weights.checkpoint import read_checkpoint

RESNET = ResNetConfig(depths=[1, 1], group_width=8)
HEAD = {"fc.weight", "fc.bias"}
STATISTICS = {spec.name for spec in RESNET.tensors() if not spec.trained}

Folders = pytest.TempPathFactory


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: Folders) -> Path:
    """Classes of one size stand in the order of their names: blue, green, red."""
    return image_dataset(
        tmp_path_factory.mktemp("data") / "d", {"red": 24, "green": 24, "blue": 24}
    )


@pytest.fixture(scope="module")
def other_order(tmp_path_factory: Folders) -> Path:
    """The same classes, the largest first: red, green, blue."""
    return image_dataset(
        tmp_path_factory.mktemp("order") / "d", {"red": 24, "green": 20, "blue": 16}
    )


@pytest.fixture(scope="module")
def other_classes(tmp_path_factory: Folders) -> Path:
    """As many classes of other names: cherry, leaf, sky."""
    return image_dataset(
        tmp_path_factory.mktemp("classes") / "d", {"cherry": 20, "leaf": 16, "sky": 12}
    )


@pytest.fixture(scope="module")
def scratch(dataset: Path, tmp_path_factory: Folders) -> Path:
    """The folder of a run without a source."""
    out = tmp_path_factory.mktemp("scratch") / "run"
    spec = spec_of(
        dataset,
        model=RESNET.model_dump(),
        inputs={"normalisation": "unit"},
        training={"steps": 12, "learning_rate": 2e-3},
    )
    run(out, spec)
    return out


@pytest.fixture(scope="module")
def source(scratch: Path) -> Path:
    """Its checkpoint."""
    return scratch / "checkpoint"


def transfer(dataset: Path, source: Path, **parts: Any) -> dict[str, Any]:
    return spec_of(dataset, source={"checkpoint": str(source)}, **parts)


def rows_of(dataset: Path, split: str) -> dict[Any, dict[str, Any]]:
    """A split's lines by id."""
    lines = (dataset / f"{split}.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


# --- from scratch ---------------------------------------------------------------------------------


def test_it_learns_the_classes_and_the_report_says_what_it_must_beat(
    scratch: Path, dataset: Path
) -> None:
    found = report(scratch)
    assert found["method"] == "classification"
    assert found["classes"] == ["blue", "green", "red"]
    assert (found["split"], found["examples"]) == ("test", 42)
    assert set(found["scores"]) == {"model", "pixels", "majority"}
    mine = found["scores"]["model"]
    assert mine["examples"] == 18
    assert mine["accuracy"] >= 0.9
    assert found["scores"]["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert found["before"]["test"]["accuracy"] < 0.7
    assert found["after"]["test"]["accuracy"] == mine["accuracy"]
    assert found["after"]["test"]["loss"] == pytest.approx(mine["loss"], rel=1e-5)
    pixels = found["scores"]["pixels"]["accuracy"]
    assert found["beaten_by"] == (["pixels"] if pixels >= mine["accuracy"] else [])
    assert found["counts"] == "examples"
    assert found["tokens"] == 12 * 8
    assert found["weights"] is None
    assert found["data"] == {"name": "dataset", "sha256": read_about(dataset)["sha256"]}


def test_the_report_shows_the_examples_it_is_most_wrong_about(scratch: Path, dataset: Path) -> None:
    rows = rows_of(dataset, "test")
    shown = report(scratch)["predictions"]
    assert len(shown) == 18
    assert [one["loss"] for one in shown] == sorted((one["loss"] for one in shown), reverse=True)
    for one in shown:
        assert one["split"] == "test"
        for key in ("label", "name", "width", "height", "offset", "size"):
            assert one[key] == rows[one["id"]][key]


def test_the_checkpoint_is_an_image_network_that_says_its_classes_and_pixels(scratch: Path) -> None:
    found = read_checkpoint(scratch / "checkpoint", verify=True)
    assert found.config == RESNET.model_copy(update={"num_classes": 3})
    assert found.card["classes"] == ["blue", "green", "red"]
    mean, deviation = NORMALISATIONS["unit"]
    assert found.card["images"] == {"mean": list(mean), "std": list(deviation)}
    assert found.card["method"] == "classification"
    assert found.card["parents"] == []
    assert found.card["scores"]["test_accuracy"] == report(scratch)["after"]["test"]["accuracy"]
    values = found.tensors()
    assert not np.allclose(values["bn1.running_mean"], 0, atol=1e-4)
    assert all((values[name] >= 0).all() for name in STATISTICS if name.endswith("_var"))


# --- the head of a source -------------------------------------------------------------------------


def test_the_same_classes_keep_the_source_s_head_and_its_order(
    other_order: Path, source: Path, tmp_path: Path
) -> None:
    assert class_names(read_about(other_order)) == ["red", "green", "blue"]
    spec = transfer(other_order, source, training={"steps": 1, "policy": "head"})
    found = run(tmp_path / "run", spec)
    assert found["weights"]["verified"] is True
    assert found["weights"]["parameters_copied"] == found["weights"]["parameters_total"]
    assert found["weights"]["initialised"] == 0
    card = read_checkpoint(tmp_path / "run" / "checkpoint").card
    assert found["classes"] == card["classes"] == ["blue", "green", "red"]
    assert card["parents"] == [read_checkpoint(source).weights_sha256]
    # What the source has learned is right here too, before a step is taken.
    assert found["before"]["test"]["accuracy"] >= 0.9
    assert found["scores"]["model"]["accuracy"] >= 0.9
    rows = rows_of(other_order, "test")
    assert {one["label"] for one in found["predictions"]} == {"red", "green", "blue"}
    assert all(one["label"] == rows[one["id"]]["label"] for one in found["predictions"])
    # It is shown pixels as the source was.
    assert card["images"] == read_checkpoint(source).card["images"]


def test_other_classes_get_a_new_head_even_where_there_are_as_many(
    other_classes: Path, source: Path, tmp_path: Path
) -> None:
    task = built(transfer(other_classes, source, seed=8), tmp_path)
    assert task.plan is not None
    rows = {row.target: row for row in task.plan.rows}
    assert {name for name, row in rows.items() if not row.copied} == HEAD
    assert {name for name, row in rows.items() if row.copied < row.parameters} == HEAD
    assert task.weights_event is not None
    assert task.weights_event["initialised"] == 2
    theirs, ours = tensors(source), task.model.named()
    assert changed(theirs, ours) == HEAD
    assert not ours["fc.bias"].any()
    assert task.loaded.names == ["cherry", "leaf", "sky"]


# --- policies -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def head_only(other_classes: Path, source: Path, tmp_path_factory: Folders) -> Path:
    out = tmp_path_factory.mktemp("head") / "run"
    spec = transfer(
        other_classes,
        source,
        inputs={"augmentation": "shift_flip"},
        training={"steps": 10, "policy": "head", "head_rate": 10, "l2_sp": 0.5},
    )
    run(out, spec)
    return out


def test_the_head_alone_leaves_everything_else_as_the_source_had_it(
    head_only: Path, source: Path
) -> None:
    """Running statistics too: a network whose batch norms move is not frozen."""
    assert changed(tensors(source), tensors(head_only / "checkpoint")) == HEAD
    state = state_of(head_only, 10)
    assert state.keys() == HEAD | STATISTICS
    theirs = tensors(source)
    assert all(np.array_equal(state[name], theirs[name]) for name in STATISTICS)
    slots = state_of(head_only, 10, "optimizer")
    assert {name.rsplit(".", 1)[0] for name in slots} == HEAD


def test_the_head_alone_learns_its_classes(head_only: Path) -> None:
    found = report(head_only)
    assert found["parameters"]["trainable"] == 3 * 512 + 3
    assert found["parameters"]["total"] > 50 * found["parameters"]["trainable"]
    assert found["after"]["validation"]["loss"] < found["before"]["validation"]["loss"]
    assert found["scores"]["model"]["accuracy"] >= 0.9


@pytest.mark.parametrize(
    ("training", "moved"),
    [
        ({"norms": "batch"}, STATISTICS),
        ({"norms": "source"}, set()),
        ({"norms": "batch", "policy": "head"}, set()),
    ],
)
def test_statistics_follow_the_batches_unless_they_are_the_source_s(
    training: dict[str, Any], moved: set[str], other_classes: Path, source: Path, tmp_path: Path
) -> None:
    task = built(transfer(other_classes, source, training=training), tmp_path)
    before, phase = task.model.named(), task.phases[0]
    variables = [task.model.named_variables[name].value for name in phase.names]
    _loss, _count, gradients = task.gradients(task.batch(0), [0, 0], variables, phase)
    assert changed(before, task.model.named()) == moved
    assert len(gradients) == len(phase.names)
    assert all(np.any(gradient) for gradient in gradients)


# --- head first, then everything; stopped and resumed ---------------------------------------------


@pytest.fixture(scope="module")
def head_first(other_classes: Path, source: Path) -> dict[str, Any]:
    """Four steps with a frozen backbone, then four with everything."""
    return transfer(
        other_classes,
        source,
        inputs={"augmentation": "shift_flip"},
        training={"steps": 8, "policy": "lp_ft", "frozen_share": 0.5, "rate_decay": 0.8},
        evaluation={"every": 2},
    )


@pytest.fixture(scope="module")
def undisturbed(head_first: dict[str, Any], tmp_path_factory: Folders) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run(out, head_first)
    return out


@pytest.fixture(scope="module")
def stopped(head_first: dict[str, Any], tmp_path_factory: Folders) -> Path:
    """The same run, asked to stop after its third step."""
    out, asked = tmp_path_factory.mktemp("stopped") / "run", []
    advance = Loop._advance

    def ask_at_step_three(loop: Loop) -> None:
        advance(loop)
        asked.append(loop.position.step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_advance", ask_at_step_three)
        patch.setattr(stopping, "requested", lambda: 3 in asked)
        with pytest.raises(stopping.Stopped) as caught:
            run(out, head_first)
    assert caught.value.step == 3
    return out


def test_while_the_backbone_is_frozen_not_even_its_statistics_move(
    stopped: Path, undisturbed: Path, source: Path
) -> None:
    theirs = tensors(source)
    start, frozen, end = state_of(stopped, 0), state_of(stopped, 3), state_of(undisturbed, 8)
    assert start.keys() == frozen.keys() == end.keys() == theirs.keys()
    assert changed(start, frozen) == HEAD
    assert {name for name in theirs if not np.array_equal(theirs[name], frozen[name])} == HEAD
    assert changed(frozen, end) == theirs.keys()


def test_averages_begin_when_a_weight_is_first_trained(stopped: Path, undisturbed: Path) -> None:
    early, late = state_of(stopped, 3, "optimizer"), state_of(undisturbed, 8, "optimizer")
    assert {name.rsplit(".", 1)[0] for name, value in early.items() if value.any()} == HEAD
    assert all(value.any() for value in late.values())


def test_resumed_it_comes_to_the_very_same_end(
    stopped: Path, undisturbed: Path, head_first: dict[str, Any], tmp_path: Path
) -> None:
    out = Path(shutil.copytree(stopped, tmp_path / "run"))
    found, expected = run(out, head_first), report(undisturbed)
    assert [event["step"] for event in told(out, "resumed")] == [3]
    assert curve(out) == curve(undisturbed)
    assert {step for name, step in curve(out) if name == "loss"} == set(range(1, 9))
    for file in ("weights", "optimizer", "best"):
        assert not changed(state_of(out, 8, file), state_of(undisturbed, 8, file)), file
    assert not changed(tensors(out / "checkpoint"), tensors(undisturbed / "checkpoint"))
    for name in ("before", "after", "best", "curves", "steps", "tokens", "scores", "predictions"):
        assert found[name] == expected[name], name


# --- what a batch is ------------------------------------------------------------------------------


def test_a_batch_is_augmented_and_the_same_each_time(
    head_first: dict[str, Any], tmp_path: Path
) -> None:
    task = built(head_first, tmp_path)
    plain = built(head_first | {"inputs": {"image_px": 24}}, tmp_path)
    for index in (0, 7):
        (pixels, labels, mask), again = task.batch(index), task.batch(index)
        assert np.array_equal(pixels, again[0])
        as_they_are, same_labels, _mask = plain.batch(index)
        assert np.array_equal(labels, same_labels)
        assert not np.array_equal(pixels, as_they_are)
        assert pixels.shape == as_they_are.shape == (8, 24, 24, 3)
        assert mask.all()
    # What is scored is never augmented.
    seen, unseen = (next(iter(one.evaluation_batches("test", 1))) for one in (task, plain))
    assert all(np.array_equal(a, b) for a, b in zip(seen, unseen, strict=True))


def test_a_transfer_and_its_twin_see_the_very_same_examples(
    other_order: Path, source: Path, tmp_path: Path
) -> None:
    spec = ClassificationSpec.model_validate(transfer(other_order, source, examples=12))
    twin = scratch_twin(spec, read_checkpoint(source).config)
    ours, theirs = (loaded(one.model_dump(mode="json"), tmp_path) for one in (spec, twin))
    # The source's head has the classes in another order than the data.
    assert (ours.names, theirs.names) == (["blue", "green", "red"], ["red", "green", "blue"])
    for split in ("train", "validation", "test"):
        one, other = ours.splits[split], theirs.splits[split]
        assert one.rows == other.rows
        for place, row in enumerate(one.rows):
            assert ours.names[one.labels[place]] == row["label"]
            assert theirs.names[other.labels[place]] == row["label"]
    assert len(ours.splits["train"]) == 12
    assert len({row["id"] for row in ours.splits["train"].rows}) == 12
    assert len(loaded(transfer(other_order, source), tmp_path).splits["train"]) > 12
    for ours_seen, theirs_seen in zip(
        ours.inputs.take(ours.splits["train"], np.arange(12)),
        theirs.inputs.take(theirs.splits["train"], np.arange(12)),
        strict=True,
    ):
        assert np.array_equal(ours_seen, theirs_seen)
    assert ours.images == theirs.images


# --- gradients ------------------------------------------------------------------------------------


def test_l2_sp_pulls_the_backbone_s_kernels_and_nothing_else(
    other_classes: Path, source: Path, tmp_path: Path
) -> None:
    """Both tasks are moved away from the source alike; only one is pulled back."""
    alpha, random = 0.3, np.random.default_rng(4)
    free, pulled = (
        built(transfer(other_classes, source, training={"l2_sp": one}), tmp_path)
        for one in (0.0, alpha)
    )
    start = tensors(source)
    moved = {
        name: value if name in STATISTICS else value + random.normal(0, 0.1, value.shape)
        for name, value in free.model.named().items()
    }
    phase = free.phases[0]
    *arrays, mask = free.batch(0)
    mask[-3:] = 0
    found = []
    for task in (free, pulled):
        task.model.load_named(moved)
        variables = [task.model.named_variables[name].value for name in phase.names]
        loss, count, gradients = task.gradients((*arrays, mask), [0, 0], variables, phase)
        assert count == 5
        found.append(
            (float(loss), {n: g.numpy() for n, g in zip(phase.names, gradients, strict=True)})
        )
    (loss, plain), (same_loss, with_pull) = found
    assert loss == same_loss
    kernels = {name for name in plain if plain[name].ndim >= 2} - HEAD
    assert len(kernels) == 9
    for name, gradient in plain.items():
        expected = gradient
        if name in kernels:
            expected = gradient + alpha * 5 * (moved[name].astype(np.float32) - start[name])
        assert np.allclose(with_pull[name], expected, rtol=1e-5, atol=1e-5), name
        assert np.array_equal(with_pull[name], gradient) == (name not in kernels), name


def test_gradients_are_of_the_sum_over_the_examples_that_count(
    other_classes: Path, source: Path, tmp_path: Path
) -> None:
    """Of the head they are (p − y) x summed up, written out here."""
    task = built(transfer(other_classes, source, training={"policy": "head"}), tmp_path)
    phase = task.phases[0]
    pixels, labels, mask = task.batch(0)
    mask[2] = 0
    variables = [task.model.named_variables[name].value for name in phase.names]
    loss, _count, gradients = task.gradients((pixels, labels, mask), [0, 0], variables, phase)
    pooled = np.float64(task.model.pooled(pixels.astype(np.float32) / 255))
    weights = task.model.named()
    total, kernel, bias = 0.0, np.zeros([3, 512]), np.zeros(3)
    for row in range(len(labels)):
        if mask[row]:
            scores = np.exp(weights["fc.weight"] @ pooled[row] + weights["fc.bias"])
            shares = scores / scores.sum()
            total -= np.log(shares[labels[row]])
            shares[labels[row]] -= 1
            bias += shares
            kernel += np.outer(shares, pooled[row])
    assert phase.names == ("fc.weight", "fc.bias")
    assert float(loss) == pytest.approx(total, rel=1e-5)
    assert np.allclose(gradients[0], kernel, rtol=1e-4, atol=1e-4)
    assert np.allclose(gradients[1], bias, rtol=1e-4, atol=1e-5)


# --- several devices ------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_two_devices_batch_norms_follow_the_batch_and_nothing_that_fills_it_up(
    dataset: Path, tmp_path: Path
) -> None:
    """Five rows on two devices, in two accumulated batches a step: the odd row is seen twice."""
    spec = spec_of(
        dataset,
        model=ResNetConfig(depths=[1], group_width=4).model_dump(),
        inputs={"image_px": 16, "normalisation": "unit"},
        devices={"count": 2},
        # So low a rate that no weight changes: what batch norms see can be reckoned here.
        training={"steps": 2, "batch_size": 5, "accumulation": 2, "learning_rate": 1e-12},
    )
    out = tmp_path / "run"
    code, errors = finish(start(spec, out, GRAFT_VIRTUAL_CPUS="2"))
    assert code == EXIT_DONE, errors
    assert report(out)["devices"] == ["CPU:0", "CPU:1"]
    assert report(out)["tokens"] == 2 * 2 * 5
    task = built(spec, tmp_path)
    expected = np.zeros(64)
    for index in range(4):
        pixels = task.batch(index)[0].astype(np.float32) / 255
        maps = task.model.convolve(pixels, "conv1", stride=2, padding=3).numpy()
        means = [maps[rows].mean((0, 1, 2)) for rows in ([0, 1, 2], [3, 4, 0])]
        expected = 0.9 * expected + 0.1 * np.mean(means, 0)
    found = state_of(out, 2)["bn1.running_mean"]
    assert np.ptp(expected) > 0.1
    assert np.abs(found - expected).max() < 1e-5
