"""What goes into an exported network and what comes out, and the values it is proved on."""

from __future__ import annotations

from collections.abc import Collection
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
class Input:
    """One input of a network.

    Attributes:
        name: ``tokens``, ``attention_mask``, ``token_types`` or ``pixels``.
        dtype: ``int32`` or ``float32``.
        shape: None where any size is taken.
        axes: What each axis counts.
        fixed: A shape without None, for runtimes that need one.
        below: Whole numbers from 0 to below this; None: any number.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    axes: tuple[str, ...]
    fixed: tuple[int, ...]
    below: int | None = None

    def probe(self, fixed: bool, random: np.random.Generator) -> np.ndarray:
        """Values; where sizes are free two examples, to see that they do not mix."""
        shape = self.fixed if fixed else (2, *self.fixed[1:])
        if self.name == "attention_mask":
            mask = np.ones(shape, np.int32)
            mask[-1, -(shape[1] // 4) :] = 0  # the last example is padded
            return mask
        if self.below is not None:
            return random.integers(0, self.below, shape).astype(np.int32)
        return random.standard_normal(shape).astype(np.float32)


def probe(inputs: tuple[Input, ...], *, fixed: bool) -> dict[str, np.ndarray]:
    """Values for every input by name, the same each time."""
    random = np.random.default_rng(PROBE_SEED)
    return {one.name: one.probe(fixed, random) for one in inputs}


def inputs_of(config: BackboneConfig, arguments: Collection[str]) -> tuple[Input, ...]:
    """The inputs of an architecture's model, by what it reads.

    Args:
        config: The model.
        arguments: Names of the arguments of its ``call``: which of the further inputs it takes.
    """
    if BACKBONES[config.architecture].kind == "text":
        length = min(PROBE_TOKENS, config.context or PROBE_TOKENS)
        below = {"tokens": config.vocabulary}
        if "attention_mask" in arguments:
            below["attention_mask"] = 2
        types: int = getattr(config, "types", 0)
        if "token_types" in arguments and types > 1:
            below["token_types"] = types
        axes = ("batch", "time")
        return tuple(
            Input(name, "int32", (None, None), axes, (1, length), values)
            for name, values in below.items()
        )
    size: int | None = getattr(config, "image_size", None)
    channels: int = getattr(config, "in_channels", 3)
    return (
        Input(
            "pixels",
            "float32",
            (None, size, size, channels),
            ("batch", "height", "width", "channels"),
            (1, size or IMAGE_SIZE, size or IMAGE_SIZE, channels),
        ),
    )
