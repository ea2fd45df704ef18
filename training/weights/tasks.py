"""What a model is for: its task, by architecture and head. Without NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.backbones.registry import BACKBONES
from training.errors import gettext_noop as _
from training.weights.card import ENSEMBLE

#: Task → its title for people.
TASKS: dict[str, str] = {
    "causal_language_modelling": _("language modelling"),
    "masked_language_modelling": _("filling in masked words"),
    "text_classification": _("text classification"),
    "text_regression": _("a number of each text"),
    "token_classification": _("a tag of each word"),
    "text_features": _("features of text"),
    "image_classification": _("image classification"),
    "image_features": _("features of images"),
    "image_regression": _("a number of each image"),
    "table_classification": _("classification of rows"),
    "image_generation": _("images of a class"),
    "table_tasks": _("several targets of rows"),
}

#: (architecture, the configuration's ``head`` where the architecture has several) → task.
TASK_OF: dict[tuple[str, str | None], str] = {
    **{(name, None): "causal_language_modelling" for name in ("gpt2", "gpt3", "opt")},
    **{
        (name, head): task
        for name in ("bert", "distilbert", "roberta")
        for head, task in {
            "none": "text_features",
            "masked_lm": "masked_language_modelling",
            "pretraining": "masked_language_modelling",
            "classification": "text_classification",
            "token_classification": "token_classification",
        }.items()
    },
    **{
        (name, None): "image_classification"
        for name, backbone in BACKBONES.items()
        if backbone.kind == "image"
    },
    ("wide_deep", None): "table_classification",
    ("conditional_vae", None): "image_generation",
    ("conditional_gan", None): "image_generation",
    ("multi_task", None): "table_tasks",
}

#: Task of a head that tells classes apart → the task of the same head with one output.
REGRESSION_OF = {
    "text_classification": "text_regression",
    "image_classification": "image_regression",
}

#: Task of a network with a head → the task of the same network without one.
FEATURES_OF = {"image_classification": "image_features"}


def task_of(architecture: str, config: Mapping[str, Any]) -> str:
    """The task of a model, a key of :data:`TASKS`; empty when nobody said.

    Args:
        architecture: A key of the registry of backbones.
        config: Its configuration as stored with a checkpoint.
    """
    if architecture == ENSEMBLE:
        return f"{config['kind']}_classification"
    found = TASK_OF.get((architecture, config.get("head")), "")
    outputs = config.get("num_classes", len(config.get("labels") or ()))
    # A head with one output tells no classes apart: it says a number.
    others = {0: FEATURES_OF, 1: REGRESSION_OF}.get(outputs, {})
    return others.get(found, found)
