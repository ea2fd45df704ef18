"""Fields that several configurations have, under their home's own names: bounds, title and text.

hidden_size: Width = 768
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from training.errors import gettext_noop as _

Vocabulary = Annotated[
    int,
    Field(
        ge=2,
        le=1_000_000,
        title=_("Vocabulary"),
        description=_("Rows of the token embedding; set by the tokenizer."),
    ),
]
Context = Annotated[
    int,
    Field(
        ge=8,
        le=32_768,
        title=_("Context"),
        description=_("Most tokens the model can look at."),
    ),
]
Width = Annotated[
    int,
    Field(ge=8, le=16_384, title=_("Width"), description=_("Size of the residual stream.")),
]
Layers = Annotated[
    int, Field(ge=1, le=200, title=_("Layers"), description=_("Transformer blocks."))
]
Heads = Annotated[
    int,
    Field(ge=1, le=256, title=_("Heads"), description=_("Attention heads; must divide the width.")),
]
InnerWidth = Annotated[
    int,
    Field(
        ge=1,
        le=131_072,
        title=_("Inner width"),
        description=_("Size of the feed-forward layer."),
    ),
]
TiedHead = Annotated[
    bool, Field(title=_("Tied head"), description=_("The head uses the token embedding."))
]
