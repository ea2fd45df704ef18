"""The spec of a classification run, and which classes a checkpoint tells apart. Light.

:mod:`training.methods.task_related.classification` is the method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from training.backbones.contract import BackboneConfig
from training.backbones.encoder.config import EncoderConfig
from training.errors import gettext_noop as _
from training.fine_tuning.settings import FineTuningTrainingSpec, WholeSpec
from training.settings import field_error


class ClassificationTrainingSpec(FineTuningTrainingSpec):
    """How the weights are adapted."""

    cycles: int = Field(
        1,
        ge=1,
        le=16,
        title=_("Cycles of the learning rate"),
        description=_(
            "With two or more, the rate falls to nothing in each cycle and begins again at its "
            "peak, whatever the schedule. What the network is at each cycle's end is kept as a "
            "checkpoint: the members of a snapshot ensemble."
        ),
    )

    @property
    def cycle_steps(self) -> int | None:
        return math.ceil(self.steps / self.cycles) if self.cycles > 1 else None

    @model_validator(mode="after")
    def _cycles_fit(self) -> ClassificationTrainingSpec:
        if self.cycles > self.steps:
            raise field_error("cycles_more_than_steps", "cycles", steps=self.steps)
        return self


class ClassificationSpec(WholeSpec):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    method: Literal["classification"] = "classification"
    training: ClassificationTrainingSpec = Field(default_factory=ClassificationTrainingSpec)


def classes_of(config: BackboneConfig, card: Mapping[str, Any]) -> list[str]:
    """The classes that a checkpoint's head tells apart, in its order; none where nobody said."""
    if isinstance(config, EncoderConfig):
        return list(config.labels) if config.head == "classification" else []
    return [str(name) for name in card.get("classes", ())]
