"""RoBERTa's configuration, by Hugging Face's names; without TensorFlow.

- Liu et al., 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach": BERT's network with
  GPT-2's tokens, one token type and no next-sentence task.

Details people get wrong: positions count from the padding token's id + 1, and only real tokens are
counted; the masked LM's GELU is the exact one whatever the blocks use; labels are read off a layer
of the head's own, and there is no pooler beside it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from training.backbones.bert.config import BertSizes
from training.backbones.encoder.config import Names
from training.backbones.fields import Vocabulary
from training.errors import gettext_noop as _
from training.settings import field_error


class RobertaConfig(BertSizes):
    """Shape of a RoBERTa; every field is honoured by the backbone."""

    TIED: ClassVar[dict[str, str]] = {
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    }
    FUNCTION: ClassVar[tuple[str, ...]] = (*BertSizes.FUNCTION, "pad_token_id")

    architecture: Literal["roberta"] = "roberta"
    vocab_size: Vocabulary = 50_265
    pad_token_id: int = Field(
        1,
        ge=0,
        le=1_000_000,
        title=_("Padding token"),
        description=_("Its id; positions count from the one after it, over the other tokens."),
    )

    @model_validator(mode="after")
    def _padding_fits(self) -> RobertaConfig:
        if self.pad_token_id >= min(self.vocab_size, self.max_position_embeddings - 1):
            raise field_error("padding_outside", "pad_token_id")
        return self

    @property
    def position_offset(self) -> int:
        return self.pad_token_id + 1

    @property
    def names(self) -> Names:
        return Names(
            prefix="roberta",
            transform="lm_head.dense",
            transform_norm="lm_head.layer_norm",
            token_bias="lm_head.bias",
            transform_activation="gelu",
            first="classifier.dense",
            first_activation="tanh",
            labels="classifier.out_proj",
            pooler="roberta.pooler.dense",
        )


_PUBLISHED = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}

#: The published two, and one for trying things out.
PRESETS: dict[str, RobertaConfig] = {
    "nano": RobertaConfig(
        vocab_size=4096,
        max_position_embeddings=130,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    ),
    "roberta-base": RobertaConfig.model_validate(_PUBLISHED),
    "roberta-large": RobertaConfig.model_validate(
        _PUBLISHED
        | {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        }
    ),
}
