"""What a person decides about a copy; part of its spec, and read by the planner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.errors import gettext_noop as _
from training.settings import Settings


class PlanSettings(Settings):
    """How a copy treats what does not simply fit."""

    rules: list[str] = Field(
        default_factory=list,
        max_length=400,
        title=_("Rules"),
        description=_(
            "One a line, before everything else: layer.{i} -> layer.{2i}, skip *.mlp.*, "
            "freeze embeddings."
        ),
    )
    layers: Literal["first", "spread"] = Field(
        "first",
        title=_("Which layers"),
        description=_(
            "With another number of layers: the first ones, or evenly spread over the source "
            "(every other one, to halve it)."
        ),
    )
    new_layers: Literal["random", "identity"] = Field(
        "random",
        title=_("New layers"),
        description=_(
            "Random, or passing on what they get, so that a deeper model starts out computing the "
            "same."
        ),
    )
    positions: Literal["first", "interpolate", "tile"] = Field(
        "first",
        title=_("Positions"),
        description=_("With another context: the first ones, stretched, or repeated."),
    )
    vocabulary: Literal["tokens", "random"] = Field(
        "tokens",
        title=_("Another vocabulary"),
        description=_(
            "Carry rows over by token, new tokens starting as the mean of their parts, or start "
            "afresh."
        ),
    )
    width: Literal["random", "cut", "grow"] = Field(
        "random",
        title=_("Other widths"),
        description=_(
            "Start afresh, copy what both have, or grow by repeating values so that the larger "
            "model computes the same (Net2Net)."
        ),
    )
