"""``python -m training draw``: images of classes from a checkpoint, the same for the same seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.integration.training.labelled import checkpoint
from training.backbones.conditional_gan.config import PRESETS as GANS
from training.backbones.conditional_vae.config import PRESETS as VAES
from training.backbones.conditional_vae.model import ConditionalVAE
from training.backbones.resnet.config import ResNetConfig
from training.command_specs import DrawSpec
from training.errors import TrainingError
from training.events import EventLog
from training.generative.drawing import run

CLASSES = ["cat", "dog", "bird"]
CONFIGS = {"vae": VAES["nano"], "gan": GANS["nano"]}


def maker(folder: Path, kind: str) -> Path:
    config = CONFIGS[kind].model_copy(update={"num_classes": 3})
    return checkpoint(folder, config, classes=CLASSES)


def draw(out: Path, source: Path, **values: Any) -> dict[str, Any]:
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    spec = DrawSpec.model_validate({"checkpoint": str(source)} | values)
    try:
        run(spec, out, log)
    finally:
        log.close()
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def test_many_are_made_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = ConditionalVAE.images

    def watched(self: ConditionalVAE, latents: Any, labels: Any) -> Any:
        sizes.append(len(latents))
        return whole(self, latents, labels)

    monkeypatch.setattr(ConditionalVAE, "images", watched)
    told = draw(tmp_path / "out", maker(tmp_path / "maker", "vae"), count=230, classes=["dog"])
    assert sizes == [100, 100, 30]
    assert len(list((tmp_path / "out/images").iterdir())) == 230
    assert len(told["images"][0]["files"]) == 230


@pytest.mark.parametrize("kind", CONFIGS)
def test_as_many_of_each_class_as_asked_for(kind: str, tmp_path: Path) -> None:
    source = maker(tmp_path / "maker", kind)
    told = draw(tmp_path / "out", source, count=3, columns=2, classes=["bird", "cat"], seed=4)
    assert [one["class"] for one in told["images"]] == ["bird", "cat"]
    files = [file for one in told["images"] for file in one["files"]]
    assert len(files) == 6
    images = [np.asarray(Image.open(tmp_path / "out" / file)) for file in files]
    assert {image.shape for image in images} == {(28, 28)}
    grid = np.asarray(Image.open(tmp_path / "out" / "grid.png"))
    assert grid.shape == (4 * 28 + 3 * 2, 2 * 28 + 2)  # two lines a class
    again = draw(tmp_path / "again", source, count=1, classes=["cat"], seed=4)
    one = np.asarray(Image.open(tmp_path / "again" / again["images"][0]["files"][0]))
    assert np.abs(one.astype(int) - images[3]).max() <= 1
    other = draw(tmp_path / "other", source, count=1, classes=["cat"], seed=5)
    two = np.asarray(Image.open(tmp_path / "other" / other["images"][0]["files"][0]))
    assert (one != two).any()


def test_what_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        draw(tmp_path / "out", maker(tmp_path / "maker", "vae"), classes=["cow"])
    assert caught.value.code == "class_unknown"
    assert "cow" in str(caught.value)
    assert "cat, dog, bird" in str(caught.value)
    network = ResNetConfig(depths=[1], group_width=8, num_classes=3)
    with pytest.raises(TrainingError) as caught:
        draw(tmp_path / "two", checkpoint(tmp_path / "eyes", network, classes=CLASSES))
    assert caught.value.code == "model_makes_no_images"
    nameless = checkpoint(tmp_path / "nameless", CONFIGS["gan"])
    with pytest.raises(TrainingError) as caught:
        draw(tmp_path / "three", nameless)
    assert caught.value.code == "checkpoint_without_classes"
