"""The network over the columns of a table that architectures of tables have in common: its shape.

    hidden = MLP([numbers, embedding_1[code_1], …])

Numbers come standardised and in pieces, with a sign of which are missing; a category is a row of an
embedding. Which column that is, and what its rows mean, stands in the checkpoint's ``table.json``
(:mod:`training.data.table_features`). What is made of the last layer is the architecture's own.
"""

from __future__ import annotations

from math import sqrt
from typing import Annotated

from pydantic import Field, model_validator

from training.backbones.contract import BackboneConfig, TensorSpec
from training.errors import gettext_noop as _
from training.settings import field_error

Rows = list[Annotated[int, Field(ge=1, le=10_000_000)]]
Widths = list[Annotated[int, Field(ge=1, le=4096)]]


class TableTrunkConfig(BackboneConfig):
    """Rows of each column's embedding, and the widths of the layers."""

    pieces: list[Annotated[int, Field(ge=0, le=10_000)]] = Field(
        default_factory=list,
        title=_("Pieces of numbers"),
        description=_("Of each column of numbers, in the deep part."),
    )
    categories: Rows = Field(
        default_factory=list,
        title=_("Rows of categories"),
        description=_("Of each column of categories: those, and one each for missing and unseen."),
    )
    embeddings: Widths = Field(
        default_factory=list,
        title=_("Widths of embeddings"),
        description=_("Of each column of categories, in the deep part."),
    )
    hidden: Widths = Field(
        default_factory=lambda: [64, 32],
        title=_("Hidden widths"),
        description=_("Of the deep part's layers, from the inputs to the head."),
    )

    @model_validator(mode="after")
    def _one_width_a_column(self) -> TableTrunkConfig:
        if len(self.embeddings) != len(self.categories):
            raise field_error("one_width_a_column", "embeddings", columns=len(self.categories))
        return self

    @property
    def layers(self) -> int:
        return len(self.hidden)

    @property
    def deep_inputs(self) -> int:
        """Numbers, a sign of each of whether it is missing, pieces, and embeddings."""
        return 2 * len(self.pieces) + sum(self.pieces) + sum(self.embeddings)

    @property
    def trunk_width(self) -> int:
        """Numbers that the last layer puts out."""
        return self.hidden[-1] if self.hidden else self.deep_inputs

    def trunk(self) -> list[TensorSpec]:
        """Its tensors; they have the same names in every architecture, and are carried by them."""
        found = [
            TensorSpec(
                f"deep.embedding.{number}.weight",
                (rows, width),
                "normal",
                1 / sqrt(width),
                block="embeddings",
                axes=("vocabulary", "column"),
            )
            for number, (rows, width) in enumerate(
                zip(self.categories, self.embeddings, strict=True)
            )
        ]
        before = self.deep_inputs
        for number, width in enumerate(self.hidden):
            # He et al., 2015: half of what comes in is cut off by each ReLU.
            found += [
                TensorSpec(
                    f"deep.hidden.{number}.weight",
                    (width, before),
                    "normal",
                    sqrt(2 / max(1, before)),
                    block=f"layer.{number}",
                    axes=("unit", "input"),
                    inputs=(1,),
                ),
                TensorSpec(
                    f"deep.hidden.{number}.bias",
                    (width,),
                    "zeros",
                    block=f"layer.{number}",
                    axes=("unit",),
                ),
            ]
            before = width
        return found

    def head(self, name: str, outputs: int) -> TensorSpec:
        """The matrix [outputs, width] on top of the last layer."""
        width = self.trunk_width
        return TensorSpec(
            name,
            (outputs, width),
            "normal",
            sqrt(1 / max(1, width)),
            block="head",
            axes=("label", "unit"),
            inputs=(1,),
        )
