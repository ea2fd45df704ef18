"""Settings side by side: what a run changed from the defaults, and what tells runs apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from training.backbones.registry import BACKBONES
from training.methods.registry import LOOP_METHODS
from webapp.runs.dotted import flat
from webapp.runs.fields import Layout
from webapp.runs.layouts import CAUSAL_LM, LAYOUTS

_ABSENT = object()
#: Told on the page in words, with links.
_ELSEWHERE = frozenset(
    {
        *("data.path", "version", "method"),
        *(path for method in LOOP_METHODS.values() for path in method.checkpoints),
    }
)
#: A model's size has no default worth telling; it is said in one line.
_IN_WORDS = frozenset(
    f"model.{name}" for name in ("n_layer", "n_embd", "n_head", "n_positions", "vocab_size")
)


@dataclass(frozen=True)
class Row:
    """One setting.

    Attributes:
        path: Dotted path.
        title: For people; the path where the schema has no title.
        values: One a run, None where it does not apply.
        differs: Whether they are not all equal.
    """

    path: str
    title: str
    values: list[Any]
    differs: bool


def layout_of(spec: Mapping[str, Any]) -> Layout:
    """How the settings of a spec's method are laid out."""
    return LAYOUTS.get(spec.get("method", ""), CAUSAL_LM)


def title(path: str, specs: Sequence[Mapping[str, Any]]) -> str:
    """What a setting is called, by the first spec that has such; its path where nobody says."""
    for spec in specs:
        part, _dot, name = path.partition(".")
        if part == "model" and spec.get("model"):
            architecture = spec["model"].get("architecture", "gpt2")
            found = BACKBONES[architecture].config.model_fields.get(name)
        else:
            try:
                found = layout_of(spec).info(path)
            except KeyError:
                found = None
        if found is not None and found.title:
            return gettext(found.title)
    return path


def side_by_side(specs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Every setting of any of the specs, in the schema's order."""
    flats = [flat(spec, layout_of(spec)) for spec in specs]
    paths = list(dict.fromkeys(path for settings in flats for path in settings))
    layouts = list(dict.fromkeys(layout_of(spec) for spec in specs))
    known = dict.fromkeys(path for layout in layouts for path in layout.paths)
    order = {path: number for number, path in enumerate(known)}
    paths.sort(key=lambda path: order.get(path, -1))
    rows = []
    for path in paths:
        if path in _ELSEWHERE or path == "model.architecture":
            continue
        values = [settings.get(path, _ABSENT) for settings in flats]
        rows.append(
            Row(
                path,
                title(path, specs),
                [None if value is _ABSENT else value for value in values],
                any(_same(value) != _same(values[0]) for value in values),
            )
        )
    return rows


def _same(value: Any) -> Any:
    """What does not apply, what is not set and what is empty make the same run."""
    return None if value is _ABSENT or value == [] else value


def changed(spec: Mapping[str, Any]) -> list[tuple[Row, Any]]:
    """The settings that are not at their default, with the default; for one run's page."""
    layout = layout_of(spec)
    defaults = layout.spec.model_validate(_with_defaults(spec))
    base = flat(defaults.model_dump(mode="json"), layout)
    found = []
    for row in side_by_side([spec]):
        default = base.get(row.path)
        if row.values[0] != default and row.path not in _IN_WORDS:
            found.append((row, default))
    return found


def _with_defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The least that makes a spec: its data and source, all else left out."""
    least: dict[str, Any] = {"data": spec["data"], "method": spec["method"]}
    if spec.get("model"):
        least["model"] = {"architecture": spec["model"].get("architecture", "gpt2")}
    if spec.get("source"):
        least["source"] = {"checkpoint": spec["source"]["checkpoint"]}
    if (spec.get("training") or {}).get("lora"):
        least["training"] = {"lora": {}}
    # GPT-2's own context is longer than the default sequence; nothing here can contradict.
    return least
