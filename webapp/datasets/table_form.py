"""How a table's columns are used, chosen among those that a check has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from webapp.datasets.forms import KIND_SETTINGS, SettingsForm
from webapp.datasets.table_figures import Column, column_of

#: What a column can be used as: its type, and whether it is a target.
USES: dict[str, tuple[Any, str, bool]] = {
    "number": (_("number"), "number", False),
    "category": (_("category"), "category", False),
    "target_number": (_("target: a number"), "number", True),
    "target_category": (_("target: classes"), "category", True),
    "ignored": (_("left out"), "ignored", False),
}
_CHOICES = [(name, label) for name, (label, _type, _target) in USES.items()]


@dataclass(frozen=True)
class Choice:
    """A column, and the field that says what it is used as; None where nothing can be chosen."""

    column: Column
    field: BoundField | None


class TableForm(SettingsForm):
    """Settings of a table whose columns are known.

    Args:
        columns: ``columns`` of ``dataset.json``.
        targets: The names of its targets, in their order.
        chosen: A spec whose choices count instead, of a check that failed.
    """

    def __init__(
        self,
        *args: Any,
        columns: Sequence[Mapping[str, Any]],
        targets: Sequence[str],
        chosen: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        others = {
            name for kind, names in KIND_SETTINGS.items() if kind != "table" for name in names
        }
        for name in others:
            del self.fields[name]
        del self.fields["format"], self.fields["label_field"], self.fields["label_type"]
        del self.fields["targets"], self.fields["columns"]
        self._columns, self._targets = columns, list(targets)
        for place, column in enumerate(columns):
            if column["reason"] == "nested":
                continue
            self.fields[f"column-{place}"] = forms.ChoiceField(
                label=column["name"], choices=_CHOICES, initial=_use_of(column, chosen)
            )

    @cached_property
    def choices(self) -> list[Choice]:
        """The columns with their fields, in the table's order."""
        return [
            Choice(
                column_of(column, 0),
                self[f"column-{place}"] if f"column-{place}" in self.fields else None,
            )
            for place, column in enumerate(self._columns)
        ]

    def settings(self, data: Mapping[str, Any]) -> dict[str, Any]:
        values = super().settings(data)
        targets: list[str] = []
        types: dict[str, str] = {}
        for place, column in enumerate(self._columns):
            use = data.get(f"column-{place}")
            if use is None:
                continue
            _label, type, is_target = USES[use]
            if is_target:
                targets.append(column["name"])
            if type != column["found"]:
                types[column["name"]] = type
        # Those that were targets before keep their order: the first with classes decides the split.
        before = {name: place for place, name in enumerate(self._targets)}
        targets.sort(key=lambda name: before.get(name, len(before)))
        return values | {"format": "table", "targets": targets, "columns": types}


def _use_of(column: Mapping[str, Any], chosen: Mapping[str, Any] | None) -> str:
    name, type, is_target = column["name"], str(column["type"]), column["target"]
    if chosen is not None:
        type = (chosen.get("columns") or {}).get(name, column["found"])
        is_target = name in (chosen.get("targets") or ())
    if is_target:
        return "target_number" if type == "number" else "target_category"
    return type
