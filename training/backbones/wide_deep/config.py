"""Wide & Deep's shape [0]: a linear part over one-hot columns beside a network over embeddings.

    logits = bias + Σ_c wide_c[code_c] + head · MLP([numbers, embedding_1[code_1], …])

The wide part has a row of weights for each bucket of a number, each category, and each combination
of a cross; its numbers, categories and crosses are codes, so that a one-hot vector times a matrix
is a row looked up. The deep part sees numbers standardised and in pieces, which of them are
missing, and an embedding of each category. Crosses go to the wide part alone: embeddings generalise
by themselves, and what the wide part is there for is to remember the exceptions.

- [0] Cheng et al., 2016, "Wide & Deep Learning for Recommender Systems",
  https://arxiv.org/abs/1606.07792
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from training.backbones.contract import TensorSpec
from training.backbones.table_trunk.config import Rows, TableTrunkConfig
from training.errors import gettext_noop as _
from training.settings import field_error

Parts = Literal["both", "wide", "deep"]


class WideDeepConfig(TableTrunkConfig):
    """Rows of each column's tables, and the widths of the network.

    Which column a table belongs to, and what its rows mean, stands in the checkpoint's
    ``table.json`` (:mod:`training.data.table_features`).
    """

    architecture: Literal["wide_deep"] = "wide_deep"
    parts: Parts = Field(
        "both",
        title=_("Parts"),
        description=_("Both together, as in the paper, or one of them alone to compare with."),
    )
    numbers: Rows = Field(
        default_factory=list,
        title=_("Rows of numbers"),
        description=_("Of each column of numbers: its buckets, and one for a missing value."),
    )
    crosses: Rows = Field(
        default_factory=list,
        title=_("Rows of crosses"),
        description=_("Of each cross: its combinations, and one for all others."),
    )
    num_classes: int = Field(
        2, ge=2, le=100_000, title=_("Classes"), description=_("Outputs of both parts.")
    )

    @model_validator(mode="after")
    def _consistent(self) -> WideDeepConfig:
        if len(self.pieces) != len(self.numbers):
            raise field_error("one_width_a_column", "pieces", columns=len(self.numbers))
        return self

    @property
    def layers(self) -> int:
        return len(self.hidden) if self.has_deep else 0

    @property
    def has_wide(self) -> bool:
        return self.parts != "deep"

    @property
    def has_deep(self) -> bool:
        return self.parts != "wide"

    def tensors(self) -> list[TensorSpec]:
        return [
            *(self._wide() if self.has_wide else ()),
            *(self._deep() if self.has_deep else ()),
            TensorSpec("bias", (self.num_classes,), "zeros", block="head", axes=("label",)),
        ]

    def _wide(self) -> list[TensorSpec]:
        # Zero: of a row that no example has, the wide part says nothing.
        kinds = {"number": self.numbers, "category": self.categories, "cross": self.crosses}
        return [
            TensorSpec(
                f"wide.{kind}.{number}.weight",
                (rows, self.num_classes),
                "zeros",
                block="wide",
                axes=("vocabulary", "label"),
            )
            for kind, sizes in kinds.items()
            for number, rows in enumerate(sizes)
        ]

    def _deep(self) -> list[TensorSpec]:
        return [*self.trunk(), self.head("deep.head.weight", self.num_classes)]

    @property
    def label_head(self) -> list[str]:
        """Everything that has something for each class: all of the wide part, too."""
        return [one.name for one in self.tensors() if "label" in one.axes]


PRESETS: dict[str, WideDeepConfig] = {
    # Tables have as many rows as their columns have categories; this is a small one.
    "nano": WideDeepConfig(
        numbers=[11, 11],
        pieces=[8, 8],
        categories=[6, 9],
        crosses=[20],
        embeddings=[3, 4],
        hidden=[16, 8],
    ),
}
