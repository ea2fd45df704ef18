"""EfficientNet-Lite0's configuration and tensors, by timm's names.

- Tan and Le, 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
  https://arxiv.org/abs/1905.11946; Lite leaves out squeeze-and-excitation and takes ReLU6.

Details people get wrong: the published weights come from TensorFlow. They were trained with its
``SAME`` padding, which at stride 2 and even sizes adds pixels at the right and below only, and with
a batch-norm epsilon of 1e-3; converted without both they answer something else. timm calls that
network ``tf_efficientnet_lite0``, and ``efficientnet_lite0`` one of equal tensors with PyTorch's
padding and epsilon.
"""

from __future__ import annotations

from typing import Literal

from training.backbones.contract import TensorSpec
from training.backbones.image_config import (
    NORM_EPSILON,
    PaddedConfig,
    batch_norm,
    classifier,
    convolution,
)
from training.backbones.mobile_block import MobileBlock

STEM, LAST = 32, 1280
#: Stages: blocks, kernel, stride of the first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLiteConfig(PaddedConfig):
    """Shape of an EfficientNet-Lite0."""

    architecture: Literal["efficientnet_lite"] = "efficientnet_lite"

    @property
    def layers(self) -> int:
        return len(self.blocks())

    def blocks(self) -> list[MobileBlock]:
        """Every block in order."""
        found, channels = [], STEM
        for stage, (depth, kernel, stride, expansion, width) in enumerate(_STAGES):
            for index in range(depth):
                found.append(
                    MobileBlock(
                        stage=stage,
                        index=index,
                        kernel=kernel,
                        stride=1 if index else stride,
                        inputs=channels,
                        inner=expansion * channels,
                        outputs=width,
                        expands=expansion > 1,
                        squeeze=0,
                        activation="relu6",
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
        found += convolution("conv_head", "last", LAST, blocks[-1].outputs, 1)
        found += batch_norm("bn2", "last", LAST)
        return found + classifier("classifier", self, LAST)


#: Published weights are of the first; the second is timm's own training.
PRESETS: dict[str, EfficientNetLiteConfig] = {
    "tf_efficientnet_lite0": EfficientNetLiteConfig(),
    "efficientnet_lite0": EfficientNetLiteConfig(padding="symmetric", norm_epsilon=NORM_EPSILON),
}
