"""Initial weights, made in NumPy, tensor by tensor, from the seed and the tensor's name alone.

A scratch twin, a transfer and a copy made without TensorFlow therefore agree bit for bit on every
tensor that they do not take from a source, whatever else the model holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial

import numpy as np

from training.backbones.contract import BackboneConfig, TensorSpec
from training.weights.tensors import LazyTensors


def generator(seed: int, name: str) -> np.random.Generator:
    """Philox generator keyed by SHA-256 of the seed and a name."""
    digest = hashlib.sha256(f"graft:{seed}:{name}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key))


def initial_tensor(spec: TensorSpec, seed: int) -> np.ndarray:
    """One tensor's starting values, float32.

    Args:
        spec: Name, shape and distribution.
        seed: The run's seed.
    """
    if spec.init == "zeros":
        return np.zeros(spec.shape, np.float32)
    if spec.init == "ones":
        return np.ones(spec.shape, np.float32)
    values = generator(seed, spec.name).standard_normal(spec.shape, dtype=np.float32)
    values *= np.float32(spec.std)
    return values


def initial_tensors(specs: Iterable[TensorSpec], seed: int) -> dict[str, np.ndarray]:
    """Every tensor by name; :func:`initial_weights` where they should not be in memory together."""
    return {spec.name: initial_tensor(spec, seed) for spec in specs}


def initial_weights(config: BackboneConfig, seed: int) -> LazyTensors:
    """The random starting values of every tensor, each made when looked up."""
    specs = config.tensors()
    return LazyTensors(
        {spec.name: partial(initial_tensor, spec, seed) for spec in specs},
        {spec.name: (np.dtype(np.float32), spec.shape) for spec in specs},
    )
