"""What both sides of the comparison of image backbones agree on; imports neither framework.

Weights follow from a tensor's name in PyTorch's state dict and its shape. Their scales are such
that logits are of order one to ten and no layer can be left out or padded otherwise unseen: running
variances far from one, shifts and means in every batch norm.
"""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES
from training.weights.initial import generator

REFERENCE = Path(__file__).parent / "reference" / "images"
STATE_DICTS = REFERENCE / "state_dicts.json.gz"
HASHES = REFERENCE / "hashes.json"
TIMM = REFERENCE / "timm.json"
POOLING = REFERENCE / "pooling.safetensors"
#: Height and width of the maps that are pooled, and into how many parts a side.
MAPS = ((7, 7), (2, 3), (1, 1), (8, 5))
PARTS = (1, 2, 3)
#: Largest difference of logits, for networks of more than a hundred layers too.
TOLERANCE = 1e-4
CLASSES, BATCH = 10, 2
#: Even and odd.
SIZES = ((64, 64), (75, 61))
#: Of the pooled features every so many are kept.
KEPT = 8


@dataclass(frozen=True)
class Network:
    """A network on both sides.

    Attributes:
        source: Whose implementation in PyTorch.
        model: Its name there.
        architecture: Ours.
        preset: Ours.
        changes: Fields of our configuration in which it differs from the preset.
        arguments: Of the function that makes the model there.
        gain: Factor on the kernels; residual sums would grow with depth.
        sizes: Height and width of the images.
    """

    source: Literal["timm", "torchvision"]
    model: str
    architecture: str
    preset: str
    changes: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    gain: float = 1.0
    sizes: tuple[tuple[int, int], ...] = SIZES

    @property
    def config(self) -> BackboneConfig:
        preset = BACKBONES[self.architecture].presets[self.preset]
        return preset.model_copy(update={"num_classes": CLASSES, **self.changes})


NETWORKS: dict[str, Network] = {
    "resnet50": Network("timm", "resnet50", "resnet", "resnet50", gain=0.7),
    "resnet50-torchvision": Network("torchvision", "resnet50", "resnet", "resnet50", gain=0.7),
    "resnext50_32x4d": Network("timm", "resnext50_32x4d", "resnet", "resnext50_32x4d", gain=0.7),
    "resnext101_32x8d": Network("timm", "resnext101_32x8d", "resnet", "resnext101_32x8d", gain=0.6),
    "densenet121": Network("timm", "densenet121", "densenet", "densenet121"),
    "densenet121-torchvision": Network("torchvision", "densenet121", "densenet", "densenet121"),
    "densenet169": Network("timm", "densenet169", "densenet", "densenet169"),
    "densenet201": Network("timm", "densenet201", "densenet", "densenet201"),
    **{
        name: Network("torchvision", name, "shufflenet", name, gain=0.9)
        for name in (
            "shufflenet_v2_x0_5",
            "shufflenet_v2_x1_0",
            "shufflenet_v2_x1_5",
            "shufflenet_v2_x2_0",
        )
    },
    **{
        name: Network("timm", name, "efficientnet_lite", name)
        for name in ("tf_efficientnet_lite0", "efficientnet_lite0")
    },
    "mobilenetv3_large_100": Network(
        "timm", "mobilenetv3_large_100", "mobilenet_v3", "mobilenetv3_large_100", gain=0.92
    ),
    "mobilenetv3_small_100": Network(
        "timm", "mobilenetv3_small_100", "mobilenet_v3", "mobilenetv3_small_100", gain=1.03
    ),
    "tf_mobilenetv3_large_100": Network(
        "timm",
        "tf_mobilenetv3_large_100",
        "mobilenet_v3",
        "mobilenet_v3_large",
        {"padding": "same"},
        gain=0.92,
    ),
    "mobilenet_v3_large": Network(
        "torchvision", "mobilenet_v3_large", "mobilenet_v3", "mobilenet_v3_large", gain=0.92
    ),
    "mobilenet_v3_small": Network(
        "torchvision", "mobilenet_v3_small", "mobilenet_v3", "mobilenet_v3_small", gain=1.03
    ),
    "vit_tiny_patch16_64": Network(
        "timm",
        "vit_tiny_patch16_224",
        "vit",
        "vit_tiny_patch16_224",
        {"image_size": 64},
        {"img_size": 64},
        sizes=((64, 64),),
    ),
    "vit_base_patch16_48": Network(
        "timm",
        "vit_base_patch16_224",
        "vit",
        "vit_base_patch16_224",
        {"image_size": 48},
        {"img_size": 48},
        sizes=((48, 48),),
    ),
    "vit_tiny_patch16_64-torchvision": Network(
        "torchvision",
        "VisionTransformer",
        "vit",
        "vit_tiny_patch16_224",
        {"image_size": 64},
        {
            "image_size": 64,
            "patch_size": 16,
            "num_layers": 12,
            "num_heads": 3,
            "hidden_dim": 192,
            "mlp_dim": 768,
        },
        sizes=((64, 64),),
    ),
}


def state_dicts() -> dict[str, dict[str, tuple[str, tuple[int, ...]]]]:
    """Network → PyTorch's names → type and shape, as PyTorch said them."""
    with gzip.open(STATE_DICTS, "rt", encoding="utf-8") as file:
        found = json.load(file)
    return {
        network: {name: (dtype, tuple(shape)) for name, dtype, shape in tensors}
        for network, tensors in found.items()
    }


def values(name: str, shape: tuple[int, ...], gain: float = 1.0) -> np.ndarray:
    """A tensor of PyTorch's state dict, by its name there alone."""
    if name.endswith("num_batches_tracked"):
        return np.array(7, np.int64)
    source = generator(11, name)
    if name.endswith("running_var"):
        return source.random(shape, dtype=np.float32) + np.float32(0.5)
    drawn = source.standard_normal(shape, dtype=np.float32)
    small = np.float32(0.1)
    if name.endswith("weight") and len(shape) == 1:
        return 1 + small * drawn
    if len(shape) in (1, 3):
        return small * drawn
    fan_in = math.prod(shape[1:])
    scale = gain * math.sqrt(2 / fan_in) if len(shape) == 4 else math.sqrt(1 / fan_in)
    drawn *= np.float32(scale)
    return drawn


def weights(network: Network) -> dict[str, np.ndarray]:
    """Our checkpoint's tensors with the same rule, by our names."""
    return {
        spec.name: values(spec.name, spec.shape, network.gain) for spec in network.config.tensors()
    }


def images(height: int, width: int) -> np.ndarray:
    """Already normalised images, float32 [BATCH, height, width, 3]."""
    source = generator(11, f"images {height}x{width}")
    return source.standard_normal((BATCH, height, width, 3), dtype=np.float32)


def pooled_map(height: int, width: int) -> np.ndarray:
    """A map to pool, float32 [2, height, width, 6]."""
    random = np.random.default_rng(100 * height + width)
    return random.standard_normal((2, height, width, 6)).astype(np.float32)
