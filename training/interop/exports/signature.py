"""What goes into an exported network and what comes out, and the values it is proved on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES

#: Height and width of an image where the configuration sets none.
IMAGE_SIZE = 224
#: Most tokens of a probe, and what a fixed shape holds: the whole context of a large model would
#: cost a minute and prove no more.
PROBE_TOKENS = 128
PROBE_SEED = 0
OUTPUT = "logits"


@dataclass(frozen=True)
class Signature:
    """The one input of a network; its one output is :data:`OUTPUT`, float32.

    Attributes:
        name: ``tokens`` or ``pixels``.
        dtype: ``int32`` or ``float32``.
        shape: None where any size is taken: [batch, time], or [batch, height, width, channels].
        axes: What each axis counts.
        fixed: A shape without None, for runtimes that need one.
        vocabulary: Token ids are below it; None for images.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    axes: tuple[str, ...]
    fixed: tuple[int, ...]
    vocabulary: int | None = None

    def flexible(self) -> tuple[int, ...]:
        """The shape of a probe where sizes are free: two examples, to see that they do not mix."""
        return (2, *self.fixed[1:])

    def probe(self, shape: tuple[int, ...]) -> np.ndarray:
        """Values for a shape, the same each time."""
        random = np.random.default_rng(PROBE_SEED)
        if self.vocabulary is not None:
            return random.integers(0, self.vocabulary, shape).astype(np.int32)
        return random.standard_normal(shape).astype(np.float32)


def signature_of(config: BackboneConfig) -> Signature:
    """The input of an architecture's model, by what it reads."""
    if BACKBONES[config.architecture].kind == "text":
        length = min(PROBE_TOKENS, config.context or PROBE_TOKENS)
        return Signature(
            "tokens", "int32", (None, None), ("batch", "time"), (1, length), config.vocabulary
        )
    size: int | None = getattr(config, "image_size", None)
    channels: int = getattr(config, "in_channels", 3)
    return Signature(
        "pixels",
        "float32",
        (None, size, size, channels),
        ("batch", "height", "width", "channels"),
        (1, size or IMAGE_SIZE, size or IMAGE_SIZE, channels),
    )
