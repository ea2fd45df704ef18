"""The parts of a spec that every method has which makes images of a class. Light."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from training.backbones.contract import BackboneConfig
from training.backbones.generator_config import GeneratorConfig
from training.errors import gettext_noop as _
from training.estimate import Estimate, estimate_examples
from training.settings import Settings, field_error
from training.spec import (
    SPEC_VERSION,
    BatchSize,
    DataSpec,
    DeviceSpec,
    LookEvery,
    LookSpec,
    OptimisationSpec,
    SaveEvery,
    Seed,
    SourceSpec,
    Steps,
    WeightDecay,
)

#: Classes whose samples are shown while it trains: the first of them.
MOST_SHOWN = 20
#: Most times that a run shows samples; a page keeps them all.
MOST_GRIDS = 200


class GenerativeTrainingSpec(OptimisationSpec):
    """How the weights are trained: without decay, which draws towards grey images."""

    steps: Steps = 2000
    batch_size: BatchSize = 64
    weight_decay: WeightDecay = 0.0


class GenerativeLookSpec(LookSpec):
    """How a run is looked at: what it makes is shown, and measured by a judge."""

    every: LookEvery = 200
    checkpoint_every: SaveEvery = 200
    images: int = Field(
        500,
        ge=2,
        le=100_000,
        title=_("Images of a look"),
        description=_(
            "Most images that are made and measured at a look, beside as many real ones; the "
            "report uses ten times as many, as far as there are real ones."
        ),
    )
    sample_every: int = Field(
        200,
        ge=1,
        title=_("Show samples every"),
        description=_("Steps between two pictures of what it makes."),
    )
    samples: int = Field(
        8,
        ge=1,
        le=16,
        title=_("Samples of a class"),
        description=_("Each always from the same random numbers, so that one sees it improve."),
    )


class JudgeSpec(Settings):
    """The classifier that measures what is made; see :mod:`training.generative.judge`."""

    #: A classifier of images that knows the classes by name; empty: a small one is trained.
    checkpoint: str = ""
    epochs: int = Field(
        8,
        ge=1,
        le=1000,
        title=_("Epochs of the judge"),
        description=_(
            "How often the small classifier that measures what is made sees the training images; "
            "at least 100 steps, at most 3,000."
        ),
    )


class GenerativeSpec(Settings, ABC):
    """One run, complete: two processes given equal specs produce equal curves on a CPU.

    A method's own has a ``method``, an ``objective`` and a ``model``.
    """

    version: Any = SPEC_VERSION
    method: str
    seed: Seed = 0
    data: DataSpec
    #: With a source and no model, the source's own is used. Its classes are the data's, and of
    #: sounds its size.
    model: Any = None
    objective: Any
    source: SourceSpec | None = None
    training: GenerativeTrainingSpec = Field(default_factory=GenerativeTrainingSpec)
    evaluation: GenerativeLookSpec = Field(default_factory=GenerativeLookSpec)
    judge: JudgeSpec = Field(default_factory=JudgeSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.model is None and self.source is None:
            raise field_error("model_missing", "model")
        if self.training.steps > MOST_GRIDS * self.evaluation.sample_every:
            least = -(-self.training.steps // MOST_GRIDS)
            raise field_error("samples_too_often", "evaluation.sample_every", least=least)
        return self


def with_rows(config: GeneratorConfig, classes: int) -> GeneratorConfig:
    """The same model with so many rows for classes.

    Raises:
        ValueError: More than it can have.
    """
    return type(config).model_validate(config.model_dump() | {"num_classes": classes})


def for_sounds(config: GeneratorConfig, sound: Mapping[str, Any] | None) -> GeneratorConfig:
    """The same model for the pictures of a data set's sounds; of images as it is.

    Args:
        config: The model.
        sound: ``sound`` of ``dataset.json``; None: the data are images.
    """
    if sound is None:
        return config
    size = {"image_px": sound["bands"], "width_px": sound["frames"], "in_channels": 1}
    return type(config).model_validate(config.model_dump() | size)


def rows_of(known: list[str], names: list[str]) -> list[str]:
    """The classes that a model has rows for: a source's, and behind them those that it lacks.

    Args:
        known: The source's, in the order of its rows.
        names: The data's.
    """
    return known + [name for name in names if name not in known]


def scratch_twin(spec: GenerativeSpec, source: BackboneConfig) -> GenerativeSpec:
    """The same data, seed, steps and model, but random weights.

    Args:
        spec: The transfer; has a source.
        source: The source's architecture, used where the transfer names none.

    Raises:
        ValueError: When the spec has no source.
    """
    if spec.source is None:
        raise ValueError("only a transfer has a scratch twin")
    changes = {"source": None, "model": spec.model or source}
    return type(spec).model_validate(spec.model_copy(update=changes).model_dump())


def estimate_generative(
    spec: GenerativeSpec,
    config: GeneratorConfig,
    followed: int,
    examples_per_s: float | None = None,
) -> Estimate:
    """What a run will take; see :func:`training.estimate.estimate_examples`.

    Args:
        spec: The run.
        config: Its model.
        followed: Values that change without gradients.
        examples_per_s: As measured before.
    """
    count = config.parameter_count()
    return estimate_examples(
        spec.training,
        parameters=count,
        trainable=count,
        slots=2 * count,
        weights=count + followed,
        followed=followed,
        examples_per_s=examples_per_s,
    )
