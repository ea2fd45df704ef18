"""The spec of a Wide & Deep run, and what follows from it without data. Light.

:mod:`training.methods.task_related.wide_deep` is the method.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from training.backbones.wide_deep.config import Parts, WideDeepConfig
from training.data.crosses import MOST_COLUMNS
from training.data.table_features import TableFeatures
from training.errors import gettext_noop as _
from training.estimate import Estimate, estimate_examples
from training.methods.task_related.table_spec import (
    TableColumnsSpec,
    TrunkSpec,
    require_source_s_own,
    trunk_sizes,
    without_source,
)
from training.settings import Settings, field_error
from training.spec import (
    SPEC_VERSION,
    BatchSize,
    DataSpec,
    DeviceSpec,
    LookSpec,
    OptimisationSpec,
    Seed,
    SourceSpec,
    Steps,
    WeightDecay,
)


def _columns(value: Any) -> Any:
    """``education × occupation`` or ``education, occupation`` as a list of names."""
    if not isinstance(value, str):
        return value
    parts = value.split("×") if "×" in value else re.split("[,，]", value)
    return [part.strip() for part in parts if part.strip()]


#: Names of a cross's columns.
CrossColumns = Annotated[list[str], BeforeValidator(_columns)]


class TableInputSpec(TableColumnsSpec):
    """What of a row the model is shown."""

    crosses: list[CrossColumns] = Field(
        default_factory=list,
        max_length=100,
        title=_("Crosses"),
        description=_(
            "One a line, two to four columns: education × occupation. The wide part learns a "
            "weight for each combination; a number takes part by its bucket."
        ),
    )
    buckets: int = Field(
        20,
        ge=2,
        le=1000,
        title=_("Buckets of a number"),
        description=_(
            "Most ranges that the wide part tells apart, about equally many training rows in each."
        ),
    )
    cross_rows: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        title=_("Combinations of a cross"),
        description=_("The most frequent have a weight of their own; all others share one."),
    )
    cross_examples: int = Field(
        2,
        ge=1,
        le=1_000_000,
        title=_("Rows of a combination"),
        description=_("Training rows that a combination needs for a weight of its own."),
    )


class WideDeepNetworkSpec(TrunkSpec):
    """The model's two parts."""

    parts: Parts = Field(
        "both",
        title=_("Parts"),
        description=_("Both together, as in the paper, or one of them alone to compare with."),
    )


class WideDeepTrainingSpec(OptimisationSpec):
    """How the weights are trained: the wide part's by FTRL, all at once."""

    steps: Steps = 1500
    batch_size: BatchSize = 512
    learning_rate: float = Field(
        0.05,
        gt=0,
        le=1,
        title=_("Learning rate"),
        description=_("Of the deep part: the peak, reached after the warm-up."),
    )
    weight_decay: WeightDecay = 0.0
    deep_optimiser: Literal["adagrad", "adamw"] = Field(
        "adagrad",
        title=_("Optimiser of the deep part"),
        description=_(
            "AdaGrad, as in the paper, or AdamW, which takes a smaller learning rate: 0.003."
        ),
    )
    wide_rate: float = Field(
        0.1,
        gt=0,
        le=10,
        title=_("Learning rate of the wide part"),
        description=_("FTRL's; it falls for each weight as that weight's gradients add up."),
    )
    l1: float = Field(
        0.02,
        ge=0,
        le=1000,
        title=_("L1 of the wide part"),
        description=_("Weights whose gradients do not add up to more stay exactly zero."),
    )
    l2: float = Field(
        0.0,
        ge=0,
        le=1000,
        title=_("L2 of the wide part"),
        description=_("Draws all its weights towards zero."),
    )
    dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        title=_("Dropout"),
        description=_("Share of activations dropped in training, in the deep part."),
    )


class WideDeepSpec(Settings):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    version: Literal[1] = SPEC_VERSION
    method: Literal["wide_deep"] = "wide_deep"
    seed: Seed = 0
    data: DataSpec
    target: str = Field(
        "",
        title=_("Target"),
        description=_("What is predicted; empty: the first of the table's targets with classes."),
    )
    #: With a source, or a checkpoint that it is like, crosses, buckets and network are its own.
    features: TableInputSpec = Field(default_factory=TableInputSpec)
    network: WideDeepNetworkSpec = Field(default_factory=WideDeepNetworkSpec)
    source: SourceSpec | None = None
    training: WideDeepTrainingSpec = Field(default_factory=WideDeepTrainingSpec)
    evaluation: LookSpec = Field(default_factory=LookSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> WideDeepSpec:
        for number, names in enumerate(self.features.crosses):
            if not 2 <= len(names) <= MOST_COLUMNS or len(set(names)) < len(names):
                raise field_error("cross_columns", f"features.crosses.{number}", most=MOST_COLUMNS)
        if self.features.crosses and self.network.parts == "deep":
            raise field_error("crosses_without_wide", "features.crosses")
        require_source_s_own(self.features, self.network, self.source is not None)
        return self


def scratch_twin(spec: WideDeepSpec, source: WideDeepConfig) -> WideDeepSpec:
    """The same data, seed, steps, columns and network, but random weights.

    Raises:
        ValueError: When the spec has no source.
    """
    return WideDeepSpec.model_validate(without_source(spec))


def config_of_sizes(
    network: WideDeepNetworkSpec,
    numbers: Sequence[int],
    pieces: Sequence[int],
    categories: Sequence[int],
    crosses: Sequence[int],
    classes: int,
) -> WideDeepConfig:
    """The model for so many rows of each column."""
    return WideDeepConfig(
        parts=network.parts,
        numbers=list(numbers),
        pieces=list(pieces),
        categories=list(categories),
        crosses=list(crosses),
        embeddings=network.widths(categories),
        hidden=network.hidden,
        num_classes=classes,
    )


def config_like(source: WideDeepConfig, features: TableFeatures) -> WideDeepConfig:
    """A source's network with rows for these columns and outputs for these classes."""
    return source.model_copy(update=sizes_of(features))


def sizes_of(features: TableFeatures) -> dict[str, Any]:
    """Rows of each column, and classes: the fields of a configuration that data decide."""
    return {
        **trunk_sizes(features),
        "numbers": [one.rows for one in features.numbers],
        "crosses": [one.rows for one in features.crosses],
        "num_classes": len(features.classes),
    }


def estimate_run(
    spec: WideDeepSpec, config: WideDeepConfig, examples_per_s: float | None = None
) -> Estimate:
    """What a run will take; see :func:`training.estimate.estimate_examples`."""
    deep = sum(one.size for one in config.tensors() if one.name.startswith("deep."))
    both = spec.training.deep_optimiser == "adamw"
    count = config.parameter_count()
    return estimate_examples(
        spec.training,
        parameters=count,
        trainable=count,
        slots=2 * (count - deep) + deep * (2 if both else 1),
        weights=count,
        examples_per_s=examples_per_s,
    )


def planned_rows(spec: TableInputSpec, sizes: dict[str, int]) -> list[int]:
    """Most rows that the crosses can have, before the data are read.

    Args:
        spec: The crosses.
        sizes: Codes of each column, by name.
    """
    return [
        1 + min(spec.cross_rows, math.prod(sizes.get(name, 1) for name in names))
        for names in spec.crosses
    ]
