"""Shape of a conditional variational autoencoder [0] of images.

    q(z | x, y) = N(μ(x, y), diag σ²(x, y))        the encoder
    p(x | z, y)                                    the decoder; z ~ N(0, I), whatever the class

- [0] Sohn, Lee and Yan, 2015, "Learning Structured Output Representation using Deep Conditional
  Generative Models", https://papers.nips.cc/paper/5775
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.backbones.contract import TensorSpec
from training.backbones.generator_config import GeneratorConfig, class_table, dense, kernel
from training.errors import gettext_noop as _

Likelihood = Literal["bernoulli", "gaussian"]


class ConditionalVAEConfig(GeneratorConfig):
    """Encoder and decoder."""

    architecture: Literal["conditional_vae"] = "conditional_vae"
    width: int = Field(
        16,
        ge=4,
        le=256,
        title=_("Width"),
        description=_("Channels at the images' own size; twice as many at each half of it."),
    )
    hidden: int = Field(
        256,
        ge=8,
        le=4096,
        title=_("Hidden width"),
        description=_("Of the layer between the maps and the latent numbers, on both sides."),
    )
    likelihood: Likelihood = Field(
        "bernoulli",
        title=_("Likelihood of a pixel"),
        description=_(
            "Bernoulli: each value in 0..1 is a probability of ink, for drawings and digits. "
            "Gaussian: with one deviation for all pixels, which is learned, for photographs."
        ),
    )

    @property
    def flat(self) -> int:
        """Numbers of the smallest map."""
        return self.inner * self.channels[0]

    def tensors(self) -> list[TensorSpec]:
        return [*self._encoder(), *self._decoder()]

    def _encoder(self) -> list[TensorSpec]:
        found = [class_table("encoder.class.weight", self.num_classes, self.embedding)]
        before = self.in_channels
        for step, channels in enumerate(reversed(self.channels[:-1])):
            found += kernel(f"encoder.down.{step}", f"encoder.{step}", channels, before, 4)
            before = channels
        found += dense("encoder.hidden", "encoder", self.hidden, self.flat + self.embedding)
        found += dense("encoder.mean", "encoder", self.latent, self.hidden, 1.0)
        # Near the prior at first: a deviation of about one.
        return found + dense("encoder.log_variance", "encoder", self.latent, self.hidden, 0.01)

    def _decoder(self) -> list[TensorSpec]:
        found = [class_table("decoder.class.weight", self.num_classes, self.embedding)]
        found += dense("decoder.hidden", "decoder", self.hidden, self.latent + self.embedding)
        found += dense("decoder.inner", "decoder", self.flat, self.hidden)
        for step, (before, after) in enumerate(
            zip(self.channels[:-1], self.channels[1:], strict=True)
        ):
            found += kernel(f"decoder.up.{step}", f"decoder.{step}", 4 * after, before, 3)
        found += kernel("decoder.image", "decoder.image", self.in_channels, self.channels[-1], 3, 1)
        if self.likelihood == "gaussian":
            found.append(TensorSpec("decoder.log_deviation", (1,), "zeros", 0, "decoder.image"))
        return found


PRESETS: dict[str, ConditionalVAEConfig] = {
    "nano": ConditionalVAEConfig(width=8, hidden=64, latent=16, embedding=16),
    "small": ConditionalVAEConfig(),
}
