"""What features are computed of: texts or images, their labels, and what they are compared with.

A method works on any kind of data through :class:`Material`; a further kind is a class here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from training.backbones.image_config import ImageConfig
from training.data.labelled import Labelled, read_about
from training.data.pixels import ANY_PX, statistics_of
from training.data.tokenizers import tokenizer_of
from training.errors import TrainingError
from training.features.answers import answers_of
from training.features.images import image_features
from training.features.settings import (
    FeatureSettings,
    ImagePooling,
    TextPooling,
    require_kind,
    require_settings,
)
from training.hashing import file_hash
from training.weights.checkpoint import Checkpoint

Progress = Callable[[float], None]


class Material(ABC):
    """Labelled examples, and a checkpoint that they are shown to.

    Attributes:
        source: The checkpoint.
        settings: How its features are taken.
        kind: Of the data, ``text`` or ``image``.
        answers: What their labels are.
        train: What is fitted on.
        scored: What is scored on.
        split: The split that this is: the test's, or the validation's where there is no test.
    """

    def __init__(
        self, source: Checkpoint, settings: FeatureSettings, dataset: Path, about: dict[str, Any]
    ) -> None:
        self.source, self.settings = source, settings
        self.kind, self.answers = str(about["kind"]), answers_of(about)
        train = self.answers.split(dataset, "train", about)
        if not train:
            raise TrainingError("split_missing", field="data.path", split="train")
        self.train = train
        for split in ("test", "validation"):
            if scored := self.answers.split(dataset, split, about):
                self.scored, self.split = scored, split
                return
        raise TrainingError("split_missing", field="data.path", split="validation")

    @property
    def splits(self) -> dict[str, Labelled]:
        """What features are needed of."""
        return {"train": self.train, self.split: self.scored}

    def key(self, examples: Labelled) -> dict[str, Any]:
        """All that the features of a split depend on beside the weights, as JSON."""
        return {
            "config": self.source.config.model_dump(mode="json"),
            "content": file_hash(examples.content),
            "pooling": self.settings.pooling,
            **self.own_key(),
        }

    @abstractmethod
    def own_key(self) -> dict[str, Any]:
        """What :meth:`key` has for this kind of data alone; its names belong to no other kind."""

    @abstractmethod
    def features(self, model: Any, examples: Labelled, progress: Progress) -> np.ndarray:
        """Features of a split, float32 [examples, width], or, where attention is to pool them,
        [examples, places, channels]; TensorFlow is running."""


class Texts(Material):
    """Texts and a language model."""

    def __init__(self, source: Checkpoint, *parts: Any) -> None:
        super().__init__(source, *parts)
        self.tokenizer = tokenizer_of(source)

    def own_key(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.sha256, "most_tokens": self.settings.most_tokens}

    def features(self, model: Any, examples: Labelled, progress: Progress) -> np.ndarray:
        from training.features.texts import text_features

        return text_features(
            model,
            self.tokenizer,
            examples.rows,
            cast(TextPooling, self.settings.pooling),
            most_tokens=self.settings.most_tokens,
            batch_size=self.settings.batch_size,
            progress=progress,
        )


class Images(Material):
    """Images and a network that sees them."""

    def __init__(self, source: Checkpoint, settings: FeatureSettings, *parts: Any) -> None:
        super().__init__(source, settings, *parts)
        config = cast(ImageConfig, source.config)
        self.px = settings.image_px or config.fixed_px or ANY_PX
        self.statistics = statistics_of(settings.normalisation, source.card, config.in_channels)

    def own_key(self) -> dict[str, Any]:
        mean, deviation = self.statistics
        return {"image_px": self.px, "mean": list(mean), "std": list(deviation)}

    def features(self, model: Any, examples: Labelled, progress: Progress) -> np.ndarray:
        return image_features(
            model,
            examples.rows,
            examples.pixels,
            cast(ImagePooling, self.settings.pooling),
            self.statistics,
            px=self.px,
            batch_size=self.settings.batch_size,
            progress=progress,
        )


MATERIALS: dict[str, type[Material]] = {"text": Texts, "image": Images}


def read_material(source: Checkpoint, settings: FeatureSettings, dataset: Path) -> Material:
    """The labelled examples of a prepared data set, for a checkpoint that reads such.

    Raises:
        TrainingError: ``dataset_without_labels``, ``split_missing``, ``features_need_*``,
            ``pooling_*``, ``image_channels``, ``image_size_fixed``.
    """
    about = read_about(dataset)
    require_kind(source.config, about["kind"])
    require_settings(source.config, settings)
    return MATERIALS[about["kind"]](source, settings, dataset, about)
