"""Labelled examples as the arrays that a network takes.

Augmentation changes an example a little each time it is seen, so that a network does not learn the
few it has by heart; what it draws follows from the batch's number, so that a resumed run draws the
same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
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
    """Tokens int32 [batch, time], their mask, 1 at real ones, and the token types.

    Every batch is as long as the longest text of the data, or as the limit: a network is compiled
    for one length.

    Args:
        tokenizer: The network's.
        rows: All that will be asked for, as prepared: texts or pairs.
        most_tokens: Longer texts are cut, of a pair the longer one first.
    """

    def __init__(
        self, tokenizer: TextTokenizer, rows: Iterable[Mapping[str, Any]], most_tokens: int
    ) -> None:
        self._tokenizer, self._most = tokenizer, most_tokens
        self._padding = padding_of(tokenizer)
        longest = max(len(self._encoded(row)[0]) for row in rows)
        self.length = min(most_tokens, -(-longest // LENGTH_STEP) * LENGTH_STEP)

    def _encoded(self, row: Mapping[str, Any]) -> Encoded:
        return encoded(self._tokenizer, row, self._most)

    def take(
        self, examples: Labelled, rows: Rows, random: np.random.Generator | None = None
    ) -> Arrays:
        found = [self._encoded(examples.rows[row]) for row in rows]
        return padded(found, self._padding, self.length)

    def call(self, model: Any, arrays: Sequence[Any], *, training: bool, seed: Any = None) -> Any:
        tokens, mask, types = arrays
        return model(tokens, mask, types, training=training, seed=seed)


class WordInputs(TextInputs):
    """The same of sentences given word by word; a word is where its first piece is."""

    def _encoded(self, row: Mapping[str, Any]) -> Encoded:
        ids, _starts = self._tokenizer.encode_words(row["words"], self._most)
        return ids, [0] * len(ids)

    def starts(self, row: Mapping[str, Any]) -> list[int | None]:
        """Where each word of a row has its first piece; None: nowhere within the limit."""
        return self._tokenizer.encode_words(row["words"], self._most)[1]

    def cut_off(self, row: Mapping[str, Any], starts: Sequence[int | None]) -> int:
        """How many words of a row are beyond the limit; the others without a piece have none."""
        if None not in starts:
            return 0
        whole = self._tokenizer.encode_words(row["words"])[1]
        return sum(a is None and b is not None for a, b in zip(starts, whole, strict=True))

    def aligned(self, examples: Labelled, rows: Rows) -> Arrays:
        """Sentences with their words' labels.

        Args:
            examples: A split; its labels are int32 [words] of each sentence.
            rows: Which of it.

        Returns:
            Ids, mask and types as :meth:`take` gives them; labels int32 [rows, length] and, float32
            of the same shape, 1 at the first piece of each word and 0 elsewhere: there is no label
            (−100 in ``transformers``), and 0 stands in its place.
        """
        found = [
            self._tokenizer.encode_words(examples.rows[row]["words"], self._most) for row in rows
        ]
        arrays = padded([(ids, [0] * len(ids)) for ids, _ in found], self._padding, self.length)
        labels = np.zeros_like(arrays[0])
        counted = np.zeros(labels.shape, np.float32)
        for place, (row, (_, starts)) in enumerate(zip(rows, found, strict=True)):
            for label, start in zip(examples.labels[row], starts, strict=True):
                if start is not None:
                    labels[place, start] = label
                    counted[place, start] = 1
        return (*arrays, labels, counted)


#: Ids, and the type of each.
Encoded = tuple[list[int], list[int]]


def padding_of(tokenizer: TextTokenizer) -> int:
    """The id that fills up a text."""
    return tokenizer.special_ids.get("pad_token_id", tokenizer.end_of_text)


def encoded(tokenizer: TextTokenizer, row: Mapping[str, Any], most: int | None = None) -> Encoded:
    """A text or a pair as a model is shown it.

    Args:
        tokenizer: The model's.
        row: Its ``text`` and, of a pair, ``text_pair``.
        most: Ids at most; None: all.
    """
    if "text_pair" in row:
        return tokenizer.encode_pair(row["text"], row["text_pair"], most)
    # A text without a token is its padding, seen.
    ids = tokenizer.encode_input(row["text"], most) or [padding_of(tokenizer)]
    return ids, [0] * len(ids)


def padded(found: Sequence[Encoded], padding: int, length: int) -> Arrays:
    """Texts of one length: ids, their mask, 1 at real ones, and types, int32 [texts, length]."""
    tokens = np.full([len(found), length], padding, np.int32)
    mask, types = np.zeros_like(tokens), np.zeros_like(tokens)
    for place, (ids, kinds) in enumerate(found):
        tokens[place, : len(ids)] = ids
        mask[place, : len(ids)] = 1
        types[place, : len(ids)] = kinds
    return tokens, mask, types


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


class WholeInputs(ImageInputs):
    """Pictures of sounds: all of them are as large as the network sees them, and none is cut.

    Args:
        size: Their height and width.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size[0], 1, ((0.0,), (1.0,)))

    def take(
        self, examples: Labelled, rows: Rows, random: np.random.Generator | None = None
    ) -> Arrays:
        return (np.stack([examples.pixels(examples.rows[row]) for row in rows]),)


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
