"""A configuration of one architecture with the measures of another's."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from training.backbones.contract import BackboneConfig

Config = TypeVar("Config", bound=BackboneConfig)


def sized_like(kind: type[Config], other: BackboneConfig) -> Config:
    """As deep, wide and long as another model, as far as the architecture can be.

    Fields with the same title hold the same measure, whatever they are called at home; those that
    only this architecture has keep their defaults.

    Args:
        kind: The architecture's configuration.
        other: Whose measures.
    """
    theirs = {
        info.title: getattr(other, name)
        for name, info in type(other).model_fields.items()
        if info.annotation in (int, int | None)
    }
    values = {
        name: theirs[info.title]
        for name, info in kind.model_fields.items()
        if info.title in theirs and info.annotation in (int, int | None)
    }
    for name, info in kind.model_fields.items():
        # Left open, it is four times the width; not every architecture can leave it open.
        if info.title == "Inner width" and values.get(name, 1) is None and other.stream_width:
            values[name] = 4 * other.stream_width
    try:
        made = kind.model_validate(values)
        if other.context is None or made.context is None or made.context == other.context:
            return made
        # Some count rows of the position embedding, with those that no token ever gets.
        rows = next(name for name, info in kind.model_fields.items() if info.title == "Context")
        values[rows] += other.context - made.context
        return kind.model_validate(values)
    except ValidationError:
        return kind.model_validate({})
