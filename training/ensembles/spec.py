"""The spec of an ensemble. Light.

:mod:`training.methods.task_related.ensemble` is the method.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from training.backbones.registry import BACKBONES
from training.data.pixels import ImagePx
from training.errors import gettext_noop as _
from training.settings import Settings, field_error
from training.spec import SPEC_VERSION, DataSpec, DeviceSpec, Seed

Combination = Literal["mean", "logits", "weights", "stacking"]
#: What is fitted, and so needs a test split to be judged on.
FITTED: frozenset[Combination] = frozenset({"weights", "stacking"})
MOST_MEMBERS = 16
#: Architectures that tell classes apart; others may have names of classes on their cards too.
MEMBERS = (
    *(name for name, one in BACKBONES.items() if one.kind in ("text", "image") and not one.writes),
    "wide_deep",
)


class MemberSpec(Settings):
    """One classifier."""

    checkpoint: str = Field(title=_("Member"), description=_("A checkpoint that tells classes."))
    #: Prepared data sets that it, or what it came from, learned from, beside the ensemble's own:
    #: examples of theirs that it is judged on are counted.
    trained_on: list[str] = Field(default_factory=list)


class EnsembleSpec(Settings):
    """Members and how they are combined; or an ensemble that is there, judged as it is."""

    version: Literal[1] = SPEC_VERSION
    method: Literal["ensemble"] = "ensemble"
    seed: Seed = 0
    data: DataSpec
    members: list[MemberSpec] = Field(default_factory=list, max_length=MOST_MEMBERS)
    #: An ensemble's checkpoint. Its members and its combination are used, and nothing is fitted.
    checkpoint: str = ""
    combination: Combination = Field(
        "mean",
        title=_("Combination"),
        description=_(
            "The mean of the members' probabilities; the mean of their logits (geometric); a "
            "weighted mean; or a logistic regression on what they say (stacking). The last two are "
            "fitted on the validation split."
        ),
    )
    image_px: ImagePx = None
    most_tokens: int = Field(
        128,
        ge=4,
        le=32_768,
        title=_("Longest text (tokens)"),
        description=_("For members of which nobody knows what they were trained with."),
    )
    batch_size: int = Field(
        64,
        ge=1,
        le=4096,
        title=_("Batch size"),
        description=_("Examples that a member is shown together."),
    )
    #: Where predictions are kept for the next time; empty: in the working directory.
    cache: str = ""
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> EnsembleSpec:
        if self.checkpoint and self.members:
            raise field_error("members_and_ensemble", "members")
        if not self.checkpoint and len(self.members) < 2:
            raise field_error("members_two", "members")
        paths = [one.checkpoint for one in self.members]
        if len(set(paths)) != len(paths):
            raise field_error("members_twice", "members")
        return self
