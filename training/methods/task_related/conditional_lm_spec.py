"""The spec of :mod:`.conditional_lm`. Light."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from training.errors import gettext_noop as _
from training.settings import Settings, field_error
from training.spec import (
    EvaluationSpec,
    LanguageModelSpec,
    LookEvery,
    Prompts,
    TextTrainingSpec,
)

#: Classes that a model can be told of.
MOST_LABELS = 100
#: Classes whose samples are shown while it trains: the first of them.
MOST_SHOWN = 12
#: Texts of a class, without which there is nothing but learning one by heart.
LEAST_TEXTS = 2
#: Texts of all classes together that are written for the report, with labels and as many without.
MOST_WRITTEN = 1200
#: Most times that a run shows samples; a page keeps them all.
MOST_LOOKS = 200


class ControlSpec(Settings):
    """How the model is told which class a text is of."""

    given: bool = Field(
        True,
        title=_("Give labels"),
        description=_(
            "Off: the same model on the same sequences without labels, as its twin is trained."
        ),
    )
    unlabelled_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        title=_("Share without a label"),
        description=_(
            "Share of sequences that begin without their label, so that the model can also write "
            "without one."
        ),
    )


class ConditionalTrainingSpec(TextTrainingSpec):
    """How the weights are trained; texts are never packed, so that no class reads another's."""


class ConditionalEvaluationSpec(EvaluationSpec):
    """How a run is looked at: every text is read with its label, a wrong one and none."""

    every: LookEvery = 50
    batches: int = Field(
        8,
        ge=1,
        title=_("Validation batches"),
        description=_("Most batches a look takes; the report uses ten times as many."),
    )
    samples: int = Field(
        2,
        ge=1,
        le=8,
        title=_("Samples of a class"),
        description=_("Each always from the same random numbers, so that one sees it improve."),
    )
    sample_tokens: int = Field(
        64, ge=1, le=1024, title=_("Sample length"), description=_("Tokens a sample holds.")
    )
    prompts: Prompts = Field(
        default_factory=list,
        max_length=8,
        title=_("Prompts"),
        description=_("Texts that samples continue; none: the label alone begins them."),
    )
    judged: int = Field(
        30,
        ge=2,
        le=1000,
        title=_("Texts of a class for the report"),
        description=_(
            "Written at the end, as long as a sample, and measured by a classifier of real texts."
        ),
    )


class ConditionalLMSpec(LanguageModelSpec):
    """One run on texts of classes."""

    method: Literal["conditional_lm"] = Field(
        "conditional_lm", title=_("Method"), description=_("How the model is trained.")
    )
    control: ControlSpec = Field(default_factory=ControlSpec)
    training: ConditionalTrainingSpec = Field(default_factory=ConditionalTrainingSpec)
    evaluation: ConditionalEvaluationSpec = Field(default_factory=ConditionalEvaluationSpec)

    @property
    def readings(self) -> int:
        """With the label, a wrong one and none."""
        return 1 + self.control.given + (self.control.given and self.control.unlabelled_share > 0)

    @model_validator(mode="after")
    def _shown_seldom(self) -> Self:
        if self.training.steps > MOST_LOOKS * self.evaluation.sample_every:
            least = -(-self.training.steps // MOST_LOOKS)
            raise field_error("samples_too_often", "evaluation.sample_every", least=least)
        return self
