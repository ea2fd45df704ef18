"""Frozen features of images: real networks, real files, from an archive to the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pictures import archive, class_folders
from tests.small import loud
from training.backbones.contract import BackboneConfig
from training.backbones.registry import model_class
from training.backbones.resnet.config import ResNetConfig
from training.backbones.vit.config import ViTConfig
from training.command_specs import CopySpec
from training.data.pixels import NORMALISATIONS, RAW_PX, fitted, raw_pixels, statistics_of
from training.data.prepare import run as prepare
from training.data.prepare_spec import PrepareSpec
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.features.heads import load_head
from training.features.images import image_features
from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec, work
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.transfer import run as transfer

RESNET = ResNetConfig(depths=[1, 1], group_width=8, num_classes=4)
VIT = ViTConfig(image_size=16, patch_size=8, width=16, depth=1, heads=2, inner=32, num_classes=3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "upload.zip").write_bytes(archive(class_folders(24)))
    log = EventLog(folder / "events.jsonl")
    spec = PrepareSpec(
        path=str(folder / "upload.zip"), validation_percent=10, test_percent=25, seed=0
    )
    prepare(spec, folder / "out", log)
    log.close()
    return folder / "out" / "dataset"


def checkpoint(folder: Path, config: BackboneConfig, **card: Any) -> Path:
    write_checkpoint(folder, config, quiet(config), None, card)
    return folder


def quiet(config: BackboneConfig) -> dict[str, np.ndarray]:
    """Weights as loud as they can be while every running variance stays one."""
    values = loud(config)
    for spec in config.tensors():
        if not spec.trained:
            values[spec.name] = np.full(spec.shape, spec.variance, np.float32)
    return values


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("resnet") / "c", RESNET)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("vit") / "c", VIT)


def run(folder: Path, dataset: Path, source: Path, **settings: Any) -> dict[str, Any]:
    folder.mkdir()
    spec = FrozenFeaturesSpec.model_validate(
        {
            "data": {"path": str(dataset)},
            "source": {"checkpoint": str(source)},
            "image_px": 32,
            "head": "prototype",
            **settings,
        }
    )
    log = EventLog(folder / "events.jsonl")
    try:
        work(spec, folder, log)
    finally:
        log.close()
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


# --- pixels ---------------------------------------------------------------------------------------


def test_an_image_is_scaled_in_proportion_and_its_middle_is_seen() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, :10], wide[:, 10:20], wide[:, 20:] = 50, 100, 150
    found = fitted(wide, 10, 3)
    assert found.shape == (10, 10, 3)
    assert (found == 100).all()
    tall = fitted(wide.transpose(1, 0, 2), 20, 3)
    assert (tall[3:-3] == 100).all()


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    random = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(fitted(random, 8, 3), random)


def test_grey_and_colour_become_each_other() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    assert np.array_equal(fitted(grey, 8, 3), np.repeat(grey, 3, -1))
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    theirs = np.asarray(Image.fromarray(colour).convert("L"), int)
    assert np.abs(fitted(colour, 8, 1)[..., 0] - theirs).max() <= 1


def test_raw_pixels_are_rows_in_zero_to_one() -> None:
    images = [np.full((5, 9, 1), 51, np.uint8), np.full((40, 40, 3), 255, np.uint8)]
    found = raw_pixels(images)
    assert found.shape == (2, 3 * RAW_PX**2)
    assert np.allclose(found[0], 0.2)
    assert np.allclose(found[1], 1)


def test_what_pixels_are_normalised_by_is_the_network_s_own_unless_asked_for() -> None:
    own = {"images": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}}
    assert statistics_of("auto", own, 3) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    assert statistics_of("unit", own, 3) == NORMALISATIONS["unit"]
    assert statistics_of("auto", {}, 3) == NORMALISATIONS["imagenet"]
    mean, deviation = statistics_of("auto", own, 1)
    assert np.allclose([*mean, *deviation], [0.2, 0.6])


# --- features -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max", "adaptive_max"])
def test_features_are_the_pooled_last_map_of_normalised_pixels(pooling: Any) -> None:
    model = model_class("resnet")(RESNET)
    model.load_named(quiet(RESNET))
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(5)]
    statistics = statistics_of("imagenet", {}, 3)
    told: list[float] = []
    found = image_features(
        model, images, lambda one: one, pooling, statistics, px=32, batch_size=2,
        progress=told.append,
    )  # fmt: skip
    assert told == [0.4, 0.8, 1.0]
    mean, deviation = (np.array(part, np.float32) for part in statistics)
    seen = (np.stack(images).astype(np.float32) / 255 - mean) / deviation
    maps = model.features(seen).numpy()
    parts = {
        "mean": [maps.mean((1, 2))],
        "max": [maps.max((1, 2))],
        "mean_max": [maps.mean((1, 2)), maps.max((1, 2))],
        "adaptive_max": [maps[:, a : a + 2, b : b + 2].max((1, 2)) for a in (0, 2) for b in (0, 2)],
    }[pooling]
    assert maps.shape[1:3] == (4, 4)
    expected = np.concatenate(parts, 1)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 0.1


def test_the_first_token_is_a_vision_transformer_s_class_token() -> None:
    model = model_class("vit")(VIT)
    model.load_named(quiet(VIT))
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    statistics = NORMALISATIONS["inception"]
    found = image_features(model, [image], lambda one: one, "first", statistics, px=16)
    seen = (image[None].astype(np.float32) / 255 - 0.5) / 0.5
    assert np.abs(found - model.pooled(seen).numpy()).max() < 1e-4


# --- the method -----------------------------------------------------------------------------------


def test_from_images_to_the_report_and_the_second_time_from_the_cache(
    tmp_path: Path, dataset: Path, resnet: Path
) -> None:
    cache = {"cache": str(tmp_path / "cache")}
    first = run(tmp_path / "first", dataset, resnet, head="linear", **cache)
    assert set(first["scores"]) == {"model", "random", "pixels", "majority"}
    assert first["split"] == "test"
    assert first["scores"]["model"]["examples"] == 18
    assert first["scores"]["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert first["scores"]["pixels"]["accuracy"] >= 0.9
    assert first["features"]["splits"]["train"] == {"examples": 48, "cache": "miss"}
    rows = [json.loads(line) for line in (dataset / "test.jsonl").read_text().splitlines()]
    by_id = {row["id"]: row for row in rows}
    assert len(first["predictions"]) == 18
    for one in first["predictions"]:
        row = by_id[one["id"]]
        assert one["label"] == row["label"]
        assert one["split"] == "test"
        for key in ("name", "width", "height", "offset", "size"):
            assert one[key] == row[key]
    drawn = json.loads((tmp_path / "first" / "map" / "map.json").read_text())
    assert len(drawn["points"]) == 48 + 18
    assert drawn["classes"] == first["classes"]
    assert 0 <= drawn["agreement"] <= 1
    for one in first["predictions"]:
        point = drawn["points"][one["point"]]
        for key in ("split", "id", "label", "predicted", "offset"):
            assert point[key] == one[key]
    for place, point in enumerate(drawn["points"]):
        assert 0 <= point["x"] <= 1 >= point["y"] >= 0
        assert len(point["neighbours"]) == 8
        assert place not in [other for other, _cosine in point["neighbours"]]
        assert ("predicted" in point) == (point["split"] == "test")
    _head, about = load_head(tmp_path / "first" / "head")
    assert about["image_px"] == 32
    assert about["mean"] == list(NORMALISATIONS["imagenet"][0])

    second = run(tmp_path / "second", dataset, resnet, head="linear", **cache)
    assert second["features"]["splits"]["test"]["cache"] == "hit"
    assert second["scores"] == first["scores"]
    events, _rest = read_events(tmp_path / "second" / "events.jsonl")
    assert "features" not in [event.get("name") for event in events]

    other = run(tmp_path / "third", dataset, resnet, normalisation="unit", **cache)
    assert other["features"]["splits"]["test"]["cache"] == "miss"


def test_every_pooling_of_a_transformer_gives_a_head(
    tmp_path: Path, dataset: Path, vit: Path
) -> None:
    for pooling, width in (("first", 16), ("mean", 16), ("max", 16), ("adaptive_max", 64)):
        told = run(
            tmp_path / pooling,
            dataset,
            vit,
            pooling=pooling,
            image_px=None,
            control=False,
            map=pooling == "mean",
        )
        assert told["features"]["width"] == width
        assert (tmp_path / pooling / "map").exists() == (pooling == "mean")
        assert "random" not in told["scores"]


def test_attention_is_learned_over_the_places_of_the_last_map(
    tmp_path: Path, dataset: Path, resnet: Path
) -> None:
    asked = {"pooling": "attention", "head": "linear", "cache": str(tmp_path / "cache")}
    told = run(tmp_path / "first", dataset, resnet, **asked)
    again = run(tmp_path / "second", dataset, resnet, **asked)
    assert again["features"]["splits"]["test"]["cache"] == "hit"
    assert (again["scores"], again["head"]) == (told["scores"], told["head"])
    assert told["head"]["attention"]["places"] == 16
    assert 1 <= told["head"]["attention"]["seen"] <= 16
    assert told["features"]["width"] == len(load_head(tmp_path / "first/head")[0].arrays["query"])
    assert told["scores"]["model"]["accuracy"] >= told["scores"]["majority"]["accuracy"] + 0.3
    drawn = json.loads((tmp_path / "first" / "map" / "map.json").read_text())
    assert len(drawn["points"]) == 48 + 18


@pytest.mark.parametrize(
    ("config", "asked", "code"),
    [
        (RESNET, {"pooling": "first"}, "pooling_needs_token"),
        (RESNET, {"pooling": "last"}, "pooling_of_the_other_kind"),
        (VIT, {"image_px": 32}, "image_size_fixed"),
        (RESNET.model_copy(update={"in_channels": 4}), {}, "image_channels"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, dataset: Path, config: BackboneConfig, asked: dict[str, Any], code: str
) -> None:
    source = checkpoint(tmp_path / "c", config)
    with pytest.raises(TrainingError) as caught:
        run(tmp_path / "out", dataset, source, **asked)
    assert caught.value.code == code


def test_what_pixels_are_normalised_by_goes_with_the_weights(tmp_path: Path) -> None:
    own = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    source = checkpoint(tmp_path / "c", RESNET, images=own)
    out = tmp_path / "copy"
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    transfer(CopySpec.model_validate({"source": {"checkpoint": str(source)}}), out, log)
    log.close()
    assert read_checkpoint(out / "checkpoint").card["images"] == own


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, True),
        ({"reinitialise": ["fc.*"]}, False),
        ({"num_classes": 5}, False),
        ({"depths": [2, 1]}, True),
    ],
)
def test_the_names_of_classes_go_with_a_head_that_comes_along_whole(
    tmp_path: Path, change: dict[str, Any], kept: bool
) -> None:
    source = checkpoint(tmp_path / "c", RESNET, classes=["ant", "cat", "dog", "eel"])
    afresh = {"reinitialise": change.pop("reinitialise", [])}
    model = RESNET.model_dump() | change
    out = tmp_path / "copy"
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    spec = {"source": {"checkpoint": str(source), **afresh}, "model": model}
    transfer(CopySpec.model_validate(spec), out, log)
    log.close()
    card = read_checkpoint(out / "checkpoint").card
    assert card.get("classes") == (["ant", "cat", "dog", "eel"] if kept else None)
