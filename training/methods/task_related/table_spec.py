"""What the specs of methods on tables have in common: how a row is shown, and the network over it.

Light: no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from training.data.table_features import TableFeatures
from training.errors import gettext_noop as _
from training.settings import Settings, field_error


class TableColumnsSpec(Settings):
    """What of a row the network is shown."""

    pieces: int = Field(
        128,
        ge=1,
        le=1000,
        title=_("Pieces of a number"),
        description=_("Most stretches between which the network may bend what it makes of one."),
    )
    #: A checkpoint whose columns and network are used, and none of its weights. A scratch twin
    #: takes its transfer's source here, so that both are the same model.
    checkpoint: str = ""


class TrunkSpec(Settings):
    """The network over the columns."""

    hidden: list[Annotated[int, Field(ge=1, le=4096)]] = Field(
        default_factory=lambda: [64, 32],
        min_length=1,
        max_length=20,
        title=_("Hidden widths"),
        description=_("Of the network's layers, one a line, from the inputs to the head."),
    )
    embedding: int | None = Field(
        None,
        ge=1,
        le=1024,
        title=_("Width of embeddings"),
        description=_(
            "Numbers that stand for a category in the network; empty: 1.6 times the number of "
            "categories to the power of 0.56, at most 32."
        ),
    )

    def widths(self, categories: Iterable[int]) -> list[int]:
        """Of the embeddings of columns with so many rows."""
        return [embedding_width(rows, self.embedding) for rows in categories]


def embedding_width(categories: int, wanted: int | None) -> int:
    """Numbers that stand for a category: 1.6 n^0.56, at most 32, unless a person says otherwise."""
    return wanted or min(32, max(1, round(1.6 * categories**0.56)))


def trunk_sizes(features: TableFeatures) -> dict[str, Any]:
    """Rows of each column: the fields of a trunk's configuration that data decide."""
    return {
        "pieces": [one.pieces for one in features.numbers],
        "categories": [one.rows for one in features.categories],
    }


def require_source_s_own(features: TableColumnsSpec, network: TrunkSpec, has_source: bool) -> None:
    """With a source, or a checkpoint that a run is like, columns and network are its own.

    Raises:
        PydanticCustomError: ``network_is_the_source_s``.
    """
    own = features.model_dump(exclude={"checkpoint"})
    plain = type(features)().model_dump(exclude={"checkpoint"})
    if (has_source or features.checkpoint) and (own != plain or network != type(network)()):
        raise field_error("network_is_the_source_s", "source")


def without_source(spec: Any) -> dict[str, Any]:
    """A transfer's spec as its scratch twin's: the source says what rows are shown like, no more.

    Raises:
        ValueError: When the spec has no source.
    """
    if spec.source is None:
        raise ValueError("only a transfer has a scratch twin")
    shown_by = spec.features.checkpoint or spec.source.checkpoint
    features = spec.features.model_copy(update={"checkpoint": shown_by})
    found: dict[str, Any] = spec.model_copy(
        update={"source": None, "features": features}
    ).model_dump()
    return found
