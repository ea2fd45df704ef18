"""The image backbones' ``config.json``: our own form, honoured exactly or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.backbones.registry import BACKBONES
from training.backbones.resnet.config import ResNetConfig
from training.errors import TrainingError
from training.interop.forms import FORMS, read_config
from training.interop.forms.form import CODE
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.initial import initial_tensors

SMALL = ResNetConfig(depths=[1, 1], groups=8, group_width=4, num_classes=5)
WRITTEN = FORMS["resnet"].write(SMALL, special=None)


def test_every_architecture_has_a_form() -> None:
    assert set(FORMS) == set(BACKBONES)


@pytest.mark.parametrize("architecture", [a for a, b in BACKBONES.items() if b.kind == "image"])
def test_every_preset_comes_back(architecture: str) -> None:
    for config in BACKBONES[architecture].presets.values():
        written = json.loads(json.dumps(FORMS[architecture].write(config, special=None)))
        assert read_config(written) == config


@pytest.mark.parametrize(
    ("change", "code", "name"),
    [
        ({"stem": "deep"}, "config_unknown", "stem"),
        ({"architecture": "resnet"}, "config_unknown", "architecture"),
        ({"groups": "8"}, "config_out_of_range", "groups"),
        ({"groups": 0}, "config_out_of_range", "groups"),
        ({"depths": []}, "config_out_of_range", "depths"),
        ({"depths": [1, 0]}, "config_out_of_range", "depths.1"),
        *[({key: "module.Class"}, "config_code", key) for key in sorted(CODE)],
    ],
)
def test_what_is_not_known_is_refused_by_name(change: dict[str, Any], code: str, name: str) -> None:
    with pytest.raises(TrainingError) as caught:
        read_config(WRITTEN | change)
    assert caught.value.code == code
    assert caught.value.params["name"] == name


def test_a_checkpoint_without_text_has_no_files_about_text(tmp_path: Path) -> None:
    tensors = initial_tensors(SMALL.tensors(), seed=0)
    card = write_checkpoint(tmp_path / "checkpoint", SMALL, tensors, None, {})

    assert set(card["files"]) == {"config.json"}
    checkpoint = read_checkpoint(tmp_path / "checkpoint", verify=True)
    assert checkpoint.config == SMALL
    assert all((checkpoint.tensors()[name] == value).all() for name, value in tensors.items())
    # Running statistics are stored, and are no parameters.
    assert card["parameters"] == sum(s.size for s in SMALL.tensors() if s.trained)
    assert card["parameters"] < sum(s.size for s in SMALL.tensors())
