"""ResNet's and ResNeXt's configuration and tensors, by timm's names (torchvision's are the same).

- He et al., 2016, "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385
- Xie et al., 2017, "Aggregated Residual Transformations for Deep Neural Networks" (ResNeXt: the
  3×3 convolution in groups), https://arxiv.org/abs/1611.05431

Details people get wrong: the stride sits at the 3×3 convolution (as PyTorch has it, "v1.5"), and
not at the first 1×1 one as in the paper.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from training.backbones.contract import TensorSpec
from training.backbones.image_config import ImageConfig, batch_norm, classifier, convolution
from training.errors import gettext_noop as _

#: Channels between the 1×1 convolutions of the first stage, and what leaves a block of it.
BASE, EXPANSION = 64, 4


class ResNetConfig(ImageConfig):
    """Shape of a ResNet of bottleneck blocks."""

    architecture: Literal["resnet"] = "resnet"
    depths: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default_factory=lambda: [3, 4, 6, 3],
        min_length=1,
        max_length=6,
        title=_("Blocks"),
        description=_("Residual blocks of each stage; every stage halves the map."),
    )
    groups: int = Field(
        1, ge=1, le=256, title=_("Groups"), description=_("Of the 3×3 convolutions: 32 in ResNeXt.")
    )
    group_width: int = Field(
        BASE,
        ge=1,
        le=1024,
        title=_("Width of a group"),
        description=_("Channels of a group in the first stage: 64 in ResNet, 4 in ResNeXt 32×4d."),
    )

    @property
    def layers(self) -> int:
        return sum(self.depths)

    def inner(self, stage: int) -> int:
        """Channels of the 3×3 convolutions of a stage."""
        return self.group_width * self.groups * 2**stage

    def outer(self, stage: int) -> int:
        """Channels that leave a stage."""
        return BASE * EXPANSION * 2**stage

    def tensors(self) -> list[TensorSpec]:
        found = convolution("conv1", "stem", BASE, self.in_channels, 7)
        found += batch_norm("bn1", "stem", BASE)
        channels = BASE
        for stage, depth in enumerate(self.depths):
            inner, outer = self.inner(stage), self.outer(stage)
            for index in range(depth):
                name, block = f"layer{stage + 1}.{index}", f"stage.{stage}.{index}"
                found += convolution(f"{name}.conv1", block, inner, channels, 1)
                found += batch_norm(f"{name}.bn1", block, inner)
                found += convolution(f"{name}.conv2", block, inner, inner, 3, groups=self.groups)
                found += batch_norm(f"{name}.bn2", block, inner)
                found += convolution(f"{name}.conv3", block, outer, inner, 1)
                found += batch_norm(f"{name}.bn3", block, outer)
                if index == 0:
                    found += convolution(f"{name}.downsample.0", block, outer, channels, 1)
                    found += batch_norm(f"{name}.downsample.1", block, outer)
                channels = outer
        return found + classifier("fc", self, channels)


#: One for trying things out on small images, and the published sizes.
PRESETS: dict[str, ResNetConfig] = {
    "nano": ResNetConfig(depths=[2, 2], group_width=16),
    "resnet50": ResNetConfig(),
    "resnext50_32x4d": ResNetConfig(groups=32, group_width=4),
    "resnext101_32x8d": ResNetConfig(depths=[3, 4, 23, 3], groups=32, group_width=8),
}
