"""DistilBERT's configuration, by Hugging Face's names; without TensorFlow.

- Sanh et al., 2019, "DistilBERT, a distilled version of BERT": every other of BERT's blocks, no
  token types and no pooler.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from training.backbones.blocks import Activation, BlockNames, Blocks
from training.backbones.encoder.config import EncoderConfig, Names
from training.backbones.fields import Heads, InnerWidth, Layers, Width
from training.errors import gettext_noop as _


class DistilBertConfig(EncoderConfig):
    """Shape of a DistilBERT; every field is honoured by the backbone."""

    WIDTH: ClassVar[str] = "dim"
    TIED: ClassVar[dict[str, str]] = {
        "vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"
    }
    FUNCTION: ClassVar[tuple[str, ...]] = ("activation",)

    architecture: Literal["distilbert"] = "distilbert"
    dim: Width = 768
    n_layers: Layers = 6
    n_heads: Heads = 12
    hidden_dim: InnerWidth = 3072
    activation: Activation = Field(
        "gelu", title=_("Activation"), description=_("DistilBERT's own is gelu, the exact GELU.")
    )

    @property
    def blocks(self) -> Blocks:
        return Blocks(
            prefix="distilbert.transformer.layer",
            names=BlockNames(
                query="attention.q_lin",
                key="attention.k_lin",
                value="attention.v_lin",
                output="attention.out_lin",
                attention_norm="sa_layer_norm",
                feed_in="ffn.lin1",
                feed_out="ffn.lin2",
                feed_norm="output_layer_norm",
            ),
            count=self.n_layers,
            width=self.dim,
            inner=self.hidden_dim,
            heads=self.n_heads,
            activation=self.activation,
            # Its home fixes it; no field says so.
            epsilon=1e-12,
        )

    @property
    def names(self) -> Names:
        return Names(
            prefix="distilbert",
            transform="vocab_transform",
            transform_norm="vocab_layer_norm",
            token_bias="vocab_projector.bias",
            transform_activation=self.activation,
            first="pre_classifier",
            first_activation="relu",
            labels="classifier",
        )


#: The published one, and one for trying things out.
PRESETS: dict[str, DistilBertConfig] = {
    "nano": DistilBertConfig(
        vocab_size=4096,
        max_position_embeddings=128,
        dim=128,
        n_layers=2,
        n_heads=4,
        hidden_dim=512,
    ),
    "distilbert-base": DistilBertConfig(),
}
