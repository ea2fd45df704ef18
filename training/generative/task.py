"""A model that makes images of classes: what the loop trains for all such methods.

A method's task says what is minimised, how an image is made, and which scores of its own it has.
Watching, pictures, report and checkpoint are the same.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.backbones.generator_model import GeneratorModel
from training.data.order import rows_of_batch
from training.engine.phases import one_phase
from training.events import EventLog, tell_sample
from training.generative.judge import LOOKED_AT, Judge, judge_of
from training.generative.loaded import LoadedClasses
from training.generative.measures import (
    COMPARED,
    Images,
    Labels,
    Reference,
    class_means,
    compared,
    copying,
    measured,
    nearest,
    noise,
    real_ones,
    spread,
)
from training.generative.pictures import Pixels, as_event, as_pixels, in_rows, write_rows
from training.generative.settings import MOST_SHOWN
from training.generative.sounds import heard_of, wavs
from training.methods.contract import Batch
from training.methods.examples_task import ExamplesTask
from training.report import describe_dataset
from training.weights.carrying import plan_from, start_weights
from training.weights.initial import generator, initial_weights

#: Many times as many images as a look takes are measured for the report, and numbers (of pixels) of
#: those that are held in memory together, unless a look takes more.
REPORT_FACTOR, MOST_VALUES = 10, 20_000_000
#: Images that are made together.
MADE = 100
#: Steps from one latent to another, and nearest training images that are shown of one made.
BETWEEN, NEIGHBOURS = 8, 3


class GenerativeTask(ExamplesTask):
    """See :class:`training.methods.contract.Task`.

    Attributes:
        model: Both networks.
        judge: Measures what is made.
    """

    told = ("class_accuracy", "frechet")
    model: GeneratorModel
    judge: Judge

    def __init__(
        self, loaded: LoadedClasses, compute_dtype: str, strategy: Any, events: EventLog
    ) -> None:
        self.loaded, self.spec = loaded, loaded.spec
        events.emit("phase", name="building", fraction=None, detail="")
        afresh = self.spec.source.reinitialise if self.spec.source is not None else []
        plan = plan_from(loaded.source, loaded.config, afresh)
        with strategy.scope():
            self.model = self.network(compute_dtype)
        names = [one.name for one in loaded.config.tensors()]
        self.weights_event = start_weights(
            plan,
            loaded.source,
            initial_weights(loaded.config, self.spec.seed),
            events,
            load=self.start,
            named=lambda: {name: self.model.named()[name] for name in names},
        )
        self.phases = one_phase(self.model.trainable_names())
        count = loaded.config.parameter_count()
        self.parameters = {"total": count, "trainable": count}
        self.sample_every = self.spec.evaluation.sample_every
        self._made = tf.function(self.made, autograph=False)
        self.judge = judge_of(loaded, events)
        split = "test" if "test" in loaded.splits else "validation"
        self.judge.try_on(self._in_parts(split), loaded.splits[split].labels)

    # --- what a method says --------------------------------------------------------------------

    @abstractmethod
    def network(self, compute_dtype: str) -> Any:
        """The model, with what follows it; within the strategy's scope."""

    def start(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set everything that it has, from the weights of a checkpoint."""
        self.model.load_named(weights)

    @abstractmethod
    def made(self, latents: Any, labels: Any) -> Any:
        """In a graph: images in 0..1, as its checkpoint will make them.

        Args:
            latents: float32 [batch, latent].
            labels: int32 [batch], the model's rows.
        """

    def further_pictures(self) -> dict[str, dict[str, tuple[Pixels, int]]]:
        """Name of a set → class → images and columns, of what only this method can show."""
        return {}

    # --- examples --------------------------------------------------------------------------------

    def arrays(self, split: str, rows: Any) -> Batch:
        examples = self.loaded.splits[split]
        (pixels,) = self.loaded.inputs.take(examples, rows)
        labels = self.loaded.row_of[examples.labels[rows]]
        return pixels, labels, np.ones(len(rows), np.float32)

    def batch(self, index: int) -> Batch:
        seed, count = self.spec.seed, len(self.loaded.splits["train"])
        return self.arrays(
            "train", rows_of_batch(seed, index, self.spec.training.batch_size, count)
        )

    def real(self, split: str, places: Any = None) -> Images:
        """Images of a split in 0..1, float32 [images, height, width, channels]."""
        examples = self.loaded.splits[split]
        rows = np.arange(len(examples)) if places is None else places
        return np.asarray(self.loaded.inputs.take(examples, rows)[0] / np.float32(255))

    def _in_parts(self, split: str) -> Iterator[Images]:
        """The same of all of a split, some at a time."""
        count = len(self.loaded.splits[split])
        for start in range(0, count, LOOKED_AT):
            yield self.real(split, np.arange(start, min(start + LOOKED_AT, count)))

    def latents(self, name: str, count: int) -> npt.NDArray[np.float32]:
        """The same numbers whenever they are asked for, float32 [count, latent]."""
        shape = (count, self.loaded.config.latent)
        found = generator(self.spec.seed, f"latents.{name}").standard_normal(shape, np.float32)
        return np.asarray(found)

    def make(self, latents: npt.NDArray[np.float32], classes: Labels) -> Images:
        """An image of each latent.

        Args:
            latents: float32 [images, latent].
            classes: The data's, int64 [images].
        """
        labels, found = self.loaded.row_of[classes], []
        for start in range(0, len(labels), MADE):
            places = np.arange(start, start + MADE) % len(labels)
            images = self._made(tf.constant(latents[places]), tf.constant(labels[places]))
            found.append(images.numpy()[: len(labels) - start])
        return np.concatenate(found)

    # --- measures --------------------------------------------------------------------------------

    def look(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Its own scores, and what the judge says of as many images as a look takes."""
        found = {**scores, **self._judged("validation", self.spec.evaluation.images)}
        found.pop("examples", None)
        return {f"validation_{name}": value for name, value in found.items()}

    def measure(self, split: str) -> dict[str, float]:
        return self._judged(split, self._most())

    def _most(self, factor: int = REPORT_FACTOR) -> int:
        """Images that the report holds, so many times those of a look if they are small."""
        images, config = self.spec.evaluation.images, self.loaded.config
        height, width = config.size
        values = height * width * config.in_channels
        return min(images * factor, max(images, MOST_VALUES // values))

    def _judged(self, split: str, most: int) -> dict[str, float]:
        """``class_accuracy`` and ``frechet``, beside at most so many images of a split."""
        labels = self._wanted(split, most)[1]
        if len(labels) < 2:
            return {}
        images = self.make(self.latents("measures", len(labels)), labels)
        found = measured(self.judge, self._reference(split, most), images)
        return {name: found[name] for name in ("class_accuracy", "frechet")}

    def _wanted(self, split: str, most: int) -> tuple[Any, Labels]:
        """Places and classes of images of a split, spread over it."""
        labels = self.loaded.splits[split].labels
        places = spread(len(labels), most)
        return places, labels[places]

    def _reference(self, split: str, most: int) -> Reference:
        known = self.__dict__.setdefault("_references", {})
        if (split, most) not in known:
            places, labels = self._wanted(split, most)
            features, _told = self.judge.look(self.real(split, places))
            known[split, most] = Reference(labels, features)
        found: Reference = known[split, most]
        return found

    # --- pictures --------------------------------------------------------------------------------

    @property
    def shown(self) -> list[int]:
        """The data's classes that pictures show."""
        return list(range(min(MOST_SHOWN, len(self.loaded.names))))

    def samples(self) -> Iterator[dict[str, Any]]:
        """A picture of each class: several samples, of the same latents at every look."""
        count, evaluation = self.spec.evaluation.samples, self.spec.evaluation
        looks = self.spec.training.steps // evaluation.sample_every + 2
        heard = heard_of(self.loaded.sound, count, looks * len(self.shown))
        rows = self._grid().items()
        # All of them before the first is told: a page that looks on has a look as a whole.
        yield from [self._told("samples", name, images, count, heard) for name, images in rows]

    def _told(
        self, kind: str, name: str, images: Pixels, columns: int, heard: int | None = None
    ) -> dict[str, Any]:
        """A row as an event has it, with what so many of its images sound like; None: all."""
        found: dict[str, Any] = {"prompt": name, "text": "", "set": kind}
        found |= as_event(in_rows(images, columns))
        if self.loaded.sound is not None:
            found["columns"] = columns
            found["sounds"] = wavs(images[:heard] / np.float32(255), self.loaded.sound)
        return found

    def _grid(self) -> dict[str, Pixels]:
        count = self.spec.evaluation.samples
        latents = np.tile(self.latents("samples", count), (len(self.shown), 1))
        classes = np.repeat(np.array(self.shown, np.int64), count)
        images = as_pixels(self.make(latents, classes))
        parts = np.split(images, len(self.shown))
        return {self.loaded.names[one]: part for one, part in zip(self.shown, parts, strict=True)}

    def _between(self) -> dict[str, tuple[Pixels, int]]:
        """From one latent to another, on the sphere that they lie on: of each class the same."""
        first, second = self.latents("between", 2)
        path = np.stack([between(first, second, t) for t in np.linspace(0, 1, BETWEEN)])
        found = {}
        for one in self.shown:
            images = self.make(path.astype(np.float32), np.full(BETWEEN, one, np.int64))
            found[self.loaded.names[one]] = as_pixels(images), BETWEEN
        return found

    # --- the result ------------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """What is made beside real images, class means and noise; pictures of it, as events."""
        loaded, seed = self.loaded, self.spec.seed
        split = "test" if "test" in loaded.splits else "validation"
        found: dict[str, Any] = {"data": describe_dataset(Path(self.spec.data.path))}
        most = self._most()
        places, wanted = self._wanted(split, most)
        if len(wanted) < 2:
            return found
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        train = loaded.splits["train"]
        images = self.make(self.latents("measures", len(wanted)), wanted)
        known = self.real("train", spread(len(train), self._most(COMPARED)))
        sides = {
            "model": images,
            "real": self.real("train", real_ones(train.labels, wanted, seed)),
            "means": class_means(self._class_images(), wanted),
            "noise": noise(images.shape, seed),
        }
        reference = self._reference(split, most)
        told = compared(self.judge, reference, sides, self.judge.accuracy)
        classes = told.pop("classes")
        found["generated"] = {
            **told,
            "split": split,
            "classes": [
                {"name": loaded.names[place], "accuracy": value} for place, value in classes.items()
            ],
            "copying": copying(images, self.real(split, places), known),
        }
        if loaded.sound is not None:
            found["generated"]["sound"] = loaded.sound.as_dict()
        self._show(events, known)
        return found

    def _class_images(self) -> Iterator[Images]:
        """The training images of each class, at most as many as the report holds of all."""
        labels, most = self.loaded.splits["train"].labels, self._most()
        for one in range(len(self.loaded.names)):
            yield self.real("train", np.flatnonzero(labels == one)[:most])

    def _show(self, events: EventLog, known: Images) -> None:
        """Tell the report's pictures."""
        count, step = self.spec.evaluation.samples, self.spec.training.steps
        pictures: dict[str, dict[str, tuple[Pixels, int]]] = {
            "made": {name: (images, count) for name, images in self._grid().items()},
            "real": self._real_ones(count),
            "between": self._between(),
            "nearest": self._nearest(known),
            **self.further_pictures(),
        }
        for kind, of_classes in pictures.items():
            for name, (images, columns) in of_classes.items():
                tell_sample(events, step, self._told(kind, name, images, columns))

    def held_out(self, one: int, count: int) -> Images:
        """Images of a class that training never saw, at most so many."""
        split = "test" if "test" in self.loaded.splits else "validation"
        places = np.flatnonzero(self.loaded.splits[split].labels == one)[:count]
        return self.real(split, places) if len(places) else np.zeros([0], np.float32)

    def _real_ones(self, count: int) -> dict[str, tuple[Pixels, int]]:
        found = {self.loaded.names[one]: self.held_out(one, count) for one in self.shown}
        return {name: (as_pixels(images), count) for name, images in found.items() if len(images)}

    def _nearest(self, known: Images) -> dict[str, tuple[Pixels, int]]:
        """A made image and the training images nearest to it, by pixels, of whatever class."""
        latent, found = self.latents("samples", 1), {}
        for one in self.shown:
            made = self.make(latent, np.array([one], np.int64))
            places, _distances = nearest(made, known, NEIGHBOURS)
            images = np.concatenate([made, known[places[0]]])
            found[self.loaded.names[one]] = as_pixels(images), 1 + NEIGHBOURS
        return found

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/``, with ``samples.png``: a row for each of the classes shown."""
        from training.weights.checkpoint import write_checkpoint

        loaded, source = self.loaded, self.loaded.source
        about = {
            "method": self.spec.method,
            "parents": [source.weights_sha256] if source else [],
            "data": describe_dataset(Path(self.spec.data.path)),
            "classes": loaded.rows,
            **({} if loaded.sound is None else {"sound": loaded.sound.as_dict()}),
            **about,
        }
        rows, columns = list(self._grid().values()), self.spec.evaluation.samples

        def pictures(temporary: Path) -> None:
            write_rows(temporary / "samples.png", rows, columns)

        tensors = self.result(self.model.named() | dict(best))
        return write_checkpoint(folder, loaded.config, tensors, None, about, extras=pictures)

    def result(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The checkpoint's tensors, of all that the model has."""
        return {one.name: tensors[one.name] for one in self.loaded.config.tensors()}


def between(
    first: npt.NDArray[np.floating[Any]], second: npt.NDArray[np.floating[Any]], share: float
) -> npt.NDArray[np.floating[Any]]:
    """A latent on the arc from one to another [0]: on a straight line it would be too short.

    - [0] White, 2016, "Sampling Generative Networks", https://arxiv.org/abs/1609.04468

    Args:
        first: [latent].
        second: [latent].
        share: 0 for the first, 1 for the second.
    """
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    angle = np.arccos(np.clip(float(first @ second) / max(lengths, 1e-12), -1, 1))
    if np.sin(angle) < 1e-6:
        return (1 - share) * first + share * second
    return np.asarray(
        (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
    )
