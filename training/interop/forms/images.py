"""The image backbones' ``config.json``: our own form, since timm and torchvision have none."""

from __future__ import annotations

from training.backbones.densenet.config import DenseNetConfig
from training.backbones.resnet.config import ResNetConfig
from training.interop.forms.form import OwnForm

FORMS = tuple(OwnForm(config) for config in (ResNetConfig, DenseNetConfig))
