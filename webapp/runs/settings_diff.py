"""Settings side by side: what a run changed from the defaults, and what tells runs apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from training.spec import RunSpec
from webapp.runs import fields

_ABSENT = object()
#: Told on the page in words, with links.
_ELSEWHERE = ("data.path", "source.checkpoint", "tokenizer.checkpoint", "version", "method")
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


def flat(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"training.steps": 400, …}``; parts that are None are left out."""
    found: dict[str, Any] = {}
    for key, value in spec.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}.")
        elif value is not None or path in fields.paths():
            found[path] = value
    return found


def title(path: str) -> str:
    """What a setting is called."""
    try:
        return gettext(fields.info(path).title or path)
    except KeyError:
        return path


def side_by_side(specs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Every setting of any of the specs, in the schema's order."""
    flats = [flat(spec) for spec in specs]
    paths = list(dict.fromkeys(path for settings in flats for path in settings))
    order = {path: number for number, path in enumerate(fields.paths())}
    paths.sort(key=lambda path: order.get(path, -1))
    rows = []
    for path in paths:
        if path in _ELSEWHERE or path == "model.architecture":
            continue
        values = [settings.get(path, _ABSENT) for settings in flats]
        rows.append(
            Row(
                path,
                title(path),
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
    base = flat(RunSpec.model_validate(_with_defaults(spec)).model_dump(mode="json"))
    found = []
    for row in side_by_side([spec]):
        default = base.get(row.path)
        if row.values[0] != default and row.path not in _IN_WORDS:
            found.append((row, default))
    return found


def _with_defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The least that makes a spec: its data and source, all else left out."""
    least: dict[str, Any] = {"data": spec["data"]}
    if spec.get("model"):
        least["model"] = {}
    if spec.get("source"):
        least["source"] = {"checkpoint": spec["source"]["checkpoint"]}
    if (spec.get("training") or {}).get("lora"):
        least["training"] = {"lora": {}}
    # GPT-2's own context is longer than the default sequence; nothing here can contradict.
    return least
