"""A model and a tokenizer that are made in no time, for tests of the engine."""

from __future__ import annotations

import numpy as np

from training.backbones.contract import BackboneConfig
from training.backbones.gpt2.config import GPT2Config
from training.data.tokenizer import Tokenizer

#: The model has a few rows more than there are tokens.
TOKENIZER = Tokenizer.train(["so it goes, and so it went"] * 3, 270)
SMALL = GPT2Config(vocab_size=272, n_positions=16, n_embd=16, n_layer=2, n_head=2)


def loud(config: BackboneConfig) -> dict[str, np.ndarray]:
    """Weights so large that a wrong network cannot agree by chance."""
    random = np.random.default_rng(5)
    return {
        spec.name: random.standard_normal(spec.shape).astype(np.float32) * 0.4
        for spec in config.tensors()
    }
