"""Sounds of classes are learned as pictures as long as they are, and what is made can be played."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.integration.training.generative import METHODS, spec_of
from tests.integration.training.runs import report, run, validated
from tests.integration.training.test_draw import draw
from tests.pictures import archive, class_folders
from tests.sounds import class_folders as sound_folders
from training.data.prepare import run as prepare
from training.data.prepare_spec import PrepareSpec
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.generative.sounds import MOST_TOLD, MOST_TOLD_BYTES, heard_of
from training.methods.registry import LOOP_METHODS
from training.sound.mel import SoundShape, shape_of
from training.sound.wav import read_wav

SIZE = (28, 40)


def dataset(folder: Path, files: dict[str, bytes], **settings: Any) -> Path:
    folder.mkdir()
    (folder / "upload.zip").write_bytes(archive(files))
    log = EventLog(folder / "events.jsonl")
    spec = {"validation_percent": 20, "test_percent": 20, **settings}
    prepare(PrepareSpec(path=str(folder / "upload.zip"), **spec), folder, log)
    log.close()
    return folder / "dataset"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds") / "data"
    return dataset(folder, sound_folders(12, seconds=0.6), mel_bands=28)


@pytest.fixture(scope="module", params=METHODS)
def trained(request: Any, sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / request.param
    # Channels and size are the sounds', whatever the spec says.
    run(out, spec_of(request.param, sounds, training={"steps": 3}))
    return out


def events(out: Path, *kinds: str) -> list[dict[str, Any]]:
    return [one for one in read_events(out / "events.jsonl")[0] if one["kind"] in kinds]


def test_the_model_has_the_size_of_the_sounds(trained: Path) -> None:
    config = json.loads((trained / "checkpoint/config.json").read_text())
    assert (config["image_px"], config["width_px"], config["in_channels"]) == (*SIZE, 1)
    card = json.loads((trained / "checkpoint/card.json").read_text())
    shape = shape_of(card["sound"])
    assert (shape.bands, shape.frames, shape.rate) == (*SIZE, 8000)
    generated = report(trained)["generated"]
    assert generated["sound"] == shape.as_dict()
    assert generated["sides"]["real"]["frechet"] < generated["sides"]["noise"]["frechet"]


def test_every_picture_that_is_shown_can_be_heard(trained: Path) -> None:
    found = events(trained, "sample", "sound")
    kinds = {one["set"] for one in found if one["kind"] == "sample"}
    assert {"samples", "made", "real", "between", "nearest"} <= kinds
    while found:
        row, *found = found
        assert row["kind"] == "sample"
        picture = Image.open(io.BytesIO(base64.b64decode(row["image"])))
        columns, lines = row["columns"], -(-row["sounds"] // row["columns"])
        assert picture.size == (columns * 42 - 2, lines * 30 - 2)
        for place in range(row["sounds"]):
            sound, *found = found
            assert (sound["kind"], sound["place"], sound["step"]) == ("sound", place, row["step"])
            clip = read_wav(base64.b64decode(sound["sound"]))
            assert (clip.rate, len(clip.samples)) == (8000, 40 * 128)
            assert not clip.is_silent


def test_drawing_writes_what_pictures_sound_like(trained: Path, tmp_path: Path) -> None:
    told = draw(tmp_path / "out", trained / "checkpoint", count=2, classes=["hiss", "low"], seed=4)
    assert [one["class"] for one in told["images"]] == ["hiss", "low"]
    for one in told["images"]:
        assert len(one["sounds"]) == len(one["files"]) == 2
        for picture, sound in zip(one["files"], one["sounds"], strict=True):
            assert np.asarray(Image.open(tmp_path / "out" / picture)).shape == SIZE
            assert len(read_wav((tmp_path / "out" / sound).read_bytes()).samples) == 40 * 128
    again = draw(tmp_path / "again", trained / "checkpoint", count=1, classes=["low"], seed=4)
    first, second = told["images"][1]["sounds"][0], again["images"][0]["sounds"][0]
    one, two = (
        read_wav((tmp_path / place).read_bytes()).samples
        for place in (f"out/{first}", f"again/{second}")
    )
    assert np.corrcoef(one, two)[0, 1] > 0.99


def load(method: str, dataset: Path, **parts: Any) -> Any:
    return LOOP_METHODS[method].load(validated(spec_of(method, dataset, **parts)))


def test_a_model_is_carried_over_to_sounds_like_its_own(
    trained: Path, sounds: Path, tmp_path: Path
) -> None:
    method = trained.name
    source = {"checkpoint": str(trained / "checkpoint")}
    assert load(method, sounds, source=source).config.size == SIZE
    longer = dataset(tmp_path / "longer", sound_folders(6), mel_bands=28, sound_seconds=1)
    with pytest.raises(TrainingError) as caught:
        load(method, longer, source=source)
    assert caught.value.code == "sound_other_size"
    assert caught.value.params == {"known": "28 × 40", "found": "28 × 64"}
    other = dataset(
        tmp_path / "other",
        sound_folders(6, seconds=1.2),
        mel_bands=28,
        hop_ms=32,
    )
    with pytest.raises(TrainingError) as caught:
        load(method, other, source=source)
    assert caught.value.code == "sound_other_shape"
    images = dataset(tmp_path / "images", class_folders(6))
    with pytest.raises(TrainingError) as caught:
        load(method, images, source=source)
    assert caught.value.code == "generate_square"


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("classification", "dataset_is_sound"),
        ("simclr", "dataset_is_sound"),
        ("causal_lm", "dataset_not_text"),
        ("wide_deep", "dataset_not_table"),
    ],
)
def test_nothing_else_takes_sounds_for_images(
    method: str, code: str, sounds: Path, tmp_path: Path
) -> None:
    entry = LOOP_METHODS[method]
    spec = json.loads(json.dumps(entry.example))
    spec["data"]["path"] = str(sounds)
    log = EventLog(tmp_path / "events.jsonl")
    with pytest.raises(TrainingError) as caught:
        entry.load(entry.settings.model_validate({"method": method, **spec}), tmp_path, log)
    log.close()
    assert caught.value.code == code


def test_what_a_run_tells_while_it_trains_is_bounded() -> None:
    shape = SoundShape(rate=16_000, window=1024, hop=256, bands=64, frames=256, ceiling_db=0.0)
    assert heard_of(None, 8, 10) == 0
    assert heard_of(shape, 8, 12) == 8
    for rows in (40, 400, 4000):
        heard = heard_of(shape, 16, rows)
        assert heard * rows <= MOST_TOLD
        assert heard * rows * 2 * shape.samples <= MOST_TOLD_BYTES
    assert heard_of(shape, 16, 4000) == 0
