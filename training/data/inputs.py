"""Labelled examples as the arrays that a network takes.

Augmentation changes an example a little each time it is seen, so that a network does not learn the
few it has by heart; what it draws follows from the batch's number, so that a resumed run draws the
same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from training.data.labelled import Labelled
from training.data.order import Rows
from training.data.pixels import Statistics, fitted
from training.data.text_tokenizer import TextTokenizer

Augmentation = Literal["none", "shift", "shift_flip"]

#: An image is shifted by at most this share of its side.
MOST_SHIFT = 1 / 8
#: Lengths of token sequences are multiples of this.
LENGTH_STEP = 8

Arrays = tuple[npt.NDArray[Any], ...]


class Inputs(ABC):
    """What a network is shown of examples."""

    @abstractmethod
    def take(
        self, examples: Labelled, rows: Rows, random: np.random.Generator | None = None
    ) -> Arrays:
        """These examples, the first axis of each array counting them.

        Args:
            examples: A split.
            rows: Which of it.
            random: Draws the augmentation; None: the examples as they are.
        """

    @abstractmethod
    def call(self, model: Any, arrays: Sequence[Any], *, training: bool, seed: Any = None) -> Any:
        """In a graph: the network's scores of the classes, float32 [batch, classes].

        Args:
            model: The network.
            arrays: From :meth:`take`.
            training: Whether dropout is on and batch norms take the batch's statistics.
            seed: int32 [2], for dropout.
        """


class TextInputs(Inputs):
    """Tokens int32 [batch, time] and their mask, 1 at real ones.

    Every batch is as long as the longest text of the data, or as the limit: a network is compiled
    for one length.

    Args:
        tokenizer: The network's.
        texts: All that will be asked for.
        most_tokens: Longer texts are cut.
    """

    def __init__(self, tokenizer: TextTokenizer, texts: Iterable[str], most_tokens: int) -> None:
        self._tokenizer, self._most = tokenizer, most_tokens
        self._padding = tokenizer.special_ids.get("pad_token_id", tokenizer.end_of_text)
        longest = max(len(self._ids(text)) for text in texts)
        self.length = min(most_tokens, -(-longest // LENGTH_STEP) * LENGTH_STEP)

    def _ids(self, text: str) -> list[int]:
        # A text without a token is its padding, seen.
        return self._tokenizer.encode_input(text, self._most) or [self._padding]

    def take(
        self, examples: Labelled, rows: Rows, random: np.random.Generator | None = None
    ) -> Arrays:
        tokens = np.full([len(rows), self.length], self._padding, np.int32)
        mask = np.zeros([len(rows), self.length], np.int32)
        for place, row in enumerate(rows):
            ids = self._ids(examples.rows[row]["text"])
            tokens[place, : len(ids)] = ids
            mask[place, : len(ids)] = 1
        return tokens, mask

    def call(self, model: Any, arrays: Sequence[Any], *, training: bool, seed: Any = None) -> Any:
        tokens, mask = arrays
        return model(tokens, mask, training=training, seed=seed)


class ImageInputs(Inputs):
    """Pixels uint8 [batch, px, px, channels], normalised in the graph.

    Args:
        px: Side of the square that is seen; see :func:`training.data.pixels.fitted`.
        channels: Of the network.
        statistics: Mean and deviation that pixels are normalised by.
        augmentation: ``shift``: by up to an eighth of the side, edges repeated; ``shift_flip``:
            also mirrored, half the time.
    """

    def __init__(
        self, px: int, channels: int, statistics: Statistics, augmentation: Augmentation = "none"
    ) -> None:
        self.px, self.channels, self.augmentation = px, channels, augmentation
        self.mean, self.deviation = (np.array(values, np.float32) for values in statistics)

    def take(
        self, examples: Labelled, rows: Rows, random: np.random.Generator | None = None
    ) -> Arrays:
        seen = np.stack(
            [fitted(examples.pixels(examples.rows[row]), self.px, self.channels) for row in rows]
        )
        if random is not None and self.augmentation != "none":
            seen = augmented(seen, random, flip=self.augmentation == "shift_flip")
        return (seen,)

    def call(self, model: Any, arrays: Sequence[Any], *, training: bool, seed: Any = None) -> Any:
        import tensorflow as tf

        (pixels,) = arrays
        seen = (tf.cast(pixels, tf.float32) / 255.0 - self.mean) / self.deviation
        return model(seen, training=training)


def augmented(
    images: npt.NDArray[np.uint8], random: np.random.Generator, *, flip: bool
) -> npt.NDArray[np.uint8]:
    """Each image shifted by its own distance, and half of them mirrored if that is asked for.

    Args:
        images: [batch, height, width, channels].
        random: Draws the distances.
        flip: Whether left may become right.
    """
    height, width = images.shape[1:3]
    down, right = int(height * MOST_SHIFT), int(width * MOST_SHIFT)
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    found = np.empty_like(images)
    for place in range(len(images)):
        top = int(random.integers(0, 2 * down + 1))
        left = int(random.integers(0, 2 * right + 1))
        seen = padded[place, top : top + height, left : left + width]
        found[place] = seen[:, ::-1] if flip and random.random() < 0.5 else seen
    return found
