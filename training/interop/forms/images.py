"""The image backbones' ``config.json``: our own form, which says what timm's leaves to a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.densenet.config import DenseNetConfig
from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.backbones.resnet.config import ResNetConfig
from training.backbones.shufflenet.config import ShuffleNetConfig
from training.backbones.vit.config import ViTConfig
from training.interop.forms.form import OwnForm
from training.interop.forms.timm import timm_config


@dataclass(frozen=True)
class ImageForm(OwnForm):
    """Our own; it leaves as timm's where timm knows the network."""

    def exported(self, config: BackboneConfig, payload: Mapping[str, Any]) -> dict[str, Any]:
        """timm's, or as it is."""
        return timm_config(config) or dict(payload)


FORMS = tuple(
    ImageForm(config)
    for config in (
        ResNetConfig,
        DenseNetConfig,
        ShuffleNetConfig,
        EfficientNetLiteConfig,
        MobileNetV3Config,
        ViTConfig,
    )
)
