"""Shape of a conditional generative adversarial network [0] with a projection discriminator [1].

    G(z, y) = image        D(x, y) = ⟨e_y, φ(x)⟩ + ψ(φ(x))

The class reaches the generator through every norm, whose scale and shift follow from it and from z
(as in [2]); the discriminator by an inner product with what it sees, and not as planes of pixels.

- [0] Mirza and Osindero, 2014, https://arxiv.org/abs/1411.1784
- [1] Miyato and Koyama, 2018, "cGANs with Projection Discriminator",
  https://arxiv.org/abs/1802.05637
- [2] Brock et al., 2019 (BigGAN), https://arxiv.org/abs/1809.11096, appendix B
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.backbones.contract import TensorSpec
from training.backbones.generator_config import GeneratorConfig, class_table, dense, kernel
from training.errors import gettext_noop as _

#: Parts of a model, and the running average of the first: the first words of their names.
GENERATOR, DISCRIMINATOR, AVERAGE = "generator", "discriminator", "average"
#: Ends the name of a matrix's left singular vector, of the largest value, as far as it is known.
VECTOR = ".u"


class ConditionalGANConfig(GeneratorConfig):
    """Generator and discriminator."""

    architecture: Literal["conditional_gan"] = "conditional_gan"
    latent: int = Field(
        64,
        ge=1,
        le=512,
        title=_("Latent width"),
        description=_("Random numbers that an image is made from."),
    )
    width: int = Field(
        16,
        ge=4,
        le=256,
        title=_("Width"),
        description=_("Channels at the images' own size; twice as many at each half of it."),
    )
    discriminator_width: int = Field(
        32,
        ge=4,
        le=256,
        title=_("Width of the discriminator"),
        description=_("Channels after its first halving; twice as many after each further one."),
    )
    spectral_norm: bool = Field(
        False,
        title=_("Spectral normalisation"),
        description=_(
            "Every matrix of the discriminator is divided by its largest singular value, so that "
            "its scores cannot become steep."
        ),
    )

    @property
    def seen(self) -> list[int]:
        """Channels of the discriminator's maps, from the largest to the smallest, and once more."""
        count = len(self.maps)
        return [self.discriminator_width << step for step in range(count)]

    @property
    def pooled(self) -> int:
        """Numbers that the discriminator makes of an image: φ(x)."""
        return self.seen[-1]

    def tensors(self) -> list[TensorSpec]:
        return [*self.generator(), *self.discriminator()]

    def generator(self) -> list[TensorSpec]:
        """Those of the generator."""
        inner = self.inner * self.channels[0]
        found = [class_table("generator.class.weight", self.num_classes, self.embedding)]
        found += dense("generator.inner", "generator", inner, self.latent + self.embedding)
        widths = self.channels
        for step, channels in enumerate(widths):
            block = f"generator.{step}"
            # Scales of one and shifts of zero, nearly, to begin with.
            condition = self.latent + self.embedding
            found += dense(f"generator.norm.{step}", block, 2 * channels, condition, 0.1)
            if step < len(widths) - 1:
                after = 4 * widths[step + 1]
                found += kernel(f"generator.up.{step}", block, after, channels, 3)
        found += kernel("generator.image", "generator.image", self.in_channels, widths[-1], 3, 1)
        return found

    def discriminator(self) -> list[TensorSpec]:
        """Those of the discriminator, with the vectors of its spectral norms."""
        found, before = [], self.in_channels
        for step, channels in enumerate(self.seen):
            size = 3 if step == len(self.seen) - 1 else 4
            block = f"discriminator.{step}"
            found += kernel(f"discriminator.down.{step}", block, channels, before, size)
            before = channels
        found += dense("discriminator.score", "discriminator.score", 1, self.pooled, 1.0)
        std = self.pooled**-0.5
        found.append(class_table("discriminator.class.weight", self.num_classes, self.pooled, std))
        if self.spectral_norm:
            # A class's row of its own would be a vector that no other class's has.
            found += [
                TensorSpec(
                    f"{one.name}{VECTOR}",
                    one.shape[:1],
                    "normal",
                    1,
                    one.block,
                    axes=one.axes[:1],
                    trained=False,
                )
                for one in found
                if len(one.shape) > 1
            ]
        return found


PRESETS: dict[str, ConditionalGANConfig] = {
    "nano": ConditionalGANConfig(width=8, latent=16, embedding=16, discriminator_width=8),
    "small": ConditionalGANConfig(),
}
