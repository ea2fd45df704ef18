"""Do two checkpoints compute the same: ``python -m training probe``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.small import SMALL, TOKENIZER
from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES
from training.backbones.vit.config import ViTConfig
from training.command_specs import ProbeSpec
from training.engine import compare
from training.errors import TrainingError
from training.events import EventLog
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import initial_tensors

IMAGES = BACKBONES["resnet"].presets["resnet50"].model_copy(update={"num_classes": 3})


def write(folder: Path, config: BackboneConfig, seed: int) -> Path:
    tensors: dict[str, np.ndarray] = initial_tensors(config.tensors(), seed)
    tokenizer = None if config.vocabulary is None else TOKENIZER
    write_checkpoint(folder, config, tensors, tokenizer, {})
    return folder


def probe(one: Path, other: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    compare.run(ProbeSpec(one=str(one), other=str(other)), out, log)
    log.close()
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def test_the_same_weights_differ_by_nothing(tmp_path: Path) -> None:
    one = write(tmp_path / "one", SMALL, 1)
    report = probe(one, one, tmp_path / "out")
    assert (report["largest"], report["divergence"], report["agreement"]) == (0, 0, 1)
    assert report["inputs"] == [4, 16]
    assert report["scale"] > 0


def test_other_weights_are_told_apart(tmp_path: Path) -> None:
    one, other = (write(tmp_path / str(seed), SMALL, seed) for seed in (1, 2))
    report = probe(one, other, tmp_path / "out")
    assert report["largest"] > 0.01
    assert report["divergence"] > 0
    assert report["agreement"] < 0.5


def test_images_are_given_to_image_networks(tmp_path: Path) -> None:
    one = write(tmp_path / "one", IMAGES, 1)
    report = probe(one, one, tmp_path / "out")
    assert report["inputs"] == [4, compare.SIDE, compare.SIDE, 3]
    assert report["largest"] == 0


def test_images_have_the_size_that_one_of_them_fixes(tmp_path: Path) -> None:
    transformer = ViTConfig(
        image_size=48, patch_size=16, width=16, depth=1, heads=2, inner=24, num_classes=3
    )
    one = write(tmp_path / "one", transformer, 1)
    other = write(tmp_path / "other", IMAGES, 1)
    assert probe(one, other, tmp_path / "out")["inputs"] == [4, 48, 48, 3]
    larger = transformer.model_copy(update={"image_size": 64})
    third = write(tmp_path / "third", larger, 1)
    with pytest.raises(TrainingError) as caught:
        probe(one, third, tmp_path / "refused")
    assert caught.value.code == "probe_not_comparable"


@pytest.mark.parametrize("classes", [1, 4])
def test_outputs_of_other_sizes_are_not_compared(classes: int, tmp_path: Path) -> None:
    """One class would be compared with each of the others, without a word."""
    one = write(tmp_path / "one", IMAGES, 1)
    other = write(tmp_path / "other", IMAGES.model_copy(update={"num_classes": classes}), 1)
    with pytest.raises(TrainingError) as caught:
        probe(one, other, tmp_path / "out")
    assert caught.value.code == "probe_not_comparable"


def test_models_that_read_different_things_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one", SMALL, 1)
    for name, config in {
        "words": SMALL.model_copy(update={"vocab_size": 300}),
        "images": IMAGES,
    }.items():
        other = write(tmp_path / name, config, 1)
        with pytest.raises(TrainingError) as caught:
            probe(one, other, tmp_path / f"out-{name}")
        assert caught.value.code == "probe_not_comparable"


def test_differences_are_those_of_plain_numpy() -> None:
    random = np.random.default_rng(0)
    before, after = random.normal(size=(2, 3, 5)), random.normal(size=(2, 3, 5))
    found = compare.differences(before, after)
    p = np.exp(before) / np.exp(before).sum(-1, keepdims=True)
    q = np.exp(after) / np.exp(after).sum(-1, keepdims=True)
    assert found["largest"] == pytest.approx(np.abs(before - after).max())
    assert found["divergence"] == pytest.approx((p * np.log(p / q)).sum(-1).mean())
    assert found["agreement"] == (before.argmax(-1) == after.argmax(-1)).mean()
