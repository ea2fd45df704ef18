"""Small networks on top of a backbone: projectors and predictors, layer by layer. Light."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from training.backbones.contract import TensorSpec
from training.backbones.image_config import batch_norm


@dataclass(frozen=True)
class Layer:
    """A linear layer and what follows it.

    Attributes:
        width: Of what comes out.
        norm: A batch norm after it: ``affine`` with scale and shift, ``plain`` without.
        relu: Whether negative values are cut off at the end.
    """

    width: int
    norm: Literal["none", "affine", "plain"] = "none"
    relu: bool = False

    @property
    def bias(self) -> bool:
        """A batch norm would take a bias away again."""
        return self.norm == "none"


def mlp_tensors(name: str, inputs: int, layers: Sequence[Layer]) -> list[TensorSpec]:
    """The tensors of an MLP: ``NAME.0.weight`` [out, in], ``NAME.0.bias``, ``NAME.0.norm.…``.

    Args:
        name: Of the MLP.
        inputs: Width that comes in.
        layers: In order.
    """
    found = []
    for number, layer in enumerate(layers):
        part = f"{name}.{number}"
        # He's for what is cut off at zero, else one that keeps the variance.
        std = math.sqrt((2 if layer.relu else 1) / inputs)
        shape = (layer.width, inputs)
        found.append(TensorSpec(f"{part}.weight", shape, "normal", std, name, inputs=(1,)))
        if layer.bias:
            found.append(TensorSpec(f"{part}.bias", (layer.width,), "zeros", 0, name))
        if layer.norm != "none":
            found += _norm(f"{part}.norm", name, layer)
        inputs = layer.width
    return found


def _norm(name: str, block: str, layer: Layer) -> Iterable[TensorSpec]:
    for spec in batch_norm(name, block, layer.width):
        if layer.norm == "affine" or not spec.trained:
            yield spec
