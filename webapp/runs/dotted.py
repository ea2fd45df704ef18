"""Parts of a spec by their dotted paths, ``training.steps``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.runs.fields import Layout


def at(tree: Any, path: str, default: Any = None) -> Any:
    """A part of nested mappings by its dotted path."""
    for part in path.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return default
        tree = tree[part]
    return tree


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a part of nested dictionaries by its dotted path."""
    *parents, last = path.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[last] = value


def flat(tree: Mapping[str, Any], layout: Layout, prefix: str = "") -> dict[str, Any]:
    """``{"training.steps": 400, …}``; parts that are None are left out, settings are not."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, layout, f"{path}.")
        elif value is not None or path in layout.paths:
            found[path] = value
    return found
