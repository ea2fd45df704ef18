"""The classifier that measures what was made: does it take an image for the class that was meant,
and what does it see in it?

By default a small convolutional network is trained on the labelled training images. What it starts
from and in which order it sees them does not depend on the run: of the same data and size, every
run of every method has the same judge. Numbers are only as good as it is; its own accuracy on
images that it never saw stands beside them. A classifier of the library may judge instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.backbones.contract import TensorSpec
from training.backbones.generator_config import GeneratorConfig, dense, kernel
from training.backbones.generator_model import GeneratorModel
from training.backbones.image_config import ImageConfig
from training.backbones.registry import BACKBONES, model_class
from training.data.inputs import ImageInputs
from training.data.labelled import Labelled
from training.data.order import rows_of_batch
from training.data.pixels import GREY, statistics_of
from training.errors import TrainingError
from training.events import EventLog
from training.settings import spec_sha256
from training.weights.checkpoint import read_checkpoint
from training.weights.initial import initial_tensors
from training.weights.tensors import open_tensors, write_tensors

if TYPE_CHECKING:
    from training.generative.loaded import LoadedClasses

Images = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]

#: Whatever the run's is.
SEED = 0
BATCH, RATE = 64, 1e-3
LEAST_STEPS, MOST_STEPS = 100, 3000
#: Numbers that the small network makes of an image, and channels of its first map.
WIDTH, CHANNELS = 64, 16
#: Images that are looked at together.
LOOKED_AT = 100
#: Where a run keeps it; the name says of which spec, since a folder may be used for another.
FILE = "judge-{spec}.safetensors"


class Judge(ABC):
    """A classifier of the data's classes.

    Attributes:
        kind: Whether it was trained here, or is a checkpoint.
        width: Of its features.
        accuracy: Of the held-out images, the share that it tells right.
        examples: How many these were.
    """

    kind: Literal["trained", "checkpoint"]
    width: int
    accuracy: float = float("nan")
    examples: int = 0

    def __init__(self) -> None:
        self._seen = tf.function(self.seen, autograph=False)

    @abstractmethod
    def seen(self, images: Any) -> tuple[Any, Any]:
        """In a graph: features [batch, width], and the data's class of each, int64 [batch].

        Args:
            images: float32 [batch, height, width, channels] in 0..1.
        """

    def look(self, images: Images) -> tuple[Features, Classes]:
        """The same of any number of images."""
        features, classes = [], []
        for start in range(0, len(images), LOOKED_AT):
            part = images[start : start + LOOKED_AT]
            missing = LOOKED_AT - len(part)
            filled = np.concatenate([part, np.repeat(part[:1], missing, 0)]) if missing else part
            found, told = self._seen(tf.constant(filled))
            features.append(found.numpy()[: len(part)])
            classes.append(told.numpy()[: len(part)])
        return np.concatenate(features), np.concatenate(classes)

    def try_on(self, parts: Iterable[Images], labels: Classes) -> None:
        """Find its accuracy.

        Args:
            parts: Images, some at a time: a split may be larger than the memory.
            labels: The class of each.
        """
        told = np.concatenate([self.look(images)[1] for images in parts])
        self.accuracy, self.examples = float((told == labels).mean()), len(labels)


class JudgeConfig(GeneratorConfig):
    """Shape of the small network: at each halving a convolution and a max pool."""

    architecture: Literal["judge"] = "judge"

    def tensors(self) -> list[TensorSpec]:
        found, before = [], self.in_channels
        for step in range(len(self.maps) - 1):
            channels = CHANNELS << step
            gain = _glorot(9 * before, 9 * channels)
            found += kernel(f"map.{step}", f"map.{step}", channels, before, 3, gain)
            before = channels
        inner = self.inner * before
        found += dense("features", "features", WIDTH, inner, _glorot(inner, WIDTH))
        gain = _glorot(WIDTH, self.num_classes)
        return found + dense("head", "head", self.num_classes, WIDTH, gain)


def _glorot(inputs: int, outputs: int) -> float:
    """Variance 2 / (inputs + outputs) as a gain over the inputs [0]. Features are smaller than with
    He's, and distances of the size that one knows of such networks.

    - [0] Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html
    """
    return 2 * inputs / (inputs + outputs)


class JudgeNetwork(GeneratorModel):
    """The small network."""

    def call(self, images: Any) -> tuple[Any, Any]:
        """Features float32 [batch, :data:`WIDTH`], logits float32 [batch, classes]."""
        x = images
        for step in range(len(self.config.maps) - 1):
            x = tf.nn.max_pool2d(tf.nn.relu(self.convolve(x, f"map.{step}")), 2, 2, "VALID")
        x = tf.reshape(x, [-1, int(np.prod(x.shape[1:]))])
        features = tf.nn.relu(self.dense(x, "features"))
        return features, self.dense(features, "head")


class TrainedJudge(Judge):
    """The small network, to be trained or loaded."""

    kind = "trained"
    width = WIDTH

    def __init__(self, config: GeneratorConfig, classes: int) -> None:
        super().__init__()
        shape = JudgeConfig(
            image_px=config.image_px,
            width_px=config.width_px,
            in_channels=config.in_channels,
            num_classes=classes,
        )
        self.network = JudgeNetwork(shape)
        self.network.load_named(initial_tensors(shape.tensors(), SEED))

    def seen(self, images: Any) -> tuple[Any, Any]:
        features, logits = self.network(images)
        return features, tf.argmax(logits, -1)

    def fit(self, inputs: ImageInputs, train: Labelled, epochs: int, events: EventLog) -> None:
        """Adam, by cross-entropy, on all training images in an order of its own."""
        import keras

        optimizer = keras.optimizers.Adam(RATE)
        optimizer.build(self.network.trainable_variables)

        def step(pixels: Any, labels: Any) -> None:
            with tf.GradientTape() as tape:
                _features, logits = self.network(tf.cast(pixels, tf.float32) / 255)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels=labels, logits=logits
                )
                loss = tf.reduce_mean(losses)
            variables = self.network.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

        compiled = tf.function(step, autograph=False)
        batch = min(BATCH, len(train))
        wanted = epochs * len(train) // batch
        steps = min(max(wanted, LEAST_STEPS), MOST_STEPS)
        for number in range(steps):
            if number % 50 == 0:
                share = round(number / steps, 3)
                events.emit("phase", name="judging", fraction=share, detail="")
            rows = rows_of_batch(SEED, number, batch, len(train))
            (pixels,) = inputs.take(train, rows)
            compiled(tf.constant(pixels), tf.constant(train.labels[rows]))


class CheckpointJudge(Judge):
    """A classifier of the library.

    Raises:
        TrainingError: ``judge_no_classifier``, ``judge_classes``.
    """

    kind = "checkpoint"

    def __init__(self, folder: Path, names: list[str]) -> None:
        super().__init__()
        checkpoint = read_checkpoint(folder)
        config, known = checkpoint.config, checkpoint.card.get("classes") or []
        is_image = BACKBONES[config.architecture].kind == "image"
        if not is_image or not isinstance(config, ImageConfig) or not known:
            raise TrainingError("judge_no_classifier", field="judge.checkpoint")
        if missing := [name for name in names if name not in known]:
            raise TrainingError("judge_classes", field="judge.checkpoint", missing=missing[0])
        self._places = [known.index(name) for name in names]
        statistics = statistics_of("auto", checkpoint.card, config.in_channels)
        self._mean, self._deviation = (np.array(one, np.float32) for one in statistics)
        # At the size that it learned from, where its card says it: what is small looks like
        # nothing that it knows.
        told = (checkpoint.card.get("inputs") or {}).get("image_px")
        self._px, self._channels = config.fixed_px or told, config.in_channels
        self._network = model_class(config.architecture)(config)
        self._network.load_named(checkpoint.tensors())
        empty = np.zeros([1, self._px or 64, self._px or 64, config.in_channels], np.float32)
        self.width = int(self._network.pooled(empty).shape[-1])

    def seen(self, images: Any) -> tuple[Any, Any]:
        if self._px is not None:
            images = tf.image.resize(images, [self._px, self._px], antialias=True)
        if images.shape[-1] != self._channels:
            grey = images if images.shape[-1] == 1 else tf.tensordot(images, GREY, 1)[..., None]
            images = tf.repeat(grey, self._channels, -1)
        images = (images - self._mean) / self._deviation
        features = self._network.pooled(images, False)
        logits = self._network.linear(features, self._network.HEAD)
        return features, tf.argmax(tf.gather(logits, self._places, axis=1), -1)


def judge_of(loaded: LoadedClasses, events: EventLog) -> Judge:
    """The judge of a run: a checkpoint's, or one that is trained now, or was before a pause."""
    spec = loaded.spec.judge
    if spec.checkpoint:
        return CheckpointJudge(Path(spec.checkpoint), loaded.names)
    found = TrainedJudge(loaded.config, len(loaded.names))
    name = FILE.format(spec=spec_sha256(loaded.spec)[:16])
    file = None if loaded.cache is None else loaded.cache / name
    if file is not None and file.is_file():
        found.network.load_named(open_tensors(file))
        return found
    found.fit(loaded.inputs, loaded.splits["train"], spec.epochs, events)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        write_tensors(temporary, found.network.named())
        temporary.replace(file)
    return found
