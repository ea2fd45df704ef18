"""How a method on two views enters the registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from training.backbones.registry import BACKBONES
from training.evaluation.transfer_gain import Measure
from training.methods.contract import LoopMethod
from training.siamese.loaded import LoadedImages
from training.siamese.settings import SiameseSpec, estimate_run, scratch_twin

#: A loss on two views does not say which of two networks has the better features.
NEIGHBOURS = Measure("validation_knn", rising=True)


def siamese_method(
    *,
    name: str,
    family: str,
    title: str,
    summary: str,
    settings: type[SiameseSpec],
    task: Callable[..., Any],
) -> LoopMethod:
    """The entry of a method on two views.

    Args:
        name: As in the spec.
        family: See :class:`training.methods.contract.Method`.
        title: For people.
        summary: One sentence.
        settings: Its spec.
        task: Makes its :class:`training.siamese.task.SiameseTask`; imports TensorFlow.
    """
    return LoopMethod(
        name=name,
        family=family,
        title=title,
        summary=summary,
        data=("image",),
        backbones=tuple(key for key, backbone in BACKBONES.items() if backbone.kind == "image"),
        settings=settings,
        example={
            "data": {"path": "DATASET"},
            "model": {"architecture": "resnet", "depths": [2, 2], "group_width": 16},
        },
        checkpoints=("source.checkpoint", "views.checkpoint"),
        load=partial(LoadedImages, task),
        twin=scratch_twin,
        estimate=estimate_run,
        judged=NEIGHBOURS,
    )
