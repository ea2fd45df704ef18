"""What both sides of the comparison with PyTorch agree on; imports neither PyTorch nor TensorFlow.

Our fixtures' weights follow from a seed, so that only PyTorch's answers need to be kept. They are
far larger than initial weights: with those, a wrong activation would pass within the tolerance.
"""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np

from training.backbones.contract import BackboneConfig
from training.backbones.gpt2.config import GPT2Config
from training.data.tokenizer import Tokenizer
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import generator

REFERENCE = Path(__file__).parent / "reference"
TOLERANCE = 1e-4

#: The tokenizer learns from these; also what both sides have to encode alike.
TEXTS = [
    "Call me Ishmael. Some years ago, never mind how long precisely.",
    "It wasn't the whale's fault: 1,851 pages,  two spaces\n\nand a new paragraph.",
    "Ünïcödé, naïve café, 春眠不觉晓，处处闻啼鸟。 🐋 whales",
    "def f(x):\n\treturn x**2  # tabs and code",
    "",
]

BATCH, TIME = 2, 16

#: name → configuration and stored type of a checkpoint that we write and PyTorch opens.
OURS: dict[str, tuple[GPT2Config, str]] = {
    "plain": (
        GPT2Config(vocab_size=288, n_positions=24, n_embd=24, n_layer=2, n_head=3),
        "float32",
    ),
    "variant": (
        GPT2Config(
            vocab_size=300,
            n_positions=24,
            n_embd=24,
            n_layer=2,
            n_head=2,
            n_inner=40,
            activation_function="gelu",
            layer_norm_epsilon=1e-2,
            tie_word_embeddings=False,
            scale_attn_by_inverse_layer_idx=True,
        ),
        "float32",
    ),
    "bfloat16": (
        GPT2Config(vocab_size=288, n_positions=24, n_embd=24, n_layer=1, n_head=3),
        "bfloat16",
    ),
}


def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS * 4, 288)


def weights(config: BackboneConfig, dtype: str, seed: int = 7) -> dict[str, np.ndarray]:
    """Large random weights, the layer norms' and biases among them."""
    kinds = {"float32": np.dtype("float32"), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
    found = {}
    for spec in config.tensors():
        values = 0.25 * generator(seed, spec.name).standard_normal(spec.shape, dtype=np.float32)
        if spec.init == "ones":
            values = 1 + values
        found[spec.name] = values.astype(kinds[dtype])
    return found


def write_ours(name: str, folder: Path) -> dict[str, object]:
    """Write one of our fixtures; returns its card."""
    config, dtype = OURS[name]
    return write_checkpoint(folder, config, weights(config, dtype), tokenizer(), {})


def tokens(vocabulary: int, seed: int = 3) -> np.ndarray:
    """Input ids [BATCH, TIME], int32."""
    return generator(seed, "tokens").integers(0, vocabulary, (BATCH, TIME), dtype=np.int32)
