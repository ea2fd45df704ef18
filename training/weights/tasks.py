"""What a model is for: its task, by architecture and head. Without NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.errors import gettext_noop as _

#: Task → its title for people.
TASKS: dict[str, str] = {
    "causal_language_modelling": _("language modelling"),
}

#: (architecture, the configuration's ``head`` where the architecture has several) → task.
TASK_OF: dict[tuple[str, str | None], str] = {
    ("gpt2", None): "causal_language_modelling",
}


def task_of(architecture: str, config: Mapping[str, Any]) -> str:
    """The task of a model, a key of :data:`TASKS`; empty when nobody said.

    Args:
        architecture: A key of the registry of backbones.
        config: Its configuration as stored with a checkpoint.
    """
    return TASK_OF.get((architecture, config.get("head")), "")
