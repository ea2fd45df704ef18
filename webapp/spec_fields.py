"""Form fields made from the engine's spec: titles, help, defaults and ranges are written once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from training.settings import Problem

FIELDS: dict[Any, type[forms.Field]] = {
    int: forms.IntegerField,
    float: forms.FloatField,
    str: forms.CharField,
}


def field_of(model: type[BaseModel], name: str, **options: Any) -> forms.Field:
    """A form field for one number or text of a spec.

    Args:
        model: The spec's model.
        name: Its field, of type int, float or str, or such a number or None.
        options: Override what follows from the spec.
    """
    info = model.model_fields[name]
    attributes: dict[str, Any] = {}
    # ``int | None``: a number that may be left empty.
    kind = FIELDS[next((one for one in get_args(info.annotation)), info.annotation)]
    settings: dict[str, Any] = {}
    for rule in info.metadata:
        if isinstance(rule, Ge):
            settings["min_value"] = attributes["min"] = rule.ge
        elif isinstance(rule, Gt):
            attributes["min"] = rule.gt
        elif isinstance(rule, Le):
            settings["max_value"] = attributes["max"] = rule.le
        elif isinstance(rule, Lt) and kind is forms.IntegerField:
            settings["max_value"] = attributes["max"] = rule.lt - 1  # type: ignore[operator]
        elif isinstance(rule, MaxLen):
            settings["max_length"] = rule.max_length
    if kind is forms.FloatField:
        attributes["step"] = "any"
    if kind is forms.CharField:
        attributes = {}
    field = kind(**(settings | told(model, name) | options))
    field.widget.attrs.update(attributes)
    return field


def told(model: type[BaseModel], name: str) -> dict[str, Any]:
    """Title, help and default of a spec's field, as a form field's arguments."""
    info = model.model_fields[name]
    found: dict[str, Any] = {
        "label": _lazy(info.title) if info.title else name,
        "help_text": _lazy(info.description) if info.description else "",
    }
    if info.default is not PydanticUndefined:
        found["initial"] = info.default
    return found


def show_problems(form: forms.Form, problems: Iterable[Problem]) -> None:
    """Put what a spec refuses at the form's fields; of unknown fields at the top."""
    for problem in problems:
        name = problem.field.split(".")[0]
        text = gettext(problem.message) % problem.params
        form.add_error(name if name in form.fields else None, text)
