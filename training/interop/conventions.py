"""How timm, torchvision and others name the tensors of image networks.

Each implementation's names are a :class:`Convention`; the sizes are read off the shapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.densenet.config import DenseNetConfig
from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.backbones.image_config import NORM_EPSILON
from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.backbones.resnet.config import ResNetConfig
from training.backbones.shufflenet.config import ShuffleNetConfig
from training.backbones.vit.config import ViTConfig
from training.errors import TrainingError

Shapes = Mapping[str, tuple[int, ...]]

#: How many heads timm's vision transformers have, which no shape shows, by their width.
VIT_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16}


@dataclass(frozen=True)
class Convention:
    """How one implementation names an architecture's tensors.

    Attributes:
        title: For people: the implementation, and the network where there are several.
        marks: Names that are in every such file.
        measure: Shapes by their names → our configuration; fails (``KeyError``, ``ValueError`` …)
            on others.
        names: Our configuration → our name of a tensor → theirs, where they differ.
        timm: Names of timm's networks that it is; none: not timm's.
        pooling: What timm calls its pooling.
    """

    title: str
    marks: tuple[str, ...]
    measure: Callable[[Shapes], BackboneConfig]
    names: Callable[[Any], dict[str, str]] = lambda config: {}
    timm: re.Pattern[str] = re.compile(r"(?!)")
    pooling: str = "avg"


def _count(shapes: Shapes, pattern: str) -> int:
    """How many of ``pattern`` (with ``{}`` for 0, 1, …) there are, without a gap."""
    count = 0
    while pattern.format(count) in shapes:
        count += 1
    return count


def _classes(shapes: Shapes, head: str) -> int:
    return shapes[head][0] if head in shapes else 0


# --- ResNet, DenseNet, ShuffleNet: timm's and torchvision's names are ours -----------------------


def _measure_resnet(shapes: Shapes) -> ResNetConfig:
    stages = 0
    while f"layer{stages + 1}.0.conv1.weight" in shapes:
        stages += 1
    outputs, inside = shapes["layer1.0.conv2.weight"][:2]
    return ResNetConfig(
        num_classes=_classes(shapes, "fc.weight"),
        in_channels=shapes["conv1.weight"][1],
        depths=[_count(shapes, f"layer{s + 1}.{{}}.conv1.weight") for s in range(stages)],
        groups=outputs // inside,
        group_width=inside,
    )


def _measure_densenet(shapes: Shapes) -> DenseNetConfig:
    depths: list[int] = []
    while f"features.denseblock{len(depths) + 1}.denselayer1.conv1.weight" in shapes:
        block, depth = len(depths) + 1, 0
        while f"features.denseblock{block}.denselayer{depth + 1}.conv1.weight" in shapes:
            depth += 1
        depths.append(depth)
    growth, inner = shapes["features.denseblock1.denselayer1.conv2.weight"][:2]
    return DenseNetConfig(
        num_classes=_classes(shapes, "classifier.weight"),
        in_channels=shapes["features.conv0.weight"][1],
        depths=depths,
        growth=growth,
        stem=shapes["features.conv0.weight"][0],
        bottleneck=inner // growth,
    )


def _measure_shufflenet(shapes: Shapes) -> ShuffleNetConfig:
    depths: list[int] = []
    while f"stage{len(depths) + 2}.0.branch2.0.weight" in shapes:
        depths.append(_count(shapes, f"stage{len(depths) + 2}.{{}}.branch2.0.weight"))
    return ShuffleNetConfig(
        num_classes=_classes(shapes, "fc.weight"),
        in_channels=shapes["conv1.0.weight"][1],
        depths=depths,
        widths=[
            2 * shapes[f"stage{stage + 2}.0.branch2.0.weight"][0] for stage in range(len(depths))
        ],
        last=shapes["conv5.0.weight"][0],
    )


# --- EfficientNet-Lite -------------------------------------------------------------------------


def _lite(stem: str, head: str, **function: Any) -> Callable[[Shapes], EfficientNetLiteConfig]:
    def measure(shapes: Shapes) -> EfficientNetLiteConfig:
        return EfficientNetLiteConfig(
            num_classes=_classes(shapes, head), in_channels=shapes[stem][1], **function
        )

    return measure


def _lite_underscored(config: EfficientNetLiteConfig) -> dict[str, str]:
    """Names of the PyTorch port that Lite's weights were published for: ``_blocks.0._bn1``."""
    modules = {
        "conv_stem": "_conv_stem",
        "bn1": "_bn0",
        "conv_head": "_conv_head",
        "bn2": "_bn1",
        "classifier": "_fc",
    }
    for number, block in enumerate(config.blocks()):
        theirs = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
        ours = [name for pair in block.parts for name in pair]
        for own, foreign in zip(ours, theirs[-len(ours) :], strict=True):
            modules[f"{block.name}.{own}"] = f"_blocks.{number}.{foreign}"
    return _renamed(config, modules)


# --- MobileNetV3 -------------------------------------------------------------------------------


def _mobilenet(
    large: str, stem: str, head: str, **function: Any
) -> Callable[[Shapes], MobileNetV3Config]:
    def measure(shapes: Shapes) -> MobileNetV3Config:
        return MobileNetV3Config(
            size="large" if large in shapes else "small",
            num_classes=_classes(shapes, head),
            in_channels=shapes[stem][1],
            **function,
        )

    return measure


def _mobilenet_torchvision(config: MobileNetV3Config) -> dict[str, str]:
    """``features.N.block.M``: N counts the stem, M the parts that a block has."""
    blocks = config.blocks()
    modules = {
        "conv_stem": "features.0.0",
        "bn1": "features.0.1",
        f"{config.last_name}.conv": f"features.{len(blocks) + 1}.0",
        f"{config.last_name}.bn1": f"features.{len(blocks) + 1}.1",
        "conv_head": "classifier.0",
        "classifier": "classifier.3",
    }
    for number, block in enumerate(blocks, start=1):
        name = f"features.{number}.block"
        down = len(block.parts) - 1
        for part, (convolution, norm) in enumerate(block.parts):
            place = part + 1 if part == down and block.squeeze else part
            modules[f"{block.name}.{convolution}"] = f"{name}.{place}.0"
            modules[f"{block.name}.{norm}"] = f"{name}.{place}.1"
        if block.squeeze:
            modules[f"{block.name}.se.conv_reduce"] = f"{name}.{down}.fc1"
            modules[f"{block.name}.se.conv_expand"] = f"{name}.{down}.fc2"
    return _renamed(config, modules)


# --- vision transformers -----------------------------------------------------------------------


def _vit(
    position: str, patch: str, first: str, layer: str, head: str
) -> Callable[[Shapes], ViTConfig]:
    def measure(shapes: Shapes) -> ViTConfig:
        width, channels, size, _ = shapes[patch]
        patches = shapes[position][1] - 1
        side = math.isqrt(max(patches, 0))
        if not side or side * side != patches:
            raise ValueError(f"{patches} patches are no square")
        if width not in VIT_HEADS:
            known = ", ".join(map(str, VIT_HEADS))
            raise TrainingError("vit_heads_unknown", width=width, known=known)
        return ViTConfig(
            num_classes=_classes(shapes, head),
            in_channels=channels,
            image_size=side * size,
            patch_size=size,
            width=width,
            depth=_count(shapes, layer),
            heads=VIT_HEADS[width],
            inner=shapes[first][0],
        )

    return measure


def _vit_torchvision(config: ViTConfig) -> dict[str, str]:
    modules = {
        "patch_embed.proj": "conv_proj",
        "norm": "encoder.ln",
        "head": "heads.head",
    }
    found = {"cls_token": "class_token", "pos_embed": "encoder.pos_embedding"}
    for layer in range(config.depth):
        ours, theirs = f"blocks.{layer}", f"encoder.layers.encoder_layer_{layer}"
        modules |= {
            f"{ours}.norm1": f"{theirs}.ln_1",
            f"{ours}.attn.proj": f"{theirs}.self_attention.out_proj",
            f"{ours}.norm2": f"{theirs}.ln_2",
            f"{ours}.mlp.fc1": f"{theirs}.mlp.0",
            f"{ours}.mlp.fc2": f"{theirs}.mlp.3",
        }
        # Queries, keys and values one above the other, as in timm.
        found[f"{ours}.attn.qkv.weight"] = f"{theirs}.self_attention.in_proj_weight"
        found[f"{ours}.attn.qkv.bias"] = f"{theirs}.self_attention.in_proj_bias"
    return found | _renamed(config, modules)


def _renamed(config: BackboneConfig, modules: Mapping[str, str]) -> dict[str, str]:
    """Our tensors' names → theirs, by the modules that they belong to."""
    found = {}
    for spec in config.tensors():
        module, _, kind = spec.name.rpartition(".")
        if module in modules:
            found[spec.name] = f"{modules[module]}.{kind}"
    return found


_TENSORFLOW = {"padding": "same", "norm_epsilon": 1e-3}
_PYTORCH = {"padding": "symmetric", "norm_epsilon": NORM_EPSILON}
_MOBILENET = ("conv_stem.weight", "blocks.0.0.conv_dw.weight", "conv_head.bias")
_LITE = ("conv_stem.weight", "blocks.0.0.conv_dw.weight", "bn2.running_mean")

#: Every implementation's names that are known.
CONVENTIONS: list[Convention] = [
    Convention(
        "ResNet and ResNeXt (timm, torchvision)",
        ("conv1.weight", "layer1.0.conv3.weight"),
        _measure_resnet,
        timm=re.compile(
            r"(tv_)?(resnet(50|101|152)|resnext50_32x4d|resnext101_(32x4d|32x8d|64x4d)"
            r"|wide_resnet(50|101)_2)"
        ),
    ),
    Convention(
        "DenseNet (timm, torchvision)",
        ("features.conv0.weight", "features.norm5.weight"),
        _measure_densenet,
        timm=re.compile(r"(tv_)?densenet(121|161|169|201)"),
    ),
    Convention(
        "ShuffleNetV2 (torchvision)",
        ("conv1.0.weight", "stage2.0.branch1.0.weight"),
        _measure_shufflenet,
    ),
    Convention(
        "tf_efficientnet_lite0 (timm)",
        _LITE,
        _lite("conv_stem.weight", "classifier.weight", **_TENSORFLOW),
        timm=re.compile("tf_efficientnet_lite0"),
    ),
    Convention(
        "efficientnet_lite0 (timm)",
        _LITE,
        _lite("conv_stem.weight", "classifier.weight", **_PYTORCH),
        timm=re.compile("efficientnet_lite0"),
    ),
    Convention(
        "EfficientNet-Lite0 (as published for PyTorch)",
        ("_conv_stem.weight", "_blocks.0._depthwise_conv.weight"),
        _lite("_conv_stem.weight", "_fc.weight", **_TENSORFLOW),
        _lite_underscored,
    ),
    Convention(
        "mobilenetv3 (timm)",
        _MOBILENET,
        _mobilenet("blocks.6.0.conv.weight", "conv_stem.weight", "classifier.weight", **_PYTORCH),
        timm=re.compile("mobilenetv3_(large|small)_100"),
    ),
    Convention(
        "tf_mobilenetv3 (timm)",
        _MOBILENET,
        _mobilenet(
            "blocks.6.0.conv.weight", "conv_stem.weight", "classifier.weight", **_TENSORFLOW
        ),
        timm=re.compile("tf_mobilenetv3_(large|small)_100"),
    ),
    Convention(
        "MobileNetV3 (torchvision)",
        ("features.0.0.weight", "features.1.block.0.0.weight", "classifier.0.weight"),
        _mobilenet(
            "features.16.0.weight",
            "features.0.0.weight",
            "classifier.3.weight",
            padding="symmetric",
            norm_epsilon=1e-3,
        ),
        _mobilenet_torchvision,
    ),
    Convention(
        "vision transformer (timm)",
        ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight"),
        _vit(
            "pos_embed",
            "patch_embed.proj.weight",
            "blocks.0.mlp.fc1.weight",
            "blocks.{}.norm1.weight",
            "head.weight",
        ),
        timm=re.compile(r"(vit|deit)_(tiny|small|base|large)_patch(8|14|16|32)_\d+"),
        pooling="token",
    ),
    Convention(
        "vision transformer (torchvision)",
        ("class_token", "encoder.pos_embedding", "conv_proj.weight"),
        _vit(
            "encoder.pos_embedding",
            "conv_proj.weight",
            "encoder.layers.encoder_layer_0.mlp.0.weight",
            "encoder.layers.encoder_layer_{}.ln_1.weight",
            "heads.head.weight",
        ),
        _vit_torchvision,
    ),
]
