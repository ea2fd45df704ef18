"""The spec of a run that tags words, and which tags a checkpoint gives. Light.

:mod:`training.methods.task_related.token_classification` is the method.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from training.backbones.contract import BackboneConfig
from training.backbones.encoder.config import EncoderConfig
from training.errors import gettext_noop as _
from training.fine_tuning.settings import FineTuningSpec

TaggedSentences = Annotated[
    int | None,
    Field(
        ge=2,
        title=_("Training sentences"),
        description=_("Use only so many of the training sentences; empty: all."),
    ),
]


class TokenClassificationSpec(FineTuningSpec):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    method: Literal["token_classification"] = "token_classification"
    examples: TaggedSentences = None


def tags_of(config: BackboneConfig) -> list[str]:
    """The tags that a checkpoint's head gives words, in its order; none where it gives none."""
    if isinstance(config, EncoderConfig) and config.head == "token_classification":
        return list(config.labels)
    return []
