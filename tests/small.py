"""A model and a tokenizer that are made in no time, for tests of the engine."""

from __future__ import annotations

from training.backbones.gpt2.config import GPT2Config
from training.data.tokenizer import Tokenizer

#: The model has a few rows more than there are tokens.
TOKENIZER = Tokenizer.train(["so it goes, and so it went"] * 3, 270)
SMALL = GPT2Config(vocab_size=272, n_positions=16, n_embd=16, n_layer=2, n_head=2)
