"""Names of columns in a form, one a line: a name may hold commas, and hardly ever a line break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms


class LinesField(forms.CharField):
    """Text whose lines count, each without spaces around it."""

    def __init__(self, **options: Any) -> None:
        attributes = {"rows": 2, "autocomplete": "off", "spellcheck": "false"}
        super().__init__(required=False, widget=forms.Textarea(attrs=attributes), **options)

    def lines(self, value: Any) -> list[str]:
        """Those that hold something."""
        stripped = (line.strip() for line in super().clean(value).splitlines())
        return [line for line in stripped if line]


class NamesField(LinesField):
    """A list of names, one a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        return self.lines(value)


class TypesField(LinesField):
    """A type for each of some names, "name = type" a line."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{name} = {type}" for name, type in value.items())
        return value

    def clean(self, value: Any) -> dict[str, str]:
        # The last sign, since a name may hold one; a line without any is refused as a type.
        pairs = [line.rpartition("=")[::2] for line in self.lines(value)]
        return {name.strip(): type.strip() for name, type in pairs}
