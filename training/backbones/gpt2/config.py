"""GPT-2's configuration and its tensors, by name, without TensorFlow.

- Radford et al., 2019, "Language Models are Unsupervised Multitask Learners": pre-norm blocks,
  learned positions, tanh GELU, head tied to the token embedding; weights from N(0, 0.02), those
  that write into the residual stream from N(0, 0.02 / sqrt(2 · layers)).

Field and tensor names are Hugging Face's, so that a folder of ours opens in ``transformers``.
"""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from training.backbones.blocks import STD, Activation, both, dense, head, norm, table
from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.fields import Context, Heads, Layers, TiedHead, Vocabulary, Width
from training.errors import gettext_noop as _
from training.settings import field_error

EMBEDDING, HEAD = "transformer.wte.weight", "lm_head.weight"
FINAL_NORM = "transformer.ln_f"


class GPT2Config(BackboneConfig):
    """Shape of a GPT-2-style model; every field is honoured by the backbone."""

    TIED: ClassVar[dict[str, str]] = {HEAD: EMBEDDING}
    FUNCTION: ClassVar[tuple[str, ...]] = (
        "activation_function",
        "layer_norm_epsilon",
        "scale_attn_weights",
        "scale_attn_by_inverse_layer_idx",
    )

    architecture: Literal["gpt2"] = "gpt2"
    vocab_size: Vocabulary = 50_257
    n_positions: Context = 1024
    n_embd: Width = 768
    n_layer: Layers = 12
    n_head: Heads = 12
    n_inner: int | None = Field(
        None,
        ge=1,
        title=_("Inner width"),
        description=_("Size of the feed-forward layer; empty: four times the width."),
    )
    activation_function: Activation = Field(
        "gelu_new", title=_("Activation"), description=_("GPT-2's own is gelu_new, the tanh GELU.")
    )
    layer_norm_epsilon: float = Field(
        1e-5, gt=0, lt=1, title=_("Layer-norm epsilon"), description=_("GPT-2's own is 1e-5.")
    )
    tie_word_embeddings: TiedHead = True
    scale_attn_weights: bool = Field(
        True, title=_("Scale attention"), description=_("Divide by the square root of head size.")
    )
    scale_attn_by_inverse_layer_idx: bool = Field(
        False,
        title=_("Scale by layer"),
        description=_("Also divide the attention scores by the layer's number."),
    )

    @model_validator(mode="after")
    def _consistent(self) -> GPT2Config:
        if self.n_embd % self.n_head:
            raise field_error("heads_do_not_divide", "n_embd", heads=self.n_head)
        return self

    @property
    def inner(self) -> int:
        return self.n_inner or 4 * self.n_embd

    @property
    def layers(self) -> int:
        return self.n_layer

    @property
    def stream_width(self) -> int:
        return self.n_embd

    @property
    def context(self) -> int:
        return self.n_positions

    @property
    def layers_differ(self) -> bool:
        return self.scale_attn_by_inverse_layer_idx

    @property
    def identity_growth(self) -> bool:
        return True

    @property
    def attention_heads(self) -> int:
        return self.n_head

    @property
    def before_tied_head(self) -> tuple[str, ...]:
        return both(FINAL_NORM) if self.tie_word_embeddings else ()

    @property
    def vocabulary(self) -> int:
        return self.vocab_size

    def tensors(self) -> list[TensorSpec]:
        """Every tensor of the language model in a fixed order; a tied head has none of its own."""
        width, heads = ("width", self.n_embd), ("heads", self.n_embd)
        qkv, inner = ("qkv", 3 * self.n_embd), ("inner", self.inner)
        tokens, positions = ("vocabulary", self.vocab_size), ("position", self.n_positions)
        residual_std = STD / math.sqrt(2 * self.n_layer)
        matrix = partial(dense, inputs=0)
        found = [
            table(EMBEDDING, tokens, width, "embeddings", "token"),
            table("transformer.wpe.weight", positions, width, "embeddings", "position"),
        ]
        for layer in range(self.n_layer):
            name, block = f"transformer.h.{layer}", f"layer.{layer}"
            found += norm(f"{name}.ln_1", self.n_embd, block, "attention.norm")
            found += matrix(f"{name}.attn.c_attn", (width, qkv), block, "attention.qkv")
            found += matrix(
                f"{name}.attn.c_proj", (heads, width), block, "attention.output", std=residual_std
            )
            found += norm(f"{name}.ln_2", self.n_embd, block, "feed_forward.norm")
            found += matrix(f"{name}.mlp.c_fc", (width, inner), block, "feed_forward.in")
            found += matrix(
                f"{name}.mlp.c_proj", (inner, width), block, "feed_forward.out", std=residual_std
            )
        found += norm(FINAL_NORM, self.n_embd, "final_norm", "")
        if not self.tie_word_embeddings:
            found.append(head(HEAD, tokens, width))
        return found


#: The published four, and two that learn something on two cores in a minute or two.
PRESETS: dict[str, GPT2Config] = {
    "nano": GPT2Config(vocab_size=4096, n_positions=128, n_embd=128, n_layer=4, n_head=4),
    "micro": GPT2Config(vocab_size=8192, n_positions=256, n_embd=256, n_layer=6, n_head=8),
    "gpt2": GPT2Config(),
    "gpt2-medium": GPT2Config(n_embd=1024, n_layer=24, n_head=16),
    "gpt2-large": GPT2Config(n_embd=1280, n_layer=36, n_head=20),
    "gpt2-xl": GPT2Config(n_embd=1600, n_layer=48, n_head=25),
}
