"""How a method of fine-tuning enters the registry."""

from __future__ import annotations

from collections.abc import Callable

from training.backbones.registry import BACKBONES
from training.fine_tuning.settings import FineTuningSpec, estimate_run, scratch_twin
from training.methods.contract import Loaded, LoopMethod


def fine_tuning_method(
    *,
    name: str,
    title: str,
    summary: str,
    data: tuple[str, ...],
    settings: type[FineTuningSpec],
    load: Callable[..., Loaded],
    kinds: tuple[str, ...] = ("text", "image"),
) -> LoopMethod:
    """The entry of a method that trains a network with a head on labelled texts or images.

    Args:
        name: As in the spec.
        title: For people.
        summary: One sentence.
        data: Kinds of data sets it takes.
        settings: Its spec.
        load: Makes its :class:`training.fine_tuning.loaded.LoadedExamples`.
        kinds: What the networks read that it trains.
    """
    return LoopMethod(
        name=name,
        family="task_related",
        title=title,
        summary=summary,
        data=data,
        backbones=tuple(
            name
            for name, backbone in BACKBONES.items()
            if backbone.kind in kinds and not backbone.writes
        ),
        settings=settings,
        example={
            "data": {"path": "DATASET"},
            "source": {"checkpoint": "CHECKPOINT"},
        },
        checkpoints=("source.checkpoint", "inputs.checkpoint"),
        load=load,
        twin=scratch_twin,
        estimate=estimate_run,
    )
