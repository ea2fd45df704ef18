"""MobileNetV3's configuration and tensors, by timm's names.

- Howard et al., 2019, "Searching for MobileNetV3", https://arxiv.org/abs/1905.02244

Details people get wrong: the first layer after pooling belongs to the head, and has a bias but no
batch norm; squeeze-and-excitation gates with the hard sigmoid. torchvision's network has a
batch-norm epsilon of 1e-3, timm's ``mobilenetv3_*`` one of 1e-5, timm's ``tf_mobilenetv3_*``
TensorFlow's padding besides; all three have equal tensors.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.backbones.contract import TensorSpec
from training.backbones.image_config import (
    NORM_EPSILON,
    PaddedConfig,
    Padding,
    batch_norm,
    classifier,
    convolution,
)
from training.backbones.mobile_block import MobileBlock, rounded
from training.errors import gettext_noop as _

STEM = 16
#: Stages, each of blocks: kernel, stride, inner channels, channels; whether squeeze-and-excitation;
#: and the activation.
_STAGES: dict[str, tuple[tuple[tuple[tuple[int, int, int, int], ...], bool, bool], ...]] = {
    "large": (
        (((3, 1, 16, 16),), False, False),
        (((3, 2, 64, 24), (3, 1, 72, 24)), False, False),
        (((5, 2, 72, 40), (5, 1, 120, 40), (5, 1, 120, 40)), True, False),
        (((3, 2, 240, 80), (3, 1, 200, 80), (3, 1, 184, 80), (3, 1, 184, 80)), False, True),
        (((3, 1, 480, 112), (3, 1, 672, 112)), True, True),
        (((5, 2, 672, 160), (5, 1, 960, 160), (5, 1, 960, 160)), True, True),
    ),
    "small": (
        (((3, 2, 16, 16),), True, False),
        (((3, 2, 72, 24), (3, 1, 88, 24)), False, False),
        (((5, 2, 96, 40), (5, 1, 240, 40), (5, 1, 240, 40)), True, True),
        (((5, 1, 120, 48), (5, 1, 144, 48)), True, True),
        (((5, 2, 288, 96), (5, 1, 576, 96), (5, 1, 576, 96)), True, True),
    ),
}
#: Channels of the last map, and of the head's first layer.
_LAST = {"large": (960, 1280), "small": (576, 1024)}


class MobileNetV3Config(PaddedConfig):
    """Shape of a MobileNetV3."""

    architecture: Literal["mobilenet_v3"] = "mobilenet_v3"
    padding: Padding = "symmetric"
    size: Literal["large", "small"] = Field(
        "large", title=_("Size"), description=_("One of the two published networks.")
    )

    @property
    def layers(self) -> int:
        return len(self.blocks())

    @property
    def last(self) -> tuple[int, int]:
        """Channels of the last map, and of the head's first layer."""
        return _LAST[self.size]

    @property
    def last_name(self) -> str:
        """The last convolution: a stage of its own in timm's count, without a block in ours."""
        return f"blocks.{len(_STAGES[self.size])}.0"

    def blocks(self) -> list[MobileBlock]:
        """Every block in order."""
        found, channels = [], STEM
        for stage, (blocks, squeezes, swish) in enumerate(_STAGES[self.size]):
            for index, (kernel, stride, inner, width) in enumerate(blocks):
                found.append(
                    MobileBlock(
                        stage=stage,
                        index=index,
                        kernel=kernel,
                        stride=stride,
                        inputs=channels,
                        inner=inner,
                        outputs=width,
                        expands=stage > 0,
                        squeeze=rounded(inner / 4) if squeezes else 0,
                        activation="hard_swish" if swish else "relu",
                    )
                )
                channels = width
        return found

    def tensors(self) -> list[TensorSpec]:
        found = convolution("conv_stem", "stem", STEM, self.in_channels, 3)
        found += batch_norm("bn1", "stem", STEM)
        blocks = self.blocks()
        for block in blocks:
            found += block.tensors()
        last, head = self.last
        found += convolution(f"{self.last_name}.conv", "last", last, blocks[-1].outputs, 1)
        found += batch_norm(f"{self.last_name}.bn1", "last", last)
        found += convolution("conv_head", "pooler", head, last, 1, bias=True)
        return found + classifier("classifier", self, head)


#: timm's two, and torchvision's.
PRESETS: dict[str, MobileNetV3Config] = {
    "mobilenetv3_large_100": MobileNetV3Config(norm_epsilon=NORM_EPSILON),
    "mobilenetv3_small_100": MobileNetV3Config(size="small", norm_epsilon=NORM_EPSILON),
    "mobilenet_v3_large": MobileNetV3Config(),
    "mobilenet_v3_small": MobileNetV3Config(size="small"),
}
