"""OPT's configuration, by Hugging Face's names; without TensorFlow.

- Zhang et al., 2022, "OPT: Open Pre-trained Transformer Language Models": GPT-3's sizes with open
  weights. Dense attention in every layer, ReLU, a head tied to the token embedding.

Details people get wrong: position p has row p + 2 of its table; the 350M model alone normalises
after each sum, and has token embeddings narrower than the model.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from training.backbones.blocks import Activation, BlockNames, Blocks, both, dense, head, norm, table
from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.fields import (
    Context,
    Heads,
    InnerWidth,
    Layers,
    TiedHead,
    Vocabulary,
    Width,
)
from training.errors import gettext_noop as _
from training.settings import field_error

PREFIX = "model.decoder"
EMBEDDING, HEAD = f"{PREFIX}.embed_tokens.weight", "lm_head.weight"
POSITIONS, FINAL_NORM = f"{PREFIX}.embed_positions.weight", f"{PREFIX}.final_layer_norm"
PROJECT_IN, PROJECT_OUT = f"{PREFIX}.project_in", f"{PREFIX}.project_out"


class OPTConfig(BackboneConfig):
    """Shape of an OPT; every field is honoured by the backbone."""

    TIED: ClassVar[dict[str, str]] = {HEAD: EMBEDDING}
    FUNCTION: ClassVar[tuple[str, ...]] = ("activation_function", "do_layer_norm_before")

    architecture: Literal["opt"] = "opt"
    vocab_size: Vocabulary = 50_272
    max_position_embeddings: Context = 2048
    hidden_size: Width = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Heads = 12
    ffn_dim: InnerWidth = 3072
    word_embed_proj_dim: int | None = Field(
        None,
        ge=1,
        le=16_384,
        title=_("Embedding width"),
        description=_("Size of the token embedding; empty: the model's width."),
    )
    activation_function: Activation = Field(
        "relu", title=_("Activation"), description=_("OPT's own is relu.")
    )
    do_layer_norm_before: bool = Field(
        True,
        title=_("Layer norm first"),
        description=_("Before each half block and at the end, or after each sum."),
    )
    layer_norm_elementwise_affine: bool = Field(
        True, title=_("Affine layer norms"), description=_("They have scale and bias.")
    )
    enable_bias: bool = Field(
        True, title=_("Biases"), description=_("The blocks' matrices have biases.")
    )
    tie_word_embeddings: TiedHead = True

    @model_validator(mode="after")
    def _consistent(self) -> OPTConfig:
        if self.hidden_size % self.num_attention_heads:
            raise field_error("heads_do_not_divide", "hidden_size", heads=self.num_attention_heads)
        return self

    @property
    def embedding(self) -> int:
        """Width of the token embedding."""
        return self.word_embed_proj_dim or self.hidden_size

    @property
    def projected(self) -> bool:
        """Whether token embeddings are projected to the model's width, and back before the head."""
        return self.embedding != self.hidden_size

    @property
    def layers(self) -> int:
        return self.num_hidden_layers

    @property
    def stream_width(self) -> int:
        return self.hidden_size

    @property
    def context(self) -> int:
        return self.max_position_embeddings

    @property
    def position_offset(self) -> int:
        return 2

    @property
    def identity_growth(self) -> bool:
        return self.do_layer_norm_before

    @property
    def attention_heads(self) -> int:
        return self.num_attention_heads

    @property
    def before_tied_head(self) -> tuple[str, ...] | None:
        if self.projected or not self.tie_word_embeddings:
            return ()
        if not self.layer_norm_elementwise_affine:
            return None
        if self.do_layer_norm_before:
            return both(FINAL_NORM)
        blocks = self.blocks
        return both(blocks.module(blocks.count - 1, blocks.names.feed_norm))

    @property
    def vocabulary(self) -> int:
        return self.vocab_size

    @property
    def blocks(self) -> Blocks:
        """The stack."""
        return Blocks(
            prefix=f"{PREFIX}.layers",
            names=BlockNames(
                query="self_attn.q_proj",
                key="self_attn.k_proj",
                value="self_attn.v_proj",
                output="self_attn.out_proj",
                attention_norm="self_attn_layer_norm",
                feed_in="fc1",
                feed_out="fc2",
                feed_norm="final_layer_norm",
            ),
            count=self.num_hidden_layers,
            width=self.hidden_size,
            inner=self.ffn_dim,
            heads=self.num_attention_heads,
            activation=self.activation_function,
            # Its home fixes it; no field says so.
            epsilon=1e-5,
            norm_first=self.do_layer_norm_before,
            bias=self.enable_bias,
            affine=self.layer_norm_elementwise_affine,
        )

    def tensors(self) -> list[TensorSpec]:
        """Every tensor of the language model in a fixed order; a tied head has none of its own."""
        width, tokens = ("width", self.hidden_size), ("vocabulary", self.vocab_size)
        positions = ("position", self.max_position_embeddings + self.position_offset)
        narrow = ("embedding", self.embedding) if self.projected else width
        found = [
            table(EMBEDDING, tokens, narrow, "embeddings", "token"),
            table(POSITIONS, positions, width, "embeddings", "position"),
        ]
        if self.projected:
            found += dense(PROJECT_IN, (width, narrow), "embeddings", "project", bias=False)
        found += self.blocks.tensors()
        if self.do_layer_norm_before and self.layer_norm_elementwise_affine:
            found += norm(FINAL_NORM, self.hidden_size, "final_norm", "")
        if self.projected:
            found += dense(PROJECT_OUT, (narrow, width), "head", "project", bias=False)
        if not self.tie_word_embeddings:
            found.append(head(HEAD, tokens, narrow))
        return found


def _size(layers: int, width: int, heads: int) -> OPTConfig:
    return OPTConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        ffn_dim=4 * width,
    )


#: The published ones, and one for trying things out.
PRESETS: dict[str, OPTConfig] = {
    "nano": OPTConfig(
        vocab_size=4096,
        max_position_embeddings=128,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        ffn_dim=512,
    ),
    "opt-125m": OPTConfig(),
    "opt-350m": OPTConfig(
        num_hidden_layers=24,
        hidden_size=1024,
        num_attention_heads=16,
        ffn_dim=4096,
        word_embed_proj_dim=512,
        do_layer_norm_before=False,
    ),
    "opt-1.3b": _size(24, 2048, 32),
    "opt-2.7b": _size(32, 2560, 32),
    "opt-6.7b": _size(32, 4096, 32),
    "opt-13b": _size(40, 5120, 40),
    "opt-30b": _size(48, 7168, 56),
    "opt-66b": _size(64, 9216, 72),
}
