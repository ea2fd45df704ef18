"""Image networks in timm's form: the names it knows them by, there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity.images import NETWORKS, TIMM
from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES
from training.errors import TrainingError
from training.interop.exports import EXPORTS
from training.interop.forms import opening
from training.interop.forms.timm import NAMES, timm_config
from training.interop.state_dicts import read_timm
from training.weights.header import TensorInfo


def infos(config: BackboneConfig) -> dict[str, TensorInfo]:
    """The header of its weights, as far as it is read."""
    return {
        spec.name: TensorInfo(spec.name, "F32", spec.shape, 0, 4 * spec.size, Path("x"))
        for spec in config.tensors()
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "changes", [{}, {"num_classes": 7}, {"num_classes": 0}, {"in_channels": 1, "num_classes": 2}]
)
def test_what_is_written_is_read_back_as_the_same_network(
    name: str, changes: dict[str, int]
) -> None:
    config = NAMES[name].model_copy(update=changes)
    if "image_size" in type(config).model_fields and changes:
        config = config.model_copy(update={"image_size": 2 * config.model_dump()["patch_size"]})
    payload = timm_config(config)
    assert payload is not None
    assert payload["architecture"] == name
    assert read_timm(payload, infos(config)).config == config


def test_timm_opened_what_is_written() -> None:
    """For each network it opened the exported folder, and gave PyTorch's own logits."""
    opened = json.loads(TIMM.read_text())
    assert set(opened) == {name for name, n in NETWORKS.items() if n.source == "timm"}
    for name, payload in opened.items():
        assert timm_config(NETWORKS[name].config) == payload


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("resnet", {"depths": [1, 1, 1, 1]}),
        ("densenet", {"growth": 12}),
        ("mobilenet_v3", {"padding": "symmetric", "norm_epsilon": 1e-3}),  # torchvision's
        ("efficientnet_lite", {"norm_epsilon": 1e-4}),
        ("shufflenet", {}),
        ("vit", {"layer_norm_epsilon": 1e-5}),
        ("vit", {"depth": 3}),
    ],
)
def test_what_timm_has_no_name_for_is_refused_and_not_written_as_another(
    architecture: str, changes: dict[str, Any]
) -> None:
    config = next(iter(BACKBONES[architecture].presets.values())).model_copy(update=changes)
    assert timm_config(config) is None
    assert opening(config) == ""
    problem = EXPORTS["huggingface"].problem(config)
    assert problem is not None
    assert "timm" in str(TrainingError(problem[0], **problem[1]))


GOOD = {"mean": [0.5, 0.4, 0.3], "std": [1, 0.2, 0.1], "tag": "a1_in1k"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (GOOD, {"mean": [0.5, 0.4, 0.3], "std": [1.0, 0.2, 0.1]}),
        ({"mean": [0.5, 0.4, 0.3]}, None),
        ({"mean": [0.5], "std": [0.2]}, None),
        ({"mean": [0.5, 0.4, "x"], "std": [0.2, 0.2, 0.2]}, None),
        ({"mean": [0.5, 0.4, 0.3], "std": [0.2, 0, 0.2]}, None),
        ("resnet50.a1_in1k", None),
    ],
)
def test_how_pixels_were_normalised_is_kept_where_it_is_told(told: Any, expected: Any) -> None:
    payload = {"architecture": "resnet50", "pretrained_cfg": told}
    assert read_timm(payload, infos(NAMES["resnet50"])).images == expected
