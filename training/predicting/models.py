"""Trained models as what predicts: networks, models of tables, heads on frozen features, ensembles.

:func:`open_predictor` opens any of them; what each is shown is what it was trained with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from training.backbones.multi_task.config import MultiTaskConfig
from training.backbones.registry import BACKBONES, model_class
from training.backbones.wide_deep.config import WideDeepConfig
from training.data.labelled import Labelled
from training.data.pixels import ANY_PX
from training.data.table_features import TableFeatures, read_features
from training.data.table_tasks import read_tasks
from training.data.tables import Table
from training.data.tokenizers import tokenizer_of
from training.errors import TrainingError
from training.evaluation.classification import log_softmax, softmax
from training.features.heads import load_head
from training.features.number_heads import NumberHead
from training.features.settings import ImagePooling, TextPooling
from training.predicting.given import Given, GivenExamples
from training.predicting.given_tables import GivenTable, inputs_of
from training.predicting.inputs import (
    InputSizes,
    inputs_for,
    network_outputs,
    sizes_of,
)
from training.predicting.outputs import Outputs, Progress, table_outputs
from training.predicting.targets import Target, targets_of
from training.weights.checkpoint import Checkpoint, read_checkpoint

#: What a log probability is at least, where a model of tables says that there is none.
LEAST = 1e-30


class Predictor(ABC):
    """A trained model.

    Attributes:
        kind: What it reads: ``text``, ``image`` or ``table``.
        title: Of its architecture, for people.
        targets: What it predicts, the main one first.
        checkpoints: What it is made of.
    """

    kind: str
    title: str
    targets: tuple[Target, ...]
    checkpoints: Sequence[Checkpoint]

    @property
    def reads_pairs(self) -> bool | None:
        """Whether it learned from pairs of texts; None: nobody knows."""
        told = [(one.card.get("inputs") or {}).get("pairs") for one in self.checkpoints]
        return told[0] if len(set(told)) == 1 else None

    @property
    def image_px(self) -> int | None:
        """Side of the squares of images that it sees; None: it sees none, or of several sizes."""
        return None

    @property
    def channels(self) -> int | None:
        """Of the images that it sees; None: it sees none, or its members see several."""
        told = {getattr(one.config, "in_channels", None) for one in self.checkpoints}
        return told.pop() if len(told) == 1 else None

    @property
    def weights_sha256(self) -> str:
        """Identity of its weights."""
        return self.checkpoints[0].weights_sha256

    @property
    def learned_from(self) -> set[str]:
        """Identities of the data that its cards name."""
        return data_of([one.card for one in self.checkpoints])

    def given(self, dataset: Path, split: str) -> Given:
        """What it is shown of a prepared data set.

        Raises:
            TrainingError: ``predict_other_kind``, ``predict_pairs_*``, ``split_missing``,
                ``predict_columns_missing``.
        """
        found = GivenExamples(dataset, split)
        if found.kind != self.kind:
            raise other_kind(self, found.kind)
        if self.kind == "text" and self.reads_pairs not in (None, found.is_pairs):
            code = "predict_pairs_unexpected" if found.is_pairs else "predict_pairs_expected"
            raise TrainingError(code, field="data.path")
        return found

    @abstractmethod
    def outputs(self, given: Any, batch_size: int, progress: Progress) -> list[Outputs]:
        """Of each target what its head says of each example, in their order: scores of the
        classes, float64 [examples, classes], or the number in its units, [examples, 1]."""

    def predict(self, given: Given, batch_size: int, progress: Progress) -> list[Outputs]:
        """Of each target the probabilities, float64 [examples, classes], or the numbers,
        [examples]."""
        found = self.outputs(given, batch_size, progress)
        return [
            one[:, 0] if target.is_number else softmax(one)
            for target, one in zip(self.targets, found, strict=True)
        ]


class Network(Predictor):
    """A network of texts or images that tells classes apart or predicts a number.

    Args:
        checkpoint: It.
        sizes: What it is shown.
        field: Of the spec, which a refusal names.

    Raises:
        TrainingError: ``predict_without_head``.
    """

    def __init__(self, checkpoint: Checkpoint, sizes: InputSizes, field: str) -> None:
        backbone = BACKBONES[checkpoint.config.architecture]
        self.kind, self.title, self.checkpoints = backbone.kind, backbone.title, [checkpoint]
        self._sizes, self._field = sizes, field
        self.targets = targets_of(checkpoint.config, checkpoint.card)
        if not self.targets:
            raise TrainingError("predict_without_head", field=field, architecture=self.title)

    @property
    def image_px(self) -> int | None:
        return (self._sizes.image_px or ANY_PX) if self.kind == "image" else None

    def outputs(self, given: GivenExamples, batch_size: int, progress: Progress) -> list[Outputs]:
        (checkpoint,) = self.checkpoints
        inputs = inputs_for(checkpoint, self._sizes, given.rows, self._field)
        found = network_outputs(checkpoint, inputs, given.parts, batch_size, progress)
        return [given.in_order(found)]


class TableModel(Predictor):
    """Wide & Deep, or a model of several targets of a table.

    Raises:
        TrainingError: ``checkpoint_without_table``.
    """

    kind = "table"

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoints, self.title = [checkpoint], BACKBONES[checkpoint.config.architecture].title
        self.features = read_features(checkpoint.folder)
        self._tasks = read_tasks(checkpoint.folder)
        if self._tasks:
            self.targets = tuple(Target(one.name, one.classes) for one in self._tasks)
        else:
            self.targets = (Target(self.features.target, self.features.classes),)

    def given(self, dataset: Path, split: str) -> GivenTable:
        return given_table(self, [self.features], dataset, split)

    def outputs(self, given: GivenTable, batch_size: int, progress: Progress) -> list[Outputs]:
        return self.of_table(given.table_of(self.features), progress)

    def of_table(self, table: Table, progress: Progress | None = None) -> list[Outputs]:
        """The same of a table that is read already, by its own lists of categories.

        Missing values and categories that the model has never seen have weights of their own.

        Raises:
            TrainingError: ``table_columns_missing``.
        """
        (checkpoint,) = self.checkpoints
        config = checkpoint.config
        model = model_class(config.architecture)(config)
        model.load_named(checkpoint.tensors())
        call: Callable[[tuple[Any, ...]], Sequence[Any]]
        if isinstance(config, MultiTaskConfig):

            def call(rows: tuple[Any, ...]) -> Sequence[Any]:
                return cast(Sequence[Any], model((rows[0], rows[2]), training=False))
        else:

            def call(rows: tuple[Any, ...]) -> Sequence[Any]:
                return [model(rows, training=False)]

        found = table_outputs(call, self.features.of(table), progress)
        return [
            task.in_units(one) if task is not None and task.is_number else one
            for task, one in zip(self._tasks or [None], found, strict=True)
        ]


def given_table(
    predictor: Predictor, features: Sequence[TableFeatures], dataset: Path, split: str
) -> GivenTable:
    """The rows that models of tables are shown.

    Raises:
        TrainingError: ``predict_other_kind``, ``split_missing``, ``predict_columns_missing``.
    """
    if not (dataset / "columns.json").is_file():
        raise other_kind(predictor, "")
    names = [target.name for target in predictor.targets]
    return GivenTable(dataset, split, inputs_of(features), names)


class FrozenHead(Predictor):
    """A head on the features of a frozen model.

    Raises:
        TrainingError: ``predict_head_of_another``, ``checkpoint_invalid``.
    """

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        self._head, self._about = load_head(folder)
        if self._about.get("weights_sha256") != checkpoint.weights_sha256:
            raise TrainingError("predict_head_of_another", field="head")
        backbone = BACKBONES[checkpoint.config.architecture]
        self.kind, self.title, self.checkpoints = backbone.kind, backbone.title, [checkpoint]
        classes = tuple(map(str, self._about.get("classes", ())))
        self.targets = (Target(str(self._about.get("target", "")), classes),)

    @property
    def reads_pairs(self) -> bool | None:
        return cast("bool | None", self._about.get("pairs"))

    @property
    def image_px(self) -> int | None:
        return self._about.get("image_px")

    @property
    def learned_from(self) -> set[str]:
        # The features' own data beside what the head was fitted on.
        return super().learned_from | data_of([self._about])

    def outputs(self, given: GivenExamples, batch_size: int, progress: Progress) -> list[Outputs]:
        (checkpoint,) = self.checkpoints
        model = model_class(checkpoint.config.architecture)(checkpoint.config)
        model.load_named(checkpoint.tensors())
        found, before, total = [], 0, len(given)
        for part in given.parts:

            def tell(share: float, start: int = before, count: int = len(part)) -> None:
                progress((start + share * count) / total)

            said = self._head.predict(self._features(model, part, batch_size, tell))
            if isinstance(self._head, NumberHead):
                found.append(said[:, None])
            else:
                # Its scores are probabilities; their logarithms are scores that say the same.
                found.append(np.log(np.maximum(said, LEAST)))
            before += len(part)
        return [given.in_order(np.concatenate(found))]

    def _features(
        self, model: Any, part: Labelled, batch_size: int, progress: Progress
    ) -> np.ndarray:
        about, (checkpoint,) = self._about, self.checkpoints
        if self.kind == "text":
            from training.features.texts import text_features

            return text_features(
                model,
                tokenizer_of(checkpoint),
                part.rows,
                cast(TextPooling, about["pooling"]),
                most_tokens=about["most_tokens"],
                batch_size=batch_size,
                progress=progress,
            )
        from training.features.images import image_features

        return image_features(
            model,
            part.rows,
            part.pixels,
            cast(ImagePooling, about["pooling"]),
            (tuple(about["mean"]), tuple(about["std"])),
            px=about["image_px"],
            batch_size=batch_size,
            progress=progress,
        )


def data_of(cards: Sequence[Mapping[str, Any]]) -> set[str]:
    """Identities of the data that cards name."""
    told = ((card.get("data") or {}).get("sha256") for card in cards)
    return {str(one) for one in told if one}


def other_kind(predictor: Predictor, kind: str) -> TrainingError:
    """The refusal of data that a model does not read."""
    return TrainingError(f"predict_needs_{predictor.kind}", field="data.path", found=kind)


def network_of(checkpoint: Checkpoint, image_px: int | None, most_tokens: int) -> Predictor:
    """A checkpoint of one network.

    Raises:
        TrainingError: ``predict_without_head``, ``checkpoint_without_table``.
    """
    if isinstance(checkpoint.config, WideDeepConfig | MultiTaskConfig):
        return TableModel(checkpoint)
    return Network(checkpoint, sizes_of(checkpoint, image_px, most_tokens), "checkpoint")


class Together(Predictor):
    """An ensemble: its members, each shown an example in its own way, and their combination.

    Raises:
        TrainingError: ``ensemble_expected``, ``checkpoint_*``, ``weights_*``.
    """

    def __init__(self, folder: Path) -> None:
        from training.ensembles.folder import read_ensemble

        ensemble = read_ensemble(folder)
        self._combined, self.card = ensemble.combined, ensemble.card
        self.kind, self.title = ensemble.config.kind, "Ensemble"
        self.targets = (Target(ensemble.config.target, tuple(ensemble.config.classes)),)
        self.checkpoints = ensemble.members
        self._members: list[Predictor] = [
            TableModel(one) if self.kind == "table" else Network(one, told.inputs, "checkpoint")
            for one, told in zip(ensemble.members, ensemble.config.members, strict=True)
        ]

    @property
    def image_px(self) -> int | None:
        sides = {one.image_px for one in self._members}
        return sides.pop() if len(sides) == 1 else None

    @property
    def weights_sha256(self) -> str:
        return str(self.card["weights_sha256"])

    @property
    def learned_from(self) -> set[str]:
        return super().learned_from | data_of([self.card])

    def given(self, dataset: Path, split: str) -> Given:
        if self.kind != "table":
            return super().given(dataset, split)
        features = [one.features for one in self._members if isinstance(one, TableModel)]
        return given_table(self, features, dataset, split)

    def outputs(self, given: Any, batch_size: int, progress: Progress) -> list[Outputs]:
        names, count, told = self.targets[0].classes, len(self._members), []
        for number, member in enumerate(self._members):

            def tell(share: float, before: int = number) -> None:
                progress((before + share) / count)

            (said,) = member.outputs(given, batch_size, tell)
            order = [member.targets[0].classes.index(name) for name in names]
            told.append(log_softmax(said)[:, order])
        return [np.log(np.maximum(self._combined.predict(np.stack(told)), LEAST))]


def open_predictor(
    folder: Path, head: Path | None, image_px: int | None, most_tokens: int
) -> Predictor:
    """Whatever predicts: a checkpoint, a head on one's features, or an ensemble.

    Args:
        folder: The checkpoint's.
        head: Of a head on its features; None: it predicts itself.
        image_px: Side of what a network of images sees, where its card does not say.
        most_tokens: The same of texts.

    Raises:
        TrainingError: ``predict_without_head``, ``predict_head_of_another``, ``checkpoint_*``,
            ``weights_*``.
    """
    from training.ensembles.folder import is_ensemble

    if head is not None:
        return FrozenHead(read_checkpoint(folder), head)
    if is_ensemble(folder):
        return Together(folder)
    return network_of(read_checkpoint(folder), image_px, most_tokens)
