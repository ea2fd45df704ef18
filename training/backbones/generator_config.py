"""What the models that make images share: their fields, and the tensors they are made of. Light.

An image is made from the inside: a small map, the first of ``maps``, is doubled until it is as
large as the image, and each doubling halves the channels. What looks at images goes the same way
back. Kernels are [out, in, height, width], matrices [out, in].
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

from pydantic import Field, field_validator

from training.backbones.contract import BackboneConfig, TensorSpec
from training.errors import gettext_noop as _
from training.settings import field_error

#: Sides of the images that are made: below, there is little to see; above, minutes become days.
LEAST_PX, MOST_PX, PX_STEP = 28, 64, 4
#: Pictures of sounds may be so wide: a column is a moment.
MOST_WIDTH_PX = 256
#: The smallest map is at least so large.
LEAST_SIDE = 7
#: Most classes: each is sampled, shown and measured.
MOST_CLASSES: Final = 100


class GeneratorConfig(BackboneConfig):
    """Shape of a model that makes an image of a class from numbers drawn at random."""

    FUNCTION: ClassVar[tuple[str, ...]] = ("image_px", "width_px")

    image_px: int = Field(
        28,
        ge=LEAST_PX,
        le=MOST_PX,
        title=_("Image size (pixels)"),
        description=_(
            "Side of the square images, a multiple of 4. Others are scaled to this shorter side, "
            "and their middle square is learned."
        ),
    )
    width_px: int | None = Field(
        None,
        ge=LEAST_PX,
        le=MOST_WIDTH_PX,
        title=_("Image width (pixels)"),
        description=_(
            "Empty: images are square. The picture of a sound has its size in bands as its height "
            "and a column for each moment; both follow from the data."
        ),
    )
    in_channels: int = Field(
        1, ge=1, le=3, title=_("Channels"), description=_("Of the images: 1 for grey, 3 for RGB.")
    )
    num_classes: int = Field(
        10,
        ge=1,
        le=MOST_CLASSES,
        title=_("Classes"),
        description=_("Of which images can be made."),
    )
    latent: int = Field(
        32,
        ge=1,
        le=512,
        title=_("Latent width"),
        description=_("Random numbers that an image is made from."),
    )
    width: int = Field(
        32,
        ge=4,
        le=256,
        title=_("Width"),
        description=_("Channels at the images' own size; twice as many at each half of it."),
    )
    embedding: int = Field(
        32,
        ge=1,
        le=512,
        title=_("Width of class embeddings"),
        description=_("Numbers that stand for a class."),
    )

    @field_validator("image_px", "width_px")
    @classmethod
    def _steps(cls, px: int | None) -> int | None:
        if px is not None and px % PX_STEP:
            raise field_error("image_px_step", "", step=PX_STEP)
        return px

    @field_validator("in_channels")
    @classmethod
    def _grey_or_colour(cls, channels: int) -> int:
        if channels == 2:
            raise field_error("grey_or_colour", "")
        return channels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.image_px, self.width_px or self.image_px

    @property
    def maps(self) -> list[tuple[int, int]]:
        """Height and width of the maps, from the smallest to the image's own."""
        found = [self.size]
        while all(side % 2 == 0 and side // 2 >= LEAST_SIDE for side in found[0]):
            height, width = found[0]
            found.insert(0, (height // 2, width // 2))
        return found

    @property
    def inner(self) -> int:
        """Pixels of the smallest map."""
        height, width = self.maps[0]
        return height * width

    @property
    def channels(self) -> list[int]:
        """Of the maps, in the same order."""
        return [self.width << step for step in reversed(range(len(self.maps)))]

    @property
    def layers(self) -> int:
        return len(self.maps)


def class_table(name: str, classes: int, width: int, std: float = 1.0) -> TensorSpec:
    """A row for each class, [classes, width]; rows beyond a source's stand behind them."""
    axes = ("vocabulary", "class")
    return TensorSpec(name, (classes, width), "normal", std, "classes", axes=axes)


def dense(name: str, block: str, outputs: int, inputs: int, gain: float = 2.0) -> list[TensorSpec]:
    """A matrix [outputs, inputs], normal with variance ``gain`` / inputs, and a bias of zeros."""
    std = math.sqrt(gain / inputs)
    return [
        TensorSpec(f"{name}.weight", (outputs, inputs), "normal", std, block, inputs=(1,)),
        TensorSpec(f"{name}.bias", (outputs,), "zeros", 0, block),
    ]


def kernel(
    name: str, block: str, outputs: int, inputs: int, size: int, gain: float = 2.0
) -> list[TensorSpec]:
    """A kernel [outputs, inputs, size, size], normal with variance ``gain`` / fan-in, and a
    bias."""
    shape = (outputs, inputs, size, size)
    std = math.sqrt(gain / math.prod(shape[1:]))
    return [
        TensorSpec(f"{name}.weight", shape, "normal", std, block, inputs=(1, 2, 3)),
        TensorSpec(f"{name}.bias", (outputs,), "zeros", 0, block),
    ]
