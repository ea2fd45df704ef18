"""What a trained model predicts, by its configuration and its card. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.backbones.contract import BackboneConfig
from training.ensembles.spec import MEMBERS
from training.methods.task_related.classification_spec import classes_of
from training.methods.task_related.regression_spec import target_of

#: What a target is called whose name nobody said.
LABEL = "label"
#: Architectures that predict once they were trained to; an ensemble does too.
PREDICTORS = (*MEMBERS, "multi_task")


@dataclass(frozen=True)
class Target:
    """What a model predicts of an example.

    Attributes:
        name: Of the column; empty: nobody said.
        classes: In the order of the outputs; empty: it is a number.
    """

    name: str
    classes: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        return not self.classes

    @property
    def type(self) -> str:
        """``number`` or ``category``."""
        return "number" if self.is_number else "category"


def targets_of(config: BackboneConfig, card: Mapping[str, Any]) -> tuple[Target, ...]:
    """What a checkpoint predicts, the main target first; none: it predicts nothing.

    Of a model of tables with one target its column's name is in ``table.json`` alone.
    """
    if config.architecture not in PREDICTORS:
        return ()
    if config.architecture == "multi_task":
        told = card.get("tasks") or ()
        return tuple(Target(one["name"], tuple(one.get("classes") or ())) for one in told)
    names = classes_of(config, card)
    if len(names) > 1 and getattr(config, "num_classes", len(names)) == len(names):
        return (Target("", tuple(names)),)
    number = target_of(config, card)
    return (Target(number),) if number is not None else ()
