"""What the engine knows of a method, and nothing more.

A method is one file with a :class:`Method` in it: light enough to import anywhere. The engine's
loop trains a :class:`LoopMethod`: ``load`` reads the data and the tokenizer (no TensorFlow yet),
``build`` on what it returns makes the :class:`Task`. A :class:`WorkMethod` takes no steps, and does
all of its work by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from training.backbones.contract import BackboneConfig
from training.errors import TrainingError
from training.events import EventLog
from training.settings import Settings
from training.spec import RunSpec

Batch = tuple[np.ndarray, ...]


class Task(Protocol):
    """A model with its data, ready to train; TensorFlow is running."""

    model: Any
    parameters: dict[str, int]
    weights_event: dict[str, Any] | None

    def batch(self, index: int) -> Batch:
        """Micro-batch number ``index`` from 0, the same at every call."""
        ...

    def epoch(self, sequences: int) -> tuple[int, int]:
        """Epoch and index within it after so many sequences."""
        ...

    def gradients(self, batch: Any, seed: Any, variables: list[Any]) -> tuple[Any, Any, list[Any]]:
        """In a graph: summed loss, what it is summed over, gradients of the sum."""
        ...

    def evaluation_batches(self, split: str, limit: int) -> Iterator[Batch]:
        """Batches of one shape; none when there is no such split."""
        ...

    def scores(self, batch: Any) -> dict[str, Any]:
        """In a graph: sums over a batch."""
        ...

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The report's scores from the sums of all batches; ``loss`` is what is minimised."""
        ...

    def samples(self) -> Iterator[dict[str, str]]:
        """What the model makes at the moment, for people: ``{prompt, text}``."""
        ...

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write the checkpoint of these trained weights; its card."""
        ...


class Loaded(Protocol):
    """Data and configuration, before TensorFlow is imported."""

    config: Any

    def needed_memory(self) -> int:
        """Bytes that training will take."""
        ...

    def build(
        self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog
    ) -> Task: ...


@dataclass(frozen=True)
class Method:
    """An entry of the registry.

    Attributes:
        name: As in the spec.
        family: ``self_supervised``, ``task_related`` or ``feature_matching``.
        title: For people.
        summary: One sentence.
        data: Kinds of data sets it takes.
        backbones: Architectures it trains.
        settings: Its spec.
        example: Fields that a spec cannot do without, to be edited.
    """

    name: str
    family: str
    title: str
    summary: str
    data: tuple[str, ...]
    backbones: tuple[str, ...]
    settings: type[Settings]
    example: Mapping[str, Any]

    def require_trained(self, config: BackboneConfig) -> None:
        """Refuse a source whose architecture it does not train.

        Raises:
            TrainingError: ``architecture_not_trained``.
        """
        if config.architecture not in self.backbones:
            raise TrainingError(
                "architecture_not_trained",
                field="source.checkpoint",
                method=self.title,
                architecture=config.architecture,
                known=", ".join(self.backbones),
            )


@dataclass(frozen=True)
class LoopMethod(Method):
    """A method that the engine's loop trains.

    Attributes:
        load: Reads data and configuration.
        load_split: The same for scoring weights on one split alone.
    """

    load: Callable[[RunSpec, Path, EventLog], Loaded]
    load_split: Callable[[RunSpec, Path, EventLog, str], Loaded]


@dataclass(frozen=True)
class WorkMethod(Method):
    """A method without steps.

    Attributes:
        work: Does everything in a working directory; gives the fields of the ``finished`` event.
    """

    work: Callable[[Any, Path, EventLog], dict[str, str]]
