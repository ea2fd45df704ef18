"""Runs that make tiny images, so small that a test can afford several trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.integration.training.labelled import report
from training.engine.run import run as train
from training.engine.schedule import learning_rate
from training.engine.state import Position
from training.events import EventLog
from training.generative.loaded import LoadedClasses
from training.generative.settings import GenerativeSpec
from training.methods.registry import LOOP_METHODS

METHODS = ("cvae", "cgan")
MODELS: dict[str, dict[str, Any]] = {
    "cvae": {
        "architecture": "conditional_vae",
        "in_channels": 3,
        "width": 4,
        "latent": 4,
        "embedding": 4,
        "hidden": 16,
    },
    "cgan": {
        "architecture": "conditional_gan",
        "in_channels": 3,
        "width": 4,
        "latent": 6,
        "embedding": 4,
        "discriminator_width": 4,
    },
}


def spec_of(method: str, dataset: Path, **parts: Any) -> dict[str, Any]:
    """A spec as JSON; ``parts`` override section by section. A source takes the model's place."""
    spec: dict[str, Any] = {
        "method": method,
        "seed": 3,
        "data": {"path": str(dataset)},
        "model": MODELS[method],
        "objective": {},
        "training": {"steps": 5, "batch_size": 8, "warmup_steps": 2, "learning_rate": 1e-3},
        "evaluation": {
            "every": 3,
            "checkpoint_every": 3,
            "sample_every": 3,
            "samples": 3,
            "batches": 2,
            "images": 20,
        },
        "judge": {"epochs": 2},
        "devices": {"kind": "cpu"},
    }
    if "source" in parts:
        del spec["model"]
    for name, part in parts.items():
        both = isinstance(part, dict) and isinstance(spec.get(name), dict)
        spec[name] = {**spec[name], **part} if both else part
    return spec


def validated(spec: dict[str, Any]) -> GenerativeSpec:
    found = LOOP_METHODS[spec["method"]].settings.model_validate(spec)
    assert isinstance(found, GenerativeSpec)
    return found


def run(out: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Train in this process, or go on training; the report."""
    out.mkdir(exist_ok=True)
    log = EventLog(out / "events.jsonl")
    try:
        train(validated(spec), out, log)
    finally:
        log.close()
    return report(out)


def loaded(spec: dict[str, Any], folder: Path) -> LoadedClasses:
    """The data and the configuration of a run; no TensorFlow."""
    folder.mkdir(exist_ok=True)
    log = EventLog(folder / "events.jsonl")
    try:
        found = LOOP_METHODS[spec["method"]].load(validated(spec), folder, log)
    finally:
        log.close()
    assert isinstance(found, LoadedClasses)
    return found


def built(spec: dict[str, Any], folder: Path, strategy: Any = None) -> Any:
    """The same with its model, as it is before the first step: a ``GenerativeTask``."""
    import tensorflow as tf

    ready = loaded(spec, folder)
    log = EventLog(folder / "events.jsonl")
    strategy = strategy or tf.distribute.get_strategy()
    try:
        return ready.build(compute_dtype="float32", fused=True, strategy=strategy, events=log)
    finally:
        log.close()


def named(task: Any) -> dict[str, np.ndarray]:
    """A copy of everything that a task trains, follows or keeps."""
    return {name: np.array(v.value) for name, v in task.model.named_variables.items()}


class Steps:
    """A run that is taken step by step, without looks.

    Attributes:
        task: What is trained.
        loop: Its loop.
        weights: Everything, before the first step and after each.
        losses: Of each step.
    """

    def __init__(self, spec: dict[str, Any], folder: Path, strategy: Any = None) -> None:
        import tensorflow as tf

        from training.engine.loop import Loop

        self.task = built(spec, folder, strategy)
        strategy = strategy or tf.distribute.get_strategy()
        position = Position(0, 0, spec["seed"], "", 0.0, (1, 1))
        log = EventLog(folder / "events.jsonl")
        self.loop = Loop(validated(spec), self.task, strategy, position, log, folder / "state")
        log.close()
        self.weights = [named(self.task)]
        self.losses: list[float] = []

    def take(self, count: int) -> Steps:
        """So many more steps, at the run's learning rate."""
        for _ in range(count):
            step = len(self.weights)
            rate = learning_rate(self.task.spec.training, step)
            loss, _norm, _examples = self.loop._update(step, rate)
            self.losses.append(loss)
            self.weights.append(named(self.task))
        return self
