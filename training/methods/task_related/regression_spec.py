"""The spec of a regression run, and which number a checkpoint predicts. Light.

:mod:`training.methods.task_related.regression` is the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from training.backbones.contract import BackboneConfig
from training.backbones.encoder.config import EncoderConfig
from training.errors import gettext_noop as _
from training.fine_tuning.settings import FineTuningTrainingSpec, WholeSpec

NumberedExamples = Annotated[
    int | None,
    Field(
        ge=2,
        title=_("Training examples"),
        description=_(
            "Use only so many examples with a number, low and high ones in their share; empty: all."
        ),
    ),
]


class RegressionTrainingSpec(FineTuningTrainingSpec):
    """How the weights are adapted, and what of an error counts."""

    loss: Literal["squared", "huber"] = Field(
        "squared",
        title=_("Error that is minimised"),
        description=_(
            "The squared error, or Huber's: beyond one standard deviation of the numbers it grows "
            "no more than in proportion, so that a few numbers far off do not decide everything."
        ),
    )


class RegressionSpec(WholeSpec):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    method: Literal["regression"] = "regression"
    examples: NumberedExamples = None
    training: RegressionTrainingSpec = Field(default_factory=RegressionTrainingSpec)


def target_of(config: BackboneConfig, card: Mapping[str, Any]) -> str | None:
    """What the number is called that a checkpoint predicts; None where it predicts none.

    Args:
        config: Its model.
        card: Its card: what networks of images predict stands nowhere else.
    """
    if isinstance(config, EncoderConfig):
        one = config.head == "classification" and len(config.labels) == 1
        return config.labels[0] if one else None
    told = card.get("target")
    return str(told["name"]) if isinstance(told, dict) and told.get("name") else None
