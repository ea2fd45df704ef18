"""How checkpoints are written on pages."""

from __future__ import annotations

from django import template

from webapp.checkpoints import selectors
from webapp.checkpoints.models import Checkpoint

register = template.Library()

register.filter("architecture_title", selectors.architecture_title)
register.filter("task_title", selectors.task_title)
register.filter("method_title", selectors.method_title)


@register.filter
def main_score(checkpoint: Checkpoint) -> tuple[str, str] | None:
    """Title and value of the one score that a list shows."""
    return selectors.main_score(checkpoint)


@register.filter
def significant(value: float | None) -> str:
    """A value of a tensor with four significant digits; None → "–"."""
    return "–" if value is None else f"{value:.4g}"
