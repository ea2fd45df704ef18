"""The inverted residual block that EfficientNet and MobileNetV3 share, by timm's names.

- Sandler et al., 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
  https://arxiv.org/abs/1801.04381
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.backbones.contract import TensorSpec
from training.backbones.image_config import batch_norm, convolution


@dataclass(frozen=True)
class MobileBlock:
    """A 1×1 convolution up, a depthwise one, and a 1×1 convolution down without activation.

    Attributes:
        stage: Counted from 0.
        index: Within the stage, from 0.
        kernel: Size of the depthwise convolution.
        stride: Of the depthwise convolution.
        inputs: Channels that come in; where as many go out at stride 1, they are added.
        inner: Channels of the depthwise convolution.
        outputs: Channels that go out.
        expands: Whether it begins with the 1×1 convolution up.
        squeeze: Channels within squeeze-and-excitation [0]; 0: there is none.
        activation: After the first two convolutions.

    - [0] Hu et al., 2018, https://arxiv.org/abs/1709.01507
    """

    stage: int
    index: int
    kernel: int
    stride: int
    inputs: int
    inner: int
    outputs: int
    expands: bool
    squeeze: int
    activation: Literal["relu", "relu6", "hard_swish"]

    @property
    def name(self) -> str:
        return f"blocks.{self.stage}.{self.index}"

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The convolutions up, depthwise and down, each with its batch norm; without up two."""
        if self.expands:
            return (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"))
        return (("conv_dw", "bn1"), ("conv_pw", "bn2"))

    def tensors(self) -> list[TensorSpec]:
        block = f"stage.{self.stage}.{self.index}"
        found: list[TensorSpec] = []
        (depthwise, middle), (down, last) = self.parts[-2:]
        if self.expands:
            up, first = self.parts[0]
            found += convolution(f"{self.name}.{up}", block, self.inner, self.inputs, 1)
            found += batch_norm(f"{self.name}.{first}", block, self.inner)
        name, inner = f"{self.name}.{depthwise}", self.inner
        found += convolution(name, block, inner, inner, self.kernel, groups=inner)
        found += batch_norm(f"{self.name}.{middle}", block, inner)
        if self.squeeze:
            name = f"{self.name}.se"
            found += convolution(f"{name}.conv_reduce", block, self.squeeze, inner, 1, bias=True)
            found += convolution(f"{name}.conv_expand", block, inner, self.squeeze, 1, bias=True)
        found += convolution(f"{self.name}.{down}", block, self.outputs, inner, 1)
        return found + batch_norm(f"{self.name}.{last}", block, self.outputs)


def rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor that is not below nine tenths of ``channels``."""
    found = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * channels else found
