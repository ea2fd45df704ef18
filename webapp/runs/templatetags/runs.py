"""How settings are written on the pages of runs."""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.utils.translation import gettext

from webapp.datasets.models import DatasetVersion
from webapp.runs.form import RunForm
from webapp.runs.forms import form_class
from webapp.runs.models import Run
from webapp.runs.sources import Source
from webapp.runs.twins import Words, pair_of

register = template.Library()


@register.filter
def setting_value(value: Any) -> str:
    """A value of a spec for people: None → "–", True → "yes", lists with commas."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "–"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value) or "–"


@register.filter
def at(mapping: Any, key: str) -> Any:
    """An entry of a dictionary by a variable's value; None when it is not there."""
    return mapping.get(key)


@register.filter
def data_fills(version: DatasetVersion, form: RunForm) -> str:
    """What choosing this data writes into a form, as JSON for the script."""
    return json.dumps(form.data_values(version))


@register.filter
def fills(source: Source, method: str) -> str:
    """What choosing this source writes into a method's form, as JSON for the script."""
    return json.dumps(form_class(method).source_values(source))


@register.filter
def twin_title(run: Run) -> Words:
    """What a twin is called beside its run."""
    return pair_of(run).twin
