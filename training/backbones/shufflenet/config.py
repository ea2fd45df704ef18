"""ShuffleNetV2's configuration and tensors, by torchvision's names (timm has none).

- Ma et al., 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
  https://arxiv.org/abs/1807.11164
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from training.backbones.contract import TensorSpec
from training.backbones.image_config import ImageConfig, batch_norm, classifier, convolution
from training.errors import gettext_noop as _
from training.settings import field_error

#: Channels after the first convolution, of every size.
STEM = 24


class ShuffleNetConfig(ImageConfig):
    """Shape of a ShuffleNetV2."""

    architecture: Literal["shufflenet"] = "shufflenet"
    depths: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default_factory=lambda: [4, 8, 4],
        min_length=1,
        max_length=6,
        title=_("Units"),
        description=_("Of each stage; the first of a stage halves the map."),
    )
    widths: list[Annotated[int, Field(ge=2, le=8192)]] = Field(
        default_factory=lambda: [116, 232, 464],
        min_length=1,
        max_length=6,
        title=_("Widths"),
        description=_("Channels that leave each stage; even numbers."),
    )
    last: int = Field(
        1024, ge=1, le=16_384, title=_("Last width"), description=_("Channels before the head.")
    )

    @model_validator(mode="after")
    def _consistent(self) -> ShuffleNetConfig:
        if len(self.widths) != len(self.depths):
            raise field_error("one_width_a_stage", "widths", stages=len(self.depths))
        if any(width % 2 for width in self.widths):
            raise field_error("widths_not_even", "widths")
        return self

    @property
    def layers(self) -> int:
        return sum(self.depths)

    def tensors(self) -> list[TensorSpec]:
        found = convolution("conv1.0", "stem", STEM, self.in_channels, 3)
        found += batch_norm("conv1.1", "stem", STEM)
        channels = STEM
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            half = width // 2
            for index in range(depth):
                name, block = f"stage{stage + 2}.{index}", f"stage.{stage}.{index}"
                if index == 0:
                    branch = f"{name}.branch1"
                    found += convolution(
                        f"{branch}.0", block, channels, channels, 3, groups=channels
                    )
                    found += batch_norm(f"{branch}.1", block, channels)
                    found += convolution(f"{branch}.2", block, half, channels, 1)
                    found += batch_norm(f"{branch}.3", block, half)
                branch = f"{name}.branch2"
                found += convolution(f"{branch}.0", block, half, half if index else channels, 1)
                found += batch_norm(f"{branch}.1", block, half)
                found += convolution(f"{branch}.3", block, half, half, 3, groups=half)
                found += batch_norm(f"{branch}.4", block, half)
                found += convolution(f"{branch}.5", block, half, half, 1)
                found += batch_norm(f"{branch}.6", block, half)
            channels = width
        found += convolution("conv5.0", "last", self.last, channels, 1)
        found += batch_norm("conv5.1", "last", self.last)
        return found + classifier("fc", self, self.last)


#: The published sizes.
PRESETS: dict[str, ShuffleNetConfig] = {
    "shufflenet_v2_x0_5": ShuffleNetConfig(widths=[48, 96, 192]),
    "shufflenet_v2_x1_0": ShuffleNetConfig(),
    "shufflenet_v2_x1_5": ShuffleNetConfig(widths=[176, 352, 704]),
    "shufflenet_v2_x2_0": ShuffleNetConfig(widths=[244, 488, 976], last=2048),
}
