"""The image backbones' ``config.json``: our own form, since timm and torchvision have none."""

from __future__ import annotations

from training.backbones.densenet.config import DenseNetConfig
from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.backbones.resnet.config import ResNetConfig
from training.backbones.shufflenet.config import ShuffleNetConfig
from training.backbones.vit.config import ViTConfig
from training.interop.forms.form import OwnForm

FORMS = tuple(
    OwnForm(config)
    for config in (
        ResNetConfig,
        DenseNetConfig,
        ShuffleNetConfig,
        EfficientNetLiteConfig,
        MobileNetV3Config,
        ViTConfig,
    )
)
