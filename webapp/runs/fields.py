"""How the settings of a spec become inputs; what they mean stands in the spec's model alone.

Titles, help, ranges, choices and defaults are read from the pydantic models. A :class:`Layout` adds
only the order, which settings most people never touch, and the few widgets that differ from the
obvious; :mod:`webapp.runs.layouts` has one for each method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from django.utils.functional import Promise
from django.utils.translation import gettext
from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Section:
    """A group of settings on the page.

    Attributes:
        key: Its id on the page.
        title: For people.
        paths: Dotted paths of settings, in order.
        advanced: Those that most people never touch.
    """

    key: str
    title: str | Promise
    paths: tuple[str, ...]
    advanced: tuple[str, ...] = ()


@dataclass
class Setting:
    """One setting as a form shows it.

    Attributes:
        path: Dotted path in the spec; also the input's name.
        widget: ``number``, ``integer``, ``text``, ``checkbox``, ``select``, ``checkboxes`` or
            ``lines``.
        title: For people.
        help: One sentence.
        range: ``1 – 4,096``, where there are bounds.
        choices: Value and name of each.
        default: As it is written in the form.
        value: As typed: text, yes or no, or several texts.
        errors: Sentences.
    """

    path: str
    widget: str
    title: str
    help: str
    range: str
    choices: list[tuple[str, str]]
    default: Any
    value: Any = ""
    errors: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.path.replace(".", "-")


@dataclass(frozen=True, eq=False)
class Layout:
    """The settings of one method's spec, as a form has them.

    Attributes:
        spec: The pydantic model.
        groups: In the order of the page.
        apart: Settings that stand elsewhere on the page.
        lines: Settings entered as one line of text each.
        choice_names: What a choice is called, where its value alone says too little.
    """

    spec: type[BaseModel]
    groups: tuple[Section, ...]
    apart: tuple[str, ...] = ()
    lines: frozenset[str] = frozenset()
    choice_names: Mapping[str, Mapping[str, str | Promise]] = field(default_factory=dict)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every setting that the form has an input for."""
        found = [path for group in self.groups for path in group.paths + group.advanced]
        return (*found, *self.apart)

    def info(self, path: str) -> FieldInfo:
        """The schema's entry of a dotted path.

        Raises:
            KeyError: There is no such setting.
        """
        return _info(self.spec, path)

    def widget(self, path: str) -> str:
        """What a setting is entered with."""
        if path in self.lines:
            return "lines"
        (kind,) = _options(self.info(path).annotation)
        if kind is bool:
            return "checkbox"
        if get_origin(kind) is list:
            return "checkboxes"
        if get_origin(kind) is Literal:
            return "select"
        return {int: "integer", float: "number"}.get(kind, "text")

    def nullable(self, path: str) -> bool:
        """Whether the setting may be left empty."""
        annotation = self.info(path).annotation
        return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)

    def choices(self, path: str) -> list[tuple[str, str]]:
        """The values to choose from, with their names."""
        (kind,) = _options(self.info(path).annotation)
        if get_origin(kind) is list:
            (kind,) = get_args(kind)
        if get_origin(kind) is not Literal:
            return []
        names = self.choice_names.get(path, {})
        return [(str(value), str(names.get(str(value), value))) for value in get_args(kind)]

    def default(self, path: str) -> Any:
        """The schema's default, as the form writes it."""
        return self.written(path, self.info(path).get_default(call_default_factory=True))

    def written(self, path: str, value: Any) -> Any:
        """A value of a spec as the form shows it: text, yes or no, or several texts."""
        match self.widget(path):
            case "checkbox":
                return bool(value)
            case "lines":
                return "\n".join(_line(item) for item in value or [])
            case "checkboxes":
                return [str(item) for item in value or []]
        if isinstance(value, float):
            return f"{value:.12g}"
        return "" if value is None else str(value)

    def typed(self, path: str, value: Any) -> Any:
        """An input's text as pydantic takes it: empty is None where the setting allows that."""
        match self.widget(path):
            case "checkbox" | "checkboxes":
                return value
            case "lines":
                return [line.strip() for line in str(value).splitlines() if line.strip()]
        text = str(value).strip()
        if not text and self.nullable(path):
            return None
        number = {"integer": int, "number": float}.get(self.widget(path))
        try:
            return number(text) if number else text
        except ValueError:
            return text  # pydantic says what is wrong with it

    def range_text(self, path: str) -> str:
        """The bounds as people read them, empty where there are none."""
        low = high = None
        open_low = open_high = False
        for bound in self.info(path).metadata:
            low = getattr(bound, "ge", getattr(bound, "gt", low))
            high = getattr(bound, "le", getattr(bound, "lt", high))
            open_low |= hasattr(bound, "gt")
            open_high |= hasattr(bound, "lt")
        if self.widget(path) not in {"integer", "number"}:
            return ""
        lower = "" if low is None else (f"> {low:,g}" if open_low else f"{low:,g}")
        upper = "" if high is None else (f"< {_large(high)}" if open_high else _large(high))
        if lower and upper:
            return f"{lower} … {upper}"
        if lower and not open_low:
            return gettext("from %(low)s") % {"low": lower}
        return lower or upper

    def setting(self, path: str, value: Any = None, errors: list[str] | None = None) -> Setting:
        """A setting with what was typed and what is wrong with it."""
        found = self.info(path)
        return Setting(
            path=path,
            widget=self.widget(path),
            title=gettext(found.title or path.rpartition(".")[2]),
            help=gettext(found.description) if found.description else "",
            range=self.range_text(path),
            choices=self.choices(path),
            default=self.default(path) if not found.is_required() else "",
            value=value,
            errors=errors or [],
        )


def _line(item: Any) -> str:
    """One item of a list; of names that belong together, all of them."""
    return " × ".join(map(str, item)) if isinstance(item, list | tuple) else str(item)


@cache
def _info(spec: type[BaseModel], path: str) -> FieldInfo:
    model = spec
    *parents, last = path.split(".")
    for part in parents:
        found = _model(model.model_fields[part].annotation)
        if found is None:
            raise KeyError(path)
        model = found
    return model.model_fields[last]


def _model(annotation: Any) -> type[BaseModel] | None:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _options(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of ``X | None``, None left out."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(option for option in get_args(annotation) if option is not NoneType)
    return (annotation,)


def _large(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
