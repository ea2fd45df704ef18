"""BERT's configuration, by Hugging Face's names; without TensorFlow.

- Devlin et al., 2019, "BERT: Pre-training of Deep Bidirectional Transformers", section 3.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from training.backbones.blocks import Activation, BlockNames, Blocks
from training.backbones.encoder.config import EncoderConfig, Head, Names
from training.backbones.fields import Heads, InnerWidth, Layers, Width
from training.errors import gettext_noop as _
from training.settings import field_error

#: Of a block's modules, in BERT and RoBERTa.
BLOCK_NAMES = BlockNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    feed_in="intermediate.dense",
    feed_out="output.dense",
    feed_norm="output.LayerNorm",
)


class BertSizes(EncoderConfig):
    """The fields that BERT and RoBERTa share."""

    WIDTH: ClassVar[str] = "hidden_size"
    FUNCTION: ClassVar[tuple[str, ...]] = ("hidden_act", "layer_norm_eps")

    hidden_size: Width = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Heads = 12
    intermediate_size: InnerWidth = 3072
    hidden_act: Activation = Field(
        "gelu", title=_("Activation"), description=_("BERT's own is gelu, the exact GELU.")
    )
    layer_norm_eps: float = Field(
        1e-12, gt=0, lt=1, title=_("Layer-norm epsilon"), description=_("BERT's own is 1e-12.")
    )
    type_vocab_size: int = Field(
        2,
        ge=1,
        le=1024,
        title=_("Token types"),
        description=_("Two tell the first sentence from the second."),
    )
    pooler: bool | None = Field(
        None,
        title=_("Pooler"),
        description=_(
            "A layer over the first token's state; empty: there is one unless the head needs none."
        ),
    )

    @model_validator(mode="after")
    def _pooler_fits(self) -> BertSizes:
        if self.pooler is False and self._reads_pooler:
            raise field_error("pooler_needed", "pooler", head=self.head)
        return self

    @property
    def blocks(self) -> Blocks:
        return Blocks(
            prefix=f"{self.names.prefix}.encoder.layer",
            names=BLOCK_NAMES,
            count=self.num_hidden_layers,
            width=self.hidden_size,
            inner=self.intermediate_size,
            heads=self.num_attention_heads,
            activation=self.hidden_act,
            epsilon=self.layer_norm_eps,
        )

    @property
    def types(self) -> int:
        return self.type_vocab_size

    @property
    def pooled(self) -> bool:
        if self.pooler is None:
            return self.head == "none" or self._reads_pooler
        return self.pooler

    @property
    def _reads_pooler(self) -> bool:
        labels = self.head == "classification" and self.names.first == self.names.pooler
        return labels or self.head == "pretraining"


class BertConfig(BertSizes):
    """Shape of a BERT; every field is honoured by the backbone."""

    HEADS: ClassVar[tuple[Head, ...]] = (
        "none",
        "masked_lm",
        "pretraining",
        "classification",
        "token_classification",
    )
    TIED: ClassVar[dict[str, str]] = {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    architecture: Literal["bert"] = "bert"

    @property
    def names(self) -> Names:
        return Names(
            prefix="bert",
            transform="cls.predictions.transform.dense",
            transform_norm="cls.predictions.transform.LayerNorm",
            token_bias="cls.predictions.bias",
            transform_activation=self.hidden_act,
            first="bert.pooler.dense",
            first_activation="tanh",
            labels="classifier",
            pooler="bert.pooler.dense",
            next_sentence="cls.seq_relationship",
        )


#: The published two, MiniLM's six-layer sentence encoder, and one for trying things out.
PRESETS: dict[str, BertConfig] = {
    "nano": BertConfig(
        vocab_size=4096,
        max_position_embeddings=128,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
    ),
    "minilm-l6": BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536),
    "bert-base": BertConfig(),
    "bert-large": BertConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    ),
}
