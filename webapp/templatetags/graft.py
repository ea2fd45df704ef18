"""How numbers, fields and links are written on pages: builtin in every template."""

from __future__ import annotations

import re

from django import forms, template
from django.forms import BoundField
from django.template import Context

from webapp.accounts.audit import ACTIONS

register = template.Library()

_HASH = re.compile(r"[0-9a-f]{40,64}")


@register.filter
def short_number(value: float | None) -> str:
    """1334016 → "1.33 M"; three significant digits, None → "–"."""
    if value is None:
        return "–"
    for limit, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@register.filter
def file_size(value: float | None) -> str:
    """Bytes in binary units: 1536 → "1.5 KiB"."""
    if value is None:
        return "–"
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


@register.filter
def clock(value: float | None) -> str:
    """Seconds as people read them: 75 → "1:15", 4000 → "1:06:40"."""
    if value is None:
        return "–"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@register.filter
def decimals(value: float | None, places: int = 3) -> str:
    """A loss or a score with fixed places; None (not finite, not known) → "–"."""
    return "–" if value is None else f"{value:.{places}f}"


@register.filter
def amount(value: float | None) -> str:
    """A number of any size: 12345.0 → "12,345", 0.12345678 → "0.1235", 2.5e9 → "2.5 G"."""
    if value is None:
        return "–"
    if abs(value) >= 1e6:
        return short_number(value)
    whole = value == int(value) or abs(value) >= 1e4
    return f"{value:,.0f}" if whole else f"{value:.4g}"


@register.filter
def scientific(value: float | None) -> str:
    """A difference of any size: 2.38e-06 → "2.4e-06", 5.66 → "5.7"."""
    return "–" if value is None else f"{value:.2g}"


@register.filter
def as_control(field: BoundField) -> str:
    """A form field's widget with Bootstrap's class for it, the invalid one after an error."""
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        classes = "form-check-input"
    elif isinstance(widget, forms.Select):
        classes = "form-select"
    elif isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        classes = ""
    else:
        classes = "form-control"
    if field.errors:
        classes += " is-invalid"
    own = widget.attrs.get("class", "")
    return field.as_widget(attrs={"class": f"{own} {classes}".strip()})


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Whether the field is one box to tick: its label stands after it."""
    return isinstance(field.field.widget, forms.CheckboxInput)


@register.filter
def percent(value: float | None, places: int = 0) -> str:
    """A share 0..1 as people write it: 0.123 → "12%"."""
    return "–" if value is None else f"{100 * value:.{places}f}%"


@register.filter
def action_text(action: str) -> str:
    """What a line of the audit trail says was done: "run.create" → "started the run"."""
    return str(ACTIONS.get(action, action))


@register.filter
def action_details(data: dict[str, object]) -> str:
    """What a line of the audit trail holds beside, without what is empty; hashes by their start."""
    parts = []
    for name, value in data.items():
        if value in (None, "", False, [], {}):
            continue
        many = value if isinstance(value, list) else [value]
        shown = (str(one)[:12] if _HASH.fullmatch(str(one)) else str(one) for one in many)
        named = name.replace("_", " ")
        parts.append(named if value is True else f"{named}: {', '.join(shown)}")
    return " · ".join(parts)


@register.filter
def initials(person: object) -> str:
    """One or two letters that stand for a person: "Ada Lovelace" → "AL", "李白" → "李"."""
    words = str(person).split("@")[0].replace(".", " ").split()
    if not words:
        return "?"
    if not words[0].isascii():
        return words[0][0]
    return "".join(word[0] for word in (words[0], words[-1])[: min(len(words), 2)]).upper()


@register.simple_tag(takes_context=True)
def with_query(context: Context, **changes: object) -> str:
    """The address' query with some parameters changed and the page's key dropped.

    ``{% with_query cursor=page.next %}`` keeps filters and sort; an empty value removes one.
    """
    query = context["request"].GET.copy()
    query.pop("cursor", None)
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return "?" + query.urlencode()
