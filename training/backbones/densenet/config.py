"""DenseNet's configuration and tensors, by timm's names (torchvision's are the same).

- Huang et al., 2017, "Densely Connected Convolutional Networks", https://arxiv.org/abs/1608.06993
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from training.backbones.contract import TensorSpec
from training.backbones.image_config import ImageConfig, batch_norm, classifier, convolution
from training.errors import gettext_noop as _


class DenseNetConfig(ImageConfig):
    """Shape of a DenseNet-BC: bottleneck layers, and transitions that halve the channels."""

    architecture: Literal["densenet"] = "densenet"
    depths: list[Annotated[int, Field(ge=1, le=200)]] = Field(
        default_factory=lambda: [6, 12, 24, 16],
        min_length=1,
        max_length=6,
        title=_("Layers of the blocks"),
        description=_("Dense layers of each block; between two blocks the map is halved."),
    )
    growth: int = Field(
        32, ge=1, le=512, title=_("Growth"), description=_("Channels that every dense layer adds.")
    )
    stem: int = Field(
        64, ge=2, le=1024, title=_("Stem"), description=_("Channels after the first convolution.")
    )
    bottleneck: int = Field(
        4,
        ge=1,
        le=64,
        title=_("Bottleneck"),
        description=_("A dense layer's inner channels, as a multiple of the growth."),
    )

    @property
    def layers(self) -> int:
        return sum(self.depths)

    def tensors(self) -> list[TensorSpec]:
        inner = self.bottleneck * self.growth
        found = convolution("features.conv0", "stem", self.stem, self.in_channels, 7)
        found += batch_norm("features.norm0", "stem", self.stem)
        channels = self.stem
        for stage, depth in enumerate(self.depths):
            for index in range(depth):
                block = f"stage.{stage}.{index}"
                name = f"features.denseblock{stage + 1}.denselayer{index + 1}"
                found += batch_norm(f"{name}.norm1", block, channels)
                found += convolution(f"{name}.conv1", block, inner, channels, 1)
                found += batch_norm(f"{name}.norm2", block, inner)
                found += convolution(f"{name}.conv2", block, self.growth, inner, 3)
                channels += self.growth
            if stage + 1 < len(self.depths):
                name, block = f"features.transition{stage + 1}", f"transition.{stage}"
                found += batch_norm(f"{name}.norm", block, channels)
                found += convolution(f"{name}.conv", block, channels // 2, channels, 1)
                channels //= 2
        # Its name stays so whatever the number of blocks.
        found += batch_norm("features.norm5", "final_norm", channels)
        return found + classifier("classifier", self, channels)


#: The published sizes.
PRESETS: dict[str, DenseNetConfig] = {
    "densenet121": DenseNetConfig(),
    "densenet169": DenseNetConfig(depths=[6, 12, 32, 32]),
    "densenet201": DenseNetConfig(depths=[6, 12, 48, 32]),
}
