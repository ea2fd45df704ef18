"""Encoders of BERT's kind: a stack of blocks that see the whole text, with one of a few heads.

- Devlin et al., 2019, "BERT: Pre-training of Deep Bidirectional Transformers": token, position and
  type embeddings are added and normalised; layer norms stand after each sum; masked tokens are
  predicted through a transform and the token embedding, with a bias of its own for each token.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from training.backbones.blocks import Activation, Blocks, both, dense, norm, table
from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.fields import Vocabulary
from training.errors import gettext_noop as _
from training.settings import field_error

#: ``none``: hidden states; ``masked_lm``: a token for each place; ``pretraining``: the same, and
#: whether the second sentence follows the first; ``classification``: a label for the text;
#: ``token_classification``: a label for each token.
Head = Literal["none", "masked_lm", "pretraining", "classification", "token_classification"]
#: Those that give labels.
LABEL_HEADS = ("classification", "token_classification")

MOST_LABELS = 10_000


@dataclass(frozen=True)
class Names:
    """Names of what stands around the blocks.

    Attributes:
        prefix: Of all but the heads' names, ``bert``.
        transform: Masked LM: the matrix before the token embedding is used again.
        transform_norm: Masked LM: its layer norm.
        token_bias: Masked LM: the tensor with a bias for each token.
        transform_activation: Masked LM: between the matrix and the norm.
        first: Classification: the matrix over the first token's hidden state.
        first_activation: Classification: after it.
        labels: Classification: the matrix that gives a score for each label.
        token_labels: Token classification: the same over each token's hidden state.
        pooler: The matrix that makes one vector of the text; None where there is none.
        next_sentence: Pre-training: the matrix over that vector.
    """

    prefix: str
    transform: str
    transform_norm: str
    token_bias: str
    transform_activation: Activation
    first: str
    first_activation: Activation
    labels: str
    token_labels: str = "classifier"
    pooler: str | None = None
    next_sentence: str = ""

    @property
    def tokens(self) -> str:
        return f"{self.prefix}.embeddings.word_embeddings.weight"

    @property
    def positions(self) -> str:
        return f"{self.prefix}.embeddings.position_embeddings.weight"

    @property
    def types(self) -> str:
        return f"{self.prefix}.embeddings.token_type_embeddings.weight"

    @property
    def embeddings_norm(self) -> str:
        return f"{self.prefix}.embeddings.LayerNorm"


class EncoderConfig(BackboneConfig):
    """An encoder; the subclass adds the sizes under its home's names."""

    #: Heads that the architecture has.
    HEADS: ClassVar[tuple[Head, ...]] = (
        "none",
        "masked_lm",
        "classification",
        "token_classification",
    )

    vocab_size: Vocabulary = 30_522
    max_position_embeddings: int = Field(
        512,
        ge=8,
        le=32_768,
        title=_("Context"),
        description=_("Rows of the position embedding."),
    )
    head: Head = Field(
        "none",
        title=_("Head"),
        description=_(
            "What the model gives: hidden states, tokens for masked places, a label for the text, "
            "or one for each token."
        ),
    )
    labels: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        default_factory=list,
        max_length=MOST_LABELS,
        title=_("Labels"),
        description=_("Names of the classes, in the order of the scores."),
    )

    @model_validator(mode="after")
    def _head_fits(self) -> EncoderConfig:
        if self.head not in self.HEADS:
            raise field_error("head_unknown", "head", known=", ".join(self.HEADS))
        if (self.head in LABEL_HEADS) != bool(self.labels):
            raise field_error("labels_without_head", "labels")
        if len(set(self.labels)) != len(self.labels):
            raise field_error("labels_twice", "labels")
        if self.blocks.width % self.blocks.heads:
            raise field_error("heads_do_not_divide", self.WIDTH, heads=self.blocks.heads)
        return self

    #: The field that says how wide the model is.
    WIDTH: ClassVar[str]

    @property
    @abstractmethod
    def blocks(self) -> Blocks:
        """The stack."""

    @property
    @abstractmethod
    def names(self) -> Names:
        """What stands around it."""

    @property
    def types(self) -> int:
        """Rows of the type embedding; 0: there is none."""
        return 0

    @property
    def pooled(self) -> bool:
        """Whether there is a pooler."""
        return False

    @property
    def layers(self) -> int:
        return self.blocks.count

    @property
    def stream_width(self) -> int:
        return self.blocks.width

    @property
    def attention_heads(self) -> int:
        return self.blocks.heads

    @property
    def before_tied_head(self) -> tuple[str, ...]:
        if self.head in ("masked_lm", "pretraining"):
            return both(self.names.transform_norm)
        return ()

    @property
    def context(self) -> int:
        return self.max_position_embeddings - self.position_offset

    @property
    def vocabulary(self) -> int:
        return self.vocab_size

    def tensors(self) -> list[TensorSpec]:
        """Every tensor in a fixed order; the masked LM's matrix is the token embedding."""
        names, size = self.names, self.blocks.width
        width, tokens = ("width", size), ("vocabulary", self.vocab_size)
        positions = ("position", self.max_position_embeddings)
        found = [
            table(names.tokens, tokens, width, "embeddings", "token"),
            table(names.positions, positions, width, "embeddings", "position"),
        ]
        if self.types:
            found.append(table(names.types, ("type", self.types), width, "embeddings", "type"))
        found += norm(names.embeddings_norm, size, "embeddings", "norm")
        found += self.blocks.tensors()
        if self.pooled and names.pooler is not None:
            found += dense(names.pooler, (width, width), "pooler", "")
        if self.head in ("masked_lm", "pretraining"):
            found.append(
                TensorSpec(
                    names.token_bias,
                    (self.vocab_size,),
                    "zeros",
                    0,
                    "head",
                    "token.bias",
                    ("vocabulary",),
                )
            )
            found += dense(names.transform, (width, width), "head", "transform")
            found += norm(names.transform_norm, size, "head", "norm")
        if self.head == "pretraining":
            found += dense(
                names.next_sentence, (("next_sentence", 2), width), "head", "next_sentence"
            )
        if self.head == "classification":
            if names.first != names.pooler:
                found += dense(names.first, (width, width), "head", "first")
            found += dense(names.labels, (("label", len(self.labels)), width), "head", "label")
        if self.head == "token_classification":
            labels = ("label", len(self.labels))
            found += dense(names.token_labels, (labels, width), "head", "token_label")
        return found
