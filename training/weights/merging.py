"""The job that merges checkpoints, and says how good each way to merge them is.

Without data to be judged by it needs no TensorFlow. Writes ``checkpoint/`` and ``report.json``.
Parents are only read.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.command_specs import MERGES_WITH_BASE, MergeScoringSpec, MergeSpec
from training.data.tokenizers import tokenizer_of
from training.durable import sweep
from training.events import EventLog
from training.report import describe_dataset, write_report
from training.settings import spec_sha256
from training.version import code_version
from training.weights.card import SAID, carried
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.weights.merge import (
    add_adapters,
    interpolate,
    merge_card,
    require_mergeable,
    soup_greedy,
    soup_uniform,
    task_arithmetic,
    ties,
)

Scores = dict[str, float]


def run(spec: MergeSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Merge checkpoints, score the result where data is given, and write it.

    Args:
        spec: What is merged, how, and what it is judged by.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase`` (and ``resources`` while it scores).

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``merge_*``, ``tensor_not_finite``, ``checkpoint_*``, ``weights_*``,
            ``config_*``, ``disk_full_writing``, and what scoring refuses. No checkpoint is left
            then.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="loading", fraction=None, detail="")
    paths = [spec.base, *spec.checkpoints] if _has_base(spec) else spec.checkpoints
    models = [read_checkpoint(Path(path)) for path in paths]
    require_mergeable(models)
    evaluation: _Evaluation | None = None
    if spec.evaluate is None:
        merged, parameters = _merge(spec, models)
    else:
        from training.engine.resources import Watch

        with Watch(events):
            evaluation = _Evaluation(models, spec.evaluate, out, events)
            merged, parameters = _merge_judged(spec, models, evaluation)
    events.emit("phase", name="merging", fraction=None, detail="")
    first = models[0]
    card = write_checkpoint(
        out / "checkpoint",
        first.config,
        merged,
        tokenizer_of(first) if first.config.vocabulary is not None else None,
        {
            **merge_card(spec.method, parameters, models),
            **carried(first.card),
            **_said(models),
            "made_by": {
                "command": "merge",
                "code_version": code_version(),
                "spec_sha256": spec_sha256(spec),
            },
            "scores": evaluation.card_scores() if evaluation is not None else {},
        },
        dropout=first.dropout,
    )
    write_report(
        out,
        "merge",
        spec,
        time.monotonic() - started,
        {
            "merge": card["merge"],
            "parameters": {"total": card["parameters"], "trainable": card["parameters"]},
            "parents": card["parents"],
            "weights_sha256": card["weights_sha256"],
            "evaluation": evaluation.to_json() if evaluation is not None else None,
        },
    )
    shutil.rmtree(out / "cache", ignore_errors=True)
    return {"report": "report.json", "result": "checkpoint"}


def _said(models: Sequence[Checkpoint]) -> dict[str, Any]:
    """What the heads say, where all say the very same: classes in one order, or a number."""
    found = {}
    for name in SAID:
        told = [model.card.get(name) for model in models]
        if told[0] and all(_alike(one, told[0]) for one in told):
            found[name] = told[0]
    return found


def _alike(one: Any, other: Any) -> bool:
    """Whether two heads say the same; a number's mean and deviation are those of some data."""
    if isinstance(one, dict) and isinstance(other, dict):
        return bool(one["name"] == other["name"])
    return bool(one == other)


def _has_base(spec: MergeSpec) -> bool:
    return spec.method in MERGES_WITH_BASE


def _merge(
    spec: MergeSpec, models: Sequence[Checkpoint]
) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
    """The merge that needs no judge, and its parameters for the card."""
    if spec.method == "interpolate":
        assert spec.alpha is not None
        return interpolate(models[0], models[1], spec.alpha), {"alpha": spec.alpha}
    if spec.method == "lora":
        scales = spec.scales or [spec.scale] * len(spec.checkpoints)
        return add_adapters(models[0], models[1:], scales), {"scales": scales}
    if spec.method == "task_arithmetic":
        scales = spec.scales or [spec.scale] * len(spec.checkpoints)
        return task_arithmetic(models[0], models[1:], scales), {"scales": scales}
    if spec.method == "ties":
        merged = ties(models[0], models[1:], spec.keep_percent / 100, spec.scale)
        return merged, {"keep_percent": spec.keep_percent, "scale": spec.scale}
    return soup_uniform(models), {}


def _merge_judged(
    spec: MergeSpec, models: Sequence[Checkpoint], evaluation: _Evaluation
) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
    """The merge, scored; where the spec leaves it open, the one with the lowest loss."""
    assert spec.evaluate is not None
    if spec.method == "interpolate":
        own = [] if spec.alpha is None else [spec.alpha]
        alphas = sorted({0.0, 1.0, *spec.evaluate.alphas, *own})
        evaluation.score(
            [_Point(interpolate(models[0], models[1], alpha), alpha=alpha) for alpha in alphas]
        )
        alpha = spec.alpha if spec.alpha is not None else alphas[evaluation.best()]
        evaluation.result = alphas.index(alpha)
        return interpolate(models[0], models[1], alpha), {"alpha": alpha}
    places = range(len(models))
    singles = [_Point(soup_uniform([models[place]]), models=[place]) for place in places]
    if spec.method == "soup_greedy":
        kept = evaluation.greedy(singles)
        return soup_uniform([models[place] for place in kept]), {"kept": kept}
    merged, parameters = _merge(spec, models)
    evaluation.score([*singles, _Point(merged, models=list(places))])
    evaluation.result = len(singles)
    return merged, parameters


@dataclass
class _Point:
    """Weights that are scored.

    Attributes:
        tensors: The weights.
        alpha: Of an interpolation.
        models: Else: which parents they are made of.
        scores: On each data set, in the spec's order.
    """

    tensors: Mapping[str, np.ndarray]
    alpha: float | None = None
    models: list[int] | None = None
    scores: list[Scores] = field(default_factory=list)

    @property
    def is_parent(self) -> bool:
        return self.alpha in (0, 1) or (self.models is not None and len(self.models) == 1)


class _Evaluation:
    """Scores of several weights on several data sets, one data set in memory at a time."""

    def __init__(
        self, models: Sequence[Checkpoint], spec: MergeScoringSpec, out: Path, events: EventLog
    ) -> None:
        self._models, self._spec, self._out, self._events = models, spec, out, events
        self.points: list[_Point] = []
        self.steps: list[dict[str, Any]] | None = None
        self.result = 0

    def score(self, points: list[_Point]) -> None:
        """Score all of them on every data set."""
        self.points = points
        for place in range(len(self._spec.data)):
            self._score_on(place)

    def _score_on(self, place: int) -> None:
        judge = self._judge(place)
        for number, point in enumerate(self.points):
            self._tell(place, number / len(self.points))
            point.scores.append(judge.scores(point.tensors))

    def greedy(self, singles: list[_Point]) -> list[int]:
        """Find the greedy soup on the first target; then score its steps on the other data."""
        target = self._places("target")[0]
        kept, on_target = self._greedy_on(target, singles)
        for place in range(len(self._spec.data)):
            if place != target:
                self._score_on(place)
            else:
                for point, scores in zip(self.points, on_target, strict=True):
                    point.scores.append(scores)
        self.result = next(n for n, point in enumerate(self.points) if point.models == kept)
        return kept

    def _greedy_on(self, target: int, singles: list[_Point]) -> tuple[list[int], list[Scores]]:
        """The parents that the soup keeps, and each point's scores on the target."""
        judge, most = self._judge(target), 2 * len(singles) - 1
        self.points = list(singles)
        on_target: list[Scores] = []
        for number, point in enumerate(singles):
            self._tell(target, number / most)
            on_target.append(judge.scores(point.tensors))

        def loss_of(places: list[int]) -> float:
            tensors = soup_uniform([self._models[place] for place in places])
            self._tell(target, len(on_target) / most)
            self.points.append(_Point(tensors, models=places))
            on_target.append(judge.scores(tensors))
            return on_target[-1]["loss"]

        kept, steps = soup_greedy([scores["loss"] for scores in on_target], loss_of)
        self.steps = [asdict(step) for step in steps]
        return kept, on_target

    def best(self) -> int:
        """The point with the lowest loss on the target (the mean of several)."""
        return min(range(len(self.points)), key=lambda number: self._loss(number, "target"))

    def card_scores(self) -> Scores:
        """The result's scores on the first target, or where there is none on the first data."""
        place = (self._places("target") or [0])[0]
        scores = self.points[self.result].scores[place]
        wanted = ("loss", "perplexity", "accuracy")
        return {f"{self._spec.split}_{n}": scores[n] for n in wanted if n in scores}

    def to_json(self) -> dict[str, Any]:
        """``evaluation`` of the report; see ``docs/formats.md``."""
        best: dict[str, Any] | None = None
        if self._places("target"):
            number = self.best()
            best = {"point": number, "target_loss": self._loss(number, "target")}
            if self._places("source"):
                loss = self._loss(number, "source")
                parents = [n for n, point in enumerate(self.points) if point.is_parent]
                least = min(self._loss(parent, "source") for parent in parents)
                best |= {"source_loss": loss, "source_cost": loss - least}
        return {
            "method": self._spec.method,
            "split": self._spec.split,
            "data": [
                {"role": data.role, **describe_dataset(Path(data.path))} for data in self._spec.data
            ],
            "points": [
                {"alpha": point.alpha, "models": point.models, "scores": point.scores}
                for point in self.points
            ],
            "steps": self.steps,
            "result": self.result,
            "best": best,
        }

    def _judge(self, place: int) -> Any:
        from training.engine.evaluate import Judge

        path = Path(self._spec.data[place].path)
        return Judge(self._models[0], path, self._spec, self._out, self._events)

    def _tell(self, place: int, share: float) -> None:
        fraction = (place + share) / len(self._spec.data)
        name = Path(self._spec.data[place].path).name
        self._events.emit("phase", name="evaluating", fraction=fraction, detail=name)

    def _places(self, role: str) -> list[int]:
        return [place for place, data in enumerate(self._spec.data) if data.role == role]

    def _loss(self, number: int, role: str) -> float:
        losses = [self.points[number].scores[place]["loss"] for place in self._places(role)]
        return sum(losses) / len(losses)
