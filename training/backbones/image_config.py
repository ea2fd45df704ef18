"""What the image backbones' configurations share: their fields, and the tensors they are made of.

Layouts are PyTorch's: a convolution's kernel is [out, in / groups, height, width], a matrix
[out, in]. A batch norm has two tensors that training updates without a gradient, its running mean
and variance.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from training.backbones.contract import BackboneConfig, TensorSpec
from training.errors import gettext_noop as _

#: PyTorch's batch norm, where an architecture has no other.
NORM_EPSILON = 1e-5


class ImageConfig(BackboneConfig):
    """Shape of a model that reads images [batch, height, width, channels]."""

    num_classes: int = Field(
        1000,
        ge=0,
        le=1_000_000,
        title=_("Classes"),
        description=_("Outputs of the head; 0: no head, pooled features come out."),
    )
    in_channels: int = Field(
        3, ge=1, le=64, title=_("Channels"), description=_("Of the images: 3 for RGB, 1 for grey.")
    )

    @property
    def fixed_px(self) -> int | None:
        """Height and width that images must have; None where any will do."""
        return None


def convolution(
    name: str,
    block: str,
    outputs: int,
    inputs: int,
    size: int,
    *,
    groups: int = 1,
    bias: bool = False,
) -> list[TensorSpec]:
    """A kernel [outputs, inputs / groups, size, size], normal with variance 2 / fan-in [0].

    - [0] He et al., 2015, https://arxiv.org/abs/1502.01852
    """
    shape = (outputs, inputs // groups, size, size)
    std = math.sqrt(2 / math.prod(shape[1:]))
    found = [TensorSpec(f"{name}.weight", shape, "normal", std, block, inputs=(1, 2, 3))]
    if bias:
        found.append(TensorSpec(f"{name}.bias", (outputs,), "zeros", 0, block))
    return found


def batch_norm(name: str, block: str, channels: int) -> list[TensorSpec]:
    """Scale, shift, running mean and running variance, [channels] each."""
    shape = (channels,)
    return [
        TensorSpec(f"{name}.weight", shape, "ones", 0, block),
        TensorSpec(f"{name}.bias", shape, "zeros", 0, block),
        TensorSpec(f"{name}.running_mean", shape, "zeros", 0, block, trained=False),
        TensorSpec(f"{name}.running_var", shape, "ones", 0, block, trained=False),
    ]


def classifier(name: str, config: ImageConfig, width: int) -> list[TensorSpec]:
    """The head, a matrix [classes, width] with a bias; nothing where there are no classes."""
    if not config.num_classes:
        return []
    return [
        TensorSpec(
            f"{name}.weight",
            (config.num_classes, width),
            "normal",
            0.01,
            "head",
            "classifier.kernel",
            ("label", "width"),
            inputs=(1,),
        ),
        TensorSpec(
            f"{name}.bias", (config.num_classes,), "zeros", 0, "head", "classifier.bias", ("label",)
        ),
    ]


Padding = Annotated[
    Literal["same", "symmetric"],
    Field(
        title=_("Padding"),
        description=_("TensorFlow's, with the odd pixel right and below, or PyTorch's."),
    ),
]


class PaddedConfig(ImageConfig):
    """An architecture that comes from TensorFlow, and has equal tensors in its PyTorch versions."""

    FUNCTION: ClassVar[tuple[str, ...]] = ("padding", "norm_epsilon")

    padding: Padding = "same"
    norm_epsilon: float = Field(
        1e-3,
        gt=0,
        lt=1,
        title=_("Batch-norm epsilon"),
        description=_("1e-3 where the weights come from TensorFlow, 1e-5 in PyTorch."),
    )
