"""How a method that makes images enters the registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from training.backbones.generator_config import GeneratorConfig
from training.data.labelled import read_about
from training.estimate import Estimate
from training.evaluation.transfer_gain import LOSS, Measure
from training.generative.loaded import LoadedClasses
from training.generative.settings import GenerativeSpec, for_sounds, scratch_twin
from training.methods.contract import LoopMethod

#: Of two generators the one whose images lie nearer to real ones; another seed changes as much.
FRECHET = Measure("validation_frechet", same=0.1)


def generative_method(
    *,
    name: str,
    title: str,
    summary: str,
    architecture: str,
    settings: type[GenerativeSpec],
    task: Callable[..., Any],
    estimate: Callable[..., Estimate],
    judged: Measure = LOSS,
) -> LoopMethod:
    """The entry of a method that makes images or sounds of classes.

    Args:
        name: As in the spec.
        title: For people.
        summary: One sentence.
        architecture: What it trains.
        settings: Its spec.
        task: Makes its :class:`training.generative.task.GenerativeTask`; imports TensorFlow.
        estimate: What a run will take.
        judged: The curve by which a transfer and its twin are compared.
    """
    return LoopMethod(
        name=name,
        family="task_related",
        title=title,
        summary=summary,
        data=("labelled_image", "labelled_sound"),
        backbones=(architecture,),
        settings=settings,
        example={"data": {"path": "DATASET"}, "model": {"architecture": architecture}},
        checkpoints=("source.checkpoint", "judge.checkpoint"),
        any_kind=frozenset({"judge.checkpoint"}),
        load=partial(LoadedClasses, task, architecture),
        twin=scratch_twin,
        estimate=estimate,
        judged=judged,
        model_of_data=_model_of_data,
    )


def _model_of_data(spec: GenerativeSpec) -> GeneratorConfig | None:
    """The spec's model at the size of the data's sounds; None: the source says it."""
    dataset = Path(spec.data.path)
    if spec.model is None or not (dataset / "dataset.json").is_file():
        return cast(GeneratorConfig | None, spec.model)
    return for_sounds(spec.model, read_about(dataset, sounds=True).get("sound"))
