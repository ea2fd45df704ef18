"""Images, classes and configuration of a run that makes images, before TensorFlow is imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.backbones.generator_config import MOST_CLASSES, GeneratorConfig
from training.backbones.registry import BACKBONES
from training.data.inputs import ImageInputs, WholeInputs
from training.data.labelled import Labelled, class_names, labelled_split, read_about
from training.data.pixels import NORMALISATIONS
from training.errors import TrainingError
from training.events import EventLog
from training.generative.settings import GenerativeSpec, for_sounds, rows_of, with_rows
from training.sound.mel import SoundShape, shape_of
from training.weights.checkpoint import Checkpoint, read_checkpoint

SPLITS = ("train", "validation", "test")
#: Images of a class, without which there is nothing but copying it.
LEAST_IMAGES = 2


class LoadedClasses:
    """See :class:`training.methods.contract.Loaded`.

    Args:
        task: Makes the task; imports TensorFlow.
        architecture: What the method trains.
        spec: The run.
        out: Its folder; what took time to compute is kept in ``cache/``.
        events: Not needed.
        splits: Which are read.

    Attributes:
        config: The model, with a row for each class.
        source: The opened source, or None.
        names: The data's classes, the largest first.
        rows: The classes of the model's rows: the source's, then those that it lacks.
        row_of: Class of the data → row of the model, int32 [classes].
        splits: Those that there are, by name; labels are the data's classes.
        inputs: Images, or pictures of sounds, as the model has them.
        sound: How sounds are pictured; None: the data are images.
        cache: Where something may be kept.
    """

    def __init__(
        self,
        task: Callable[..., Any],
        architecture: str,
        spec: GenerativeSpec,
        out: Path | None = None,
        events: EventLog | None = None,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        self.spec, self._task = spec, task
        self.cache = None if out is None else out / "cache"
        dataset = Path(spec.data.path)
        about = read_about(dataset, sounds=True)
        if about["kind"] not in ("image", "sound"):
            raise TrainingError("method_needs_labelled_images", field="data.path")
        self.names = class_names(about)
        require_classes(len(self.names))
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        base = spec.model
        if self.source is not None:
            require_architecture(self.source.config.architecture, architecture)
            base = base or self.source.config
        assert isinstance(base, GeneratorConfig)
        self.sound = shape_of(about["sound"]) if about["kind"] == "sound" else None
        base = self._sized(base)
        self.rows = rows_of(known_classes(self.source), self.names)
        require_classes(len(self.rows))
        self.config = with_rows(base, len(self.rows))
        self.row_of = np.array([self.rows.index(name) for name in self.names], np.int32)
        self.splits: dict[str, Labelled] = {}
        for split in splits:
            examples = labelled_split(dataset, split, about)
            if examples is not None and len(examples):
                self.splits[split] = examples
            elif split in ("train", "validation"):
                raise TrainingError("split_missing", field="data.path", split=split)
        if "train" in self.splits:
            require_images(self.splits["train"].labels, self.names)
        self.inputs = self._inputs()

    def _sized(self, config: GeneratorConfig) -> GeneratorConfig:
        """The model at the size of the sounds; a source keeps its own, which must be theirs.

        Raises:
            TrainingError: ``generate_square``, ``sound_other_size``, ``sound_other_shape``.
        """
        if self.sound is None:
            if config.width_px not in (None, config.image_px):
                raise TrainingError("generate_square", field="model.width_px")
            return config
        found = for_sounds(config, self.sound.as_dict())
        if self.source is not None:
            require_same_sound(self.source, found, self.sound)
        return found

    def _inputs(self) -> ImageInputs:
        if self.sound is not None:
            return WholeInputs(self.config.size)
        channels = self.config.in_channels
        grey, ones = NORMALISATIONS["unit"]
        statistics = grey[:channels], ones[:channels]
        return ImageInputs(self.config.image_px, channels, statistics)

    @property
    def width(self) -> int:
        return 0  # convolutions in bfloat16 are no quicker on a processor

    def needed_memory(self) -> int:
        from training.methods.registry import LOOP_METHODS

        estimated = LOOP_METHODS[self.spec.method].estimate(self.spec, self.config)
        return estimated.memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        return self._task(self, compute_dtype, strategy, events)


def known_classes(source: Checkpoint | None) -> list[str]:
    """The classes of a source's rows, from its card; none without a source.

    Raises:
        TrainingError: ``checkpoint_without_classes``.
    """
    if source is None:
        return []
    found = source.card.get("classes")
    config = source.config
    count = config.num_classes if isinstance(config, GeneratorConfig) else -1
    if not isinstance(found, list) or len(found) != count:
        raise TrainingError("checkpoint_without_classes", field="source.checkpoint")
    return [str(name) for name in found]


def require_same_sound(source: Checkpoint, config: GeneratorConfig, sound: SoundShape) -> None:
    """Refuse a source whose pictures are of another size, or of other sounds.

    Args:
        source: It.
        config: The model at the size of the data's pictures.
        sound: How the data's sounds are pictured.

    Raises:
        TrainingError: ``sound_other_size``, ``sound_other_shape``.
    """
    known = source.config
    assert isinstance(known, GeneratorConfig)
    if (known.size, known.in_channels) != (config.size, 1):
        raise TrainingError(
            "sound_other_size",
            field="source.checkpoint",
            known="{} × {}".format(*known.size),
            found="{} × {}".format(*config.size),
        )
    if "sound" in source.card:
        theirs = shape_of(source.card["sound"])
        if (theirs.rate, theirs.window, theirs.hop) != (sound.rate, sound.window, sound.hop):
            raise TrainingError(
                "sound_other_shape", field="source.checkpoint", known=theirs.rate, found=sound.rate
            )


def require_architecture(found: str, wanted: str) -> None:
    """Refuse a source of another kind, by name.

    Raises:
        TrainingError: ``architecture_not_trained``.
    """
    if found != wanted:
        raise TrainingError(
            "architecture_not_trained",
            field="source.checkpoint",
            method=BACKBONES[wanted].title,
            architecture=found,
            known=wanted,
        )


def require_classes(count: int) -> None:
    """Refuse one class alone, and too many.

    Raises:
        TrainingError: ``generate_one_class``, ``generate_too_many_classes``.
    """
    if count < 2:
        raise TrainingError("generate_one_class", field="data.path")
    if count > MOST_CLASSES:
        raise TrainingError(
            "generate_too_many_classes", field="data.path", classes=count, most=MOST_CLASSES
        )


def require_images(labels: Any, names: Sequence[str]) -> None:
    """Refuse a class of which there is too little to learn from.

    Raises:
        TrainingError: ``generate_class_too_small``.
    """
    counts = np.bincount(labels, minlength=len(names))
    smallest = int(counts.argmin())
    if counts[smallest] < LEAST_IMAGES:
        raise TrainingError(
            "generate_class_too_small",
            field="data.path",
            name=names[smallest],
            images=int(counts[smallest]),
            least=LEAST_IMAGES,
        )
