"""What a spec of a run on two views refuses, its backbone without a head, and what it will take."""

from typing import Any

import pytest
from pydantic import ValidationError

from training.backbones.registry import BACKBONES
from training.estimate import PROCESS_BYTES
from training.methods.registry import LOOP_METHODS
from training.settings import problems
from training.siamese.mlp import mlp_tensors
from training.siamese.settings import (
    PROJECTOR,
    SiameseSpec,
    estimate_run,
    pooled_config,
    pooled_width,
)

METHODS = ["simclr", "byol", "simsiam", "moco"]
MODEL = {"architecture": "resnet", "depths": [1], "group_width": 8}
#: Width of the pooled features of each architecture's smallest preset.
WIDTHS = {
    "resnet": 512,
    "densenet": 1024,
    "shufflenet": 1024,
    "mobilenet_v3": 1024,
    "efficientnet_lite": 1280,
    "vit": 192,
}


def spec(method: str = "simclr", **changes: Any) -> SiameseSpec:
    values = {"data": {"path": "/data"}, "model": MODEL, **changes}
    found = LOOP_METHODS[method].settings.model_validate(values)
    assert isinstance(found, SiameseSpec)
    return found


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"model": None}, "model_missing", "model"),
        ({"training": {"batch_size": 1}}, "batch_of_one", "training.batch_size"),
        (
            {"training": {"batch_size": 8}, "devices": {"count": 3}},
            "batch_not_divisible",
            "training.batch_size",
        ),
    ],
)
def test_every_method_refuses_it_at_its_field(
    method: str, changes: dict[str, Any], code: str, field: str
) -> None:
    refused(method, changes, code, field)


@pytest.mark.parametrize(
    ("objective", "training", "devices", "code", "field"),
    [
        ({"queue": 12}, {"batch_size": 8}, 1, "queue_not_multiple", "objective.queue"),
        ({"queue": 4}, {"batch_size": 8}, 1, "queue_not_multiple", "objective.queue"),
        (
            {"queue": 16, "norm_parts": 3},
            {"batch_size": 8},
            1,
            "parts_do_not_divide",
            "objective.norm_parts",
        ),
        # One image a part has no variance.
        (
            {"queue": 16, "norm_parts": 8},
            {"batch_size": 8},
            1,
            "parts_do_not_divide",
            "objective.norm_parts",
        ),
        # Two devices of four images each: the parts are each device's.
        (
            {"queue": 16, "norm_parts": 4},
            {"batch_size": 8},
            2,
            "parts_do_not_divide",
            "objective.norm_parts",
        ),
    ],
)
def test_moco_s_queue_and_parts_fit_its_batch(
    objective: dict[str, Any], training: dict[str, Any], devices: int, code: str, field: str
) -> None:
    changes = {"objective": objective, "training": training, "devices": {"count": devices}}
    refused("moco", changes, code, field)


def refused(method: str, changes: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(method, **changes)
    (error,) = caught.value.errors()
    assert error["type"] == code
    (problem,) = problems(caught.value)
    assert problem.field == field
    assert "%(" not in str(problem)


@pytest.mark.parametrize(
    ("objective", "training", "devices"),
    [
        ({"queue": 8, "norm_parts": 4}, {"batch_size": 8}, 1),
        ({"queue": 8, "norm_parts": 2}, {"batch_size": 8}, 2),
        ({"queue": 2, "norm_parts": 1}, {"batch_size": 2}, 1),
    ],
)
def test_the_smallest_that_fits_is_taken(
    objective: dict[str, Any], training: dict[str, Any], devices: int
) -> None:
    found = spec("moco", objective=objective, training=training, devices={"count": devices})
    assert found.objective.queue == objective["queue"]


@pytest.mark.parametrize("method", METHODS)
def test_each_device_needs_two_images(method: str) -> None:
    """A batch norm makes zeros of one image, whatever it is."""
    parts: dict[str, Any] = {"training": {"batch_size": 2}}
    if method == "moco":
        parts["objective"] = {"norm_parts": 1}
    assert spec(method, **parts).devices.count == 1
    two = parts | {"devices": {"count": 2}}
    refused(method, two, "batch_of_one", "training.batch_size")


@pytest.mark.parametrize("method", METHODS)
def test_the_defaults_of_a_method_are_consistent(method: str) -> None:
    """A source alone is enough too."""
    found = spec(method)
    assert found.training.batch_size == 256
    assert found.training.weight_decay == 1e-4
    assert found.views.blur == 0
    assert spec(method, model=None, source={"checkpoint": "/source"}).model is None


@pytest.mark.parametrize(
    ("part", "field", "values"),
    [
        ("views", "least_area", [0, 1.01]),
        ("views", "colour", [-0.1, 1.1]),
        ("views", "grey", [-0.1, 1.1]),
        ("views", "blur", [-0.1, 1.1]),
        ("evaluation", "neighbours", [0, 201]),
        ("evaluation", "examples", [9]),
        ("objective", "temperature", [0, 11]),
        ("objective", "hidden", [7]),
    ],
)
def test_numbers_out_of_range_are_refused(part: str, field: str, values: list[float]) -> None:
    for value in values:
        with pytest.raises(ValidationError):
            spec("simclr", **{part: {field: value}})


@pytest.mark.parametrize("method", ["byol", "moco"])
def test_momentum_is_below_one(method: str) -> None:
    assert spec(method, objective={"momentum": 0}).has_momentum
    for value in (-0.1, 1):
        with pytest.raises(ValidationError):
            spec(method, objective={"momentum": value})


# --- the backbone without a head ------------------------------------------------------------------


def test_every_image_network_is_trained() -> None:
    images = {name for name, backbone in BACKBONES.items() if backbone.kind == "image"}
    assert images == set(WIDTHS)
    assert all(set(LOOP_METHODS[method].backbones) == images for method in METHODS)


@pytest.mark.parametrize("architecture", WIDTHS)
def test_the_head_is_left_out_and_nothing_else(architecture: str) -> None:
    presets = BACKBONES[architecture].presets.values()
    config = min(presets, key=lambda one: one.parameter_count())
    found = pooled_config(config)
    assert type(found) is type(config)
    assert found.model_dump() == config.model_dump() | {"num_classes": 0}
    assert pooled_config(found) == found
    gone = {one.name for one in config.tensors()} - {one.name for one in found.tensors()}
    assert gone == set(config.label_head)
    assert pooled_width(config) == pooled_width(found) == WIDTHS[architecture]


@pytest.mark.parametrize("architecture", WIDTHS)
def test_pooled_width_is_what_the_head_reads(architecture: str) -> None:
    for config in BACKBONES[architecture].presets.values():
        (kernel,) = (one for one in config.tensors() if one.role == "classifier.kernel")
        assert pooled_width(config) == kernel.shape[1]


# --- what a run will take -------------------------------------------------------------------------


def sizes(found: SiameseSpec) -> tuple[int, dict[str, int]]:
    """Trained values of the backbone, and of each MLP."""
    assert found.model is not None
    config = pooled_config(found.model)
    mlps = found.mlps(pooled_width(config)).items()
    return config.parameter_count(), {
        name: sum(one.size for one in mlp_tensors(name, *mlp) if one.trained) for name, mlp in mlps
    }


@pytest.mark.parametrize("method", METHODS)
def test_an_estimate_counts_what_is_trained_and_what_follows(method: str) -> None:
    found = spec(method, training={"steps": 30, "batch_size": 8, "accumulation": 2})
    assert found.model is not None
    estimate = estimate_run(found, found.model)
    backbone, on_top = sizes(found)
    trainable = backbone + sum(on_top.values())
    follows = backbone + on_top[PROJECTOR] if method in ("byol", "moco") else 0
    assert estimate.parameters == estimate.trainable == trainable
    assert estimate.memory["weights"] >= 4 * (trainable + follows)
    assert estimate.memory["gradients"] == 8 * trainable
    assert estimate.memory["optimizer"] == 8 * trainable
    assert estimate.memory_bytes == sum(estimate.memory.values()) > PROCESS_BYTES
    assert estimate.tokens == 30 * 8 * 2
    assert estimate.seconds is None
    assert estimate_run(found, found.model, 48.0).seconds == pytest.approx(10)


def test_a_head_that_the_source_has_does_not_count() -> None:
    found = spec()
    assert found.model is not None
    many = type(found.model).model_validate(found.model.model_dump() | {"num_classes": 900})
    assert estimate_run(found, many) == estimate_run(found, found.model)


def test_moco_s_queue_is_in_memory_and_on_disk() -> None:
    """It can be larger than a small network: 65,536 keys of 128 numbers are 34 MB."""
    short, long = (spec("moco", objective={"queue": queue}) for queue in (256, 65_536))
    assert short.model is not None
    small, large = (estimate_run(one, short.model) for one in (short, long))
    more = 4 * 128 * (65_536 - 256)
    assert large.memory_bytes - small.memory_bytes >= more
    assert large.disk_bytes - small.disk_bytes >= 2 * more
