"""Runs so small that a test can afford several: trained whole, built only, or step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from training.engine.run import run as train
from training.engine.schedule import learning_rate
from training.engine.state import Position
from training.events import EventLog, read_events
from training.methods.registry import LOOP_METHODS
from training.weights.checkpoint import read_checkpoint


def with_parts(spec: dict[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """A spec as JSON, overridden section by section; a model is replaced as a whole."""
    found = dict(spec)
    for name, part in parts.items():
        both = isinstance(part, dict) and isinstance(found.get(name), dict) and name != "model"
        found[name] = {**found[name], **part} if both else part
    return found


def validated(spec: dict[str, Any]) -> Any:
    """The spec of its method."""
    return LOOP_METHODS[spec["method"]].settings.model_validate(spec)


def run(out: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Train in this process, or go on training; the report."""
    out.mkdir(exist_ok=True)
    log = EventLog(out / "events.jsonl")
    try:
        train(validated(spec), out, log)
    finally:
        log.close()
    return report(out)


def loaded(spec: dict[str, Any], folder: Path) -> Any:
    """The data and the configuration of a run; no TensorFlow."""
    folder.mkdir(exist_ok=True)
    log = EventLog(folder / "events.jsonl")
    try:
        return LOOP_METHODS[spec["method"]].load(validated(spec), folder, log)
    finally:
        log.close()


def built(spec: dict[str, Any], folder: Path, strategy: Any = None) -> Any:
    """The same with its model, as it is before the first step: its method's task."""
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


def report(out: Path) -> dict[str, Any]:
    """A finished run's."""
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def state_of(out: Path, step: int, file: str = "weights") -> dict[str, np.ndarray]:
    """What a run kept on disk at a step."""
    return load_file(out / "state" / f"step-{step:08d}" / f"{file}.safetensors")


def tensors(folder: Path) -> dict[str, np.ndarray]:
    """A checkpoint's, every hash verified."""
    return dict(read_checkpoint(folder, verify=True).tensors())


def changed(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> set[str]:
    """Names of the tensors that are not the same bit for bit."""
    assert before.keys() == after.keys()
    return {name for name in before if not np.array_equal(before[name], after[name])}


def told(out: Path, kind: str) -> list[dict[str, Any]]:
    """A run's events of a kind."""
    return [event for event in read_events(out / "events.jsonl")[0] if event["kind"] == kind]
