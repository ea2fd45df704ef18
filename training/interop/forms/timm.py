"""Image networks as timm knows them: the ``config.json`` of its folders on the Hub.

timm knows a network by its name; ``model_args`` say what may differ from the one of that name. A
network that has no name there cannot be written so.
"""

from __future__ import annotations

from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.densenet.config import DenseNetConfig
from training.backbones.efficientnet_lite.config import PRESETS as LITES
from training.backbones.image_config import NORM_EPSILON
from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.backbones.resnet.config import ResNetConfig
from training.backbones.vit.config import ViTConfig

#: Height and width that a vision transformer of timm's has, if ``model_args`` do not say other.
VIT_SIZE = 224
#: What timm's folder says the images are where the network takes any size.
ANY_SIZE = 224


def _resnet(middle: int, groups: int = 1, group_width: int = 64, first: int = 4) -> ResNetConfig:
    return ResNetConfig(depths=[3, first, middle, 3], groups=groups, group_width=group_width)


def _mobilenet(size: Any, **function: Any) -> MobileNetV3Config:
    return MobileNetV3Config(size=size, **function)


_TENSORFLOW: dict[str, Any] = {"padding": "same", "norm_epsilon": 1e-3}
_VITS = {
    "tiny": (ViTConfig(width=192, heads=3, inner=768), (16,)),
    "small": (ViTConfig(width=384, heads=6, inner=1536), (8, 16, 32)),
    "base": (ViTConfig(), (8, 16, 32)),
    "large": (ViTConfig(width=1024, depth=24, heads=16, inner=4096), (14, 16, 32)),
}

#: timm's name → the network, as it is there without arguments.
NAMES: dict[str, BackboneConfig] = {
    "resnet50": _resnet(6),
    "resnet101": _resnet(23),
    "resnet152": _resnet(36, first=8),
    "resnext50_32x4d": _resnet(6, 32, 4),
    "resnext101_32x4d": _resnet(23, 32, 4),
    "resnext101_32x8d": _resnet(23, 32, 8),
    "resnext101_64x4d": _resnet(23, 64, 4),
    "wide_resnet50_2": _resnet(6, 1, 128),
    "wide_resnet101_2": _resnet(23, 1, 128),
    "densenet121": DenseNetConfig(),
    "densenet161": DenseNetConfig(depths=[6, 12, 36, 24], growth=48, stem=96),
    "densenet169": DenseNetConfig(depths=[6, 12, 32, 32]),
    "densenet201": DenseNetConfig(depths=[6, 12, 48, 32]),
    **LITES,
    **{
        f"{prefix}mobilenetv3_{size}_100": _mobilenet(size, **function)
        for size in ("large", "small")
        for prefix, function in (("", {"norm_epsilon": NORM_EPSILON}), ("tf_", _TENSORFLOW))
    },
    **{
        f"vit_{name}_patch{patch}_{VIT_SIZE}": config.model_copy(update={"patch_size": patch})
        for name, (config, patches) in _VITS.items()
        for patch in patches
    },
}


def timm_config(config: BackboneConfig) -> dict[str, Any] | None:
    """``config.json`` as timm writes it; None: the network has no name there.

    What the weights were trained on (means, licence, tags) is not known here, and left out.
    """
    free = {
        name: value
        for name, value in (("num_classes", 1000), ("in_channels", 3), ("image_size", VIT_SIZE))
        if hasattr(config, name)
    }
    plain = config.model_copy(update=free)
    name = next((name for name, known in NAMES.items() if known == plain), None)
    if name is None:
        return None
    values = config.model_dump()
    size = values.get("image_size")
    arguments = {}
    if values["in_channels"] != 3:
        arguments["in_chans"] = values["in_channels"]
    if size is not None and size != VIT_SIZE:
        arguments["img_size"] = size
    side = size or ANY_SIZE
    return {
        "architecture": name,
        "num_classes": values["num_classes"],
        **({"model_args": arguments} if arguments else {}),
        "pretrained_cfg": {
            "input_size": [values["in_channels"], side, side],
            "num_classes": values["num_classes"],
        },
    }
