"""What the engine knows of a method, and nothing more.

A method is a file with a :class:`Method` in it, light enough to import anywhere; what needs
TensorFlow stands beside it in ``NAME_task.py``, a large spec in ``NAME_spec.py``. The engine's
loop trains a :class:`LoopMethod`: ``load`` reads the data and the tokenizer (no TensorFlow yet),
``build`` on what it returns makes the :class:`Task`. A :class:`WorkMethod` takes no steps, and does
all of its work by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from training.backbones.contract import BackboneConfig
from training.engine.phases import Phase, first_steps
from training.errors import TrainingError
from training.estimate import Estimate
from training.evaluation.transfer_gain import LOSS, Measure
from training.events import EventLog
from training.settings import Settings
from training.spec import DataSpec, DeviceSpec, LookSpec, OptimisationSpec, SourceSpec

Batch = tuple[np.ndarray, ...]


class LoopSpec(Protocol):
    """What the engine reads of the spec of any method that its loop trains."""

    @property
    def method(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def data(self) -> DataSpec: ...
    @property
    def source(self) -> SourceSpec | None: ...
    @property
    def training(self) -> OptimisationSpec: ...
    @property
    def evaluation(self) -> LookSpec: ...
    @property
    def devices(self) -> DeviceSpec: ...


class Task(ABC):
    """A model with its data, ready to train; TensorFlow is running.

    Attributes:
        model: Has ``named_variables``, ``trainable_names()`` and ``followed_names()`` of a
            :class:`training.backbones.named.NamedModel`.
        parameters: ``total`` and ``trainable``.
        weights_event: What was copied from the source, with its proof; None: there is none.
        counts: What the mask of a batch counts.
        keeps: Which weights are the result: those of the ``best`` validation loss, or the ``last``,
            where the loss does not say how good they are.
        told: Scores of the report that the checkpoint's card has too.
        phases: Which weights are trained when.
        rates: Tensor name → its learning rate as a multiple of the run's; 1 where it is missing.
        unscheduled: Tensors whose learning rate stays at the peak.
        sample_every: Steps between two samples; None: it makes none.
    """

    model: Any
    parameters: dict[str, int]
    weights_event: dict[str, Any] | None
    counts: Literal["tokens", "examples", "words"]
    keeps: Literal["best", "last"] = "best"
    told: tuple[str, ...] = ("loss", "perplexity", "accuracy")
    phases: tuple[Phase, ...]
    rates: Mapping[str, float] = {}
    unscheduled: Collection[str] = frozenset()
    sample_every: int | None = None

    @abstractmethod
    def batch(self, index: int) -> Batch:
        """Micro-batch number ``index`` from 0, the same at every call; its mask stands last."""

    @abstractmethod
    def epoch(self, sequences: int) -> tuple[int, int]:
        """Epoch and index within it after so many sequences."""

    @abstractmethod
    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """In a graph: summed loss, what it is summed over, gradients of the sum.

        Args:
            parts: A replica's part of a batch.
            seed: int32 [2], the run's and a number that no other micro-batch and replica has.
            variables: What to differentiate by: the phase's tensors, in its order.
            phase: Which part of the run.
        """

    def optimizer(self, variables: Mapping[str, Any], training: OptimisationSpec) -> Any:
        """A :class:`training.engine.optimizer.Optimizer` of what is trained; default: AdamW.

        Made within the strategy's scope, when the variables have their starting values.
        """
        from training.engine.optimizer import AdamW

        return AdamW(variables, training, self.rates, first_steps(self.phases), self.unscheduled)

    def follow(self, step: Any) -> None:
        """In a graph, in cross-replica context, after an update: change what follows the weights.

        Args:
            step: The update's number from 1, float32 scalar.
        """
        return

    @abstractmethod
    def evaluation_batches(self, split: str, limit: int) -> Iterator[Batch]:
        """Batches of one shape; none when there is no such split."""

    @abstractmethod
    def scores(self, parts: Any) -> dict[str, Any]:
        """In a graph: sums over a batch."""

    @abstractmethod
    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The report's scores from the sums of all batches; ``loss`` is what is minimised."""

    def look(self, scores: Mapping[str, float]) -> dict[str, float]:
        """The points of the curves that a look at the validation split adds.

        Args:
            scores: From :meth:`summarise`.
        """
        return {"validation_loss": scores["loss"], "validation_accuracy": scores["accuracy"]}

    def measure(self, split: str) -> dict[str, float]:
        """Further scores of a split for the report, beside those that are sums over batches."""
        return {}

    def samples(self) -> Iterator[dict[str, Any]]:
        """What the model makes at the moment, for people: ``{prompt, text}``; of pictures also
        ``image``, ``type`` and ``set``, as in the event ``sample``; ``sounds``: what is to be heard
        of them, see :func:`training.events.tell_sample`."""
        yield from ()

    @abstractmethod
    def report(self, events: EventLog) -> dict[str, Any]:
        """With the best weights: what else this method's report says."""

    @abstractmethod
    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write the checkpoint of these trained weights; its card."""


class Loaded(Protocol):
    """Data and configuration, before TensorFlow is imported.

    Attributes:
        config: The model.
        width: Of its matrix products; 0: whatever it is, bfloat16 is not worth it.
    """

    config: Any

    @property
    def width(self) -> int: ...

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
        checkpoints: Dotted paths of the fields that name a checkpoint.
    """

    name: str
    family: str
    title: str
    summary: str
    data: tuple[str, ...]
    backbones: tuple[str, ...]
    settings: type[Settings]
    example: Mapping[str, Any]
    checkpoints: tuple[str, ...]

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
        load: Reads data and configuration; of the splits named, or of all.
        twin: A transfer's spec and its source's configuration → the same run without the source.
        estimate: A spec, the configuration of its model or source, and of methods on examples how
            many a second were measured → what it will take.
        judged: The curve by which a transfer and its twin are compared.
        any_kind: Those of :attr:`checkpoints` that may be of an architecture it does not train.
        single: A spec → the same run without what it learns beside its main task; None where there
            is nothing of the kind. The twin of a run without a source.
        model_of_data: A spec → the configuration of its model, where the data decide that or some
            of it; None: the spec or its source says it.
    """

    load: Callable[..., Loaded]
    twin: Callable[[Any, Any], Any]
    estimate: Callable[..., Estimate]
    judged: Measure = LOSS
    any_kind: frozenset[str] = frozenset()
    single: Callable[[Any], Any | None] = lambda _spec: None
    model_of_data: Callable[[Any], BackboneConfig | None] | None = None


@dataclass(frozen=True)
class WorkMethod(Method):
    """A method without steps.

    Attributes:
        work: Does everything in a working directory; gives the fields of the ``finished`` event.
    """

    work: Callable[[Any, Path, EventLog], dict[str, str]]
