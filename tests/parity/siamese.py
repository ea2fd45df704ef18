"""What both sides of the comparison of methods on two views agree on; imports neither framework.

Inputs follow from the case's numbers; weights of MLPs from a layer's name and shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.weights.initial import generator

REFERENCE = Path(__file__).parent / "reference" / "siamese.safetensors"


@dataclass(frozen=True)
class Case:
    """A batch of pairs, and a queue of a multiple of it."""

    rows: int
    width: int
    temperature: float
    queue: int

    @property
    def name(self) -> str:
        return f"{self.rows}x{self.width}-{self.temperature}"

    def vectors(self) -> list[np.ndarray]:
        """Four batches of vectors of different lengths, float32."""
        random = generator(0, f"siamese:{self.name}")
        shape = (self.rows, self.width)
        return [
            (random.normal(size=shape) * random.uniform(0.1, 5, (self.rows, 1))).astype(np.float32)
            for _ in range(4)
        ]

    def keys(self) -> np.ndarray:
        """A queue of unit vectors, float32."""
        found = generator(1, f"siamese:{self.name}").normal(size=(self.queue, self.width))
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


CASES = (Case(2, 8, 0.5, 4), Case(5, 16, 0.07, 15), Case(8, 32, 0.2, 16), Case(16, 12, 1.0, 64))

#: Our MLP → its method and its name there; lightly's SimCLR ends in a batch norm, as the TensorFlow
#: code of the paper's authors does and its formula does not, and so is not compared.
HEADS = {
    "BYOLProjectionHead": ("byol", "projector"),
    "BYOLPredictionHead": ("byol", "predictor"),
    "SimSiamProjectionHead": ("simsiam", "projector"),
    "SimSiamPredictionHead": ("simsiam", "predictor"),
    "MoCoProjectionHead": ("moco", "projector"),
}
#: Of every head: what comes in, what is between, what comes out.
INPUTS, HIDDEN, OUTPUTS, BOTTLENECK, ROWS = 20, 24, 16, 8, 7


def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a head, float32; scales and shifts of norms are not ones and zeros."""
    return generator(2, f"siamese:{name}").normal(0.3, 0.6, shape).astype(np.float32)


def features(head: str, width: int) -> np.ndarray:
    """What comes into a head, float32 [rows, width]."""
    return values(f"{head}.features", (ROWS, width))
