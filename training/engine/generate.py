"""Text from a language model: one token after the other, with a key-value cache.

Shapes are static: prompts are padded to a few lengths and caches come in a few, so that TensorFlow
traces a graph for each once and none for a token. Choosing the token is NumPy's work, in float64
and from a Philox generator: the same seed gives the same text whatever runs beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from training.command_specs import GenerateSpec
from training.data.tokenizer import StreamDecoder, Tokenizer
from training.errors import TrainingError

#: Lengths that prompts are padded to and that caches have, besides the model's whole context.
LENGTHS = (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384)


def choose(
    logits: np.ndarray,
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    random: np.random.Generator,
) -> int:
    """One token from its logits.

    softmax(logits / temperature) is cut to the ``top_k`` likeliest and then to the fewest that
    make up ``top_p`` (the one that passes the mark included), and drawn from.

    Args:
        logits: [vocab].
        temperature: 0 takes the likeliest and draws nothing.
        top_k: 0: all.
        top_p: 1: all.
        random: Drawn from once a token.
    """
    if temperature == 0:
        return int(np.argmax(logits))
    scaled = logits.astype(np.float64) / temperature
    size = len(scaled)
    if 0 < top_k < size:
        candidates = np.argpartition(scaled, size - top_k)[size - top_k :]
    else:
        candidates = np.arange(size)
    # Ties in the order of ids, or equal machines could draw different tokens.
    order = candidates[np.lexsort((candidates, -scaled[candidates]))]
    probabilities = np.exp(scaled[order] - scaled[order[0]])
    probabilities /= probabilities.sum()
    cumulative = np.cumsum(probabilities)
    kept = int(np.searchsorted(cumulative, top_p)) + 1 if top_p < 1 else len(order)
    kept = min(kept, len(order))
    draw = random.random() * cumulative[kept - 1]
    return int(order[min(int(np.searchsorted(cumulative, draw, side="right")), kept - 1)])


#: Texts that are written at once.
TOGETHER = 32


@dataclass
class Finished:
    """How a text ended: ``stop``, ``end_of_text``, ``length`` or ``cancelled``."""

    tokens: int
    seconds: float
    reason: str


class Generator:
    """Writes text with a model and its tokenizer; several requests may take turns.

    Args:
        model: A backbone with ``new_cache`` and ``extend``; its weights may change in between.
        tokenizer: Its tokens.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.context = model.config.context
        self._extend = tf.function(model.extend, autograph=False)
        self._free: dict[int, list[Any]] = {}

    def complete(self, request: GenerateSpec) -> str:
        """The whole continuation."""
        return "".join(self.stream(request))

    def stream(
        self,
        request: GenerateSpec,
        cancelled: Callable[[], bool] = lambda: False,
        finished: Callable[[Finished], None] = lambda _: None,
    ) -> Iterator[str]:
        """The continuation in pieces, as they are certain; a piece may be empty.

        One item comes for each token, so that a caller can take turns among requests. What might
        become a stop word, or is half a character, is held back until it is decided.
        """
        started, count, reason = time.monotonic(), 0, "length"
        text = _HeldBack(request.stop)
        decoder = StreamDecoder(self.tokenizer)
        for token in self._tokens(request):
            if cancelled():
                reason = "cancelled"
                break
            if token == self.tokenizer.end_of_text:
                reason = "end_of_text"
                break
            count += 1
            yield text.feed(decoder.feed(token))
            if text.stopped:
                reason = "stop"
                break
        if reason != "stop":
            yield text.feed(decoder.flush()) + text.rest()
        finished(Finished(count, time.monotonic() - started, reason))

    def _tokens(self, request: GenerateSpec) -> Iterator[int]:
        """Token after token, ``max_tokens`` at most; end-of-text is the caller's to see."""
        random = np.random.Generator(np.random.Philox(key=request.seed))
        head = self._head(request.label)
        ids = self.start(request.prompt, request.label)
        wanted = min(self.context, len(ids) + request.max_tokens)
        length = _fitting(wanted, self.context)
        free = self._free.setdefault(length, [])
        cache = free.pop() if free else self.model.new_cache(length)
        try:
            logits = self._read(ids, cache, length)
            for _ in range(request.max_tokens):
                token = choose(
                    self._writable(logits),
                    temperature=request.temperature,
                    top_k=request.top_k,
                    top_p=request.top_p,
                    random=random,
                )
                yield token
                ids.append(token)
                if len(ids) >= self.context:
                    # Learned positions end here: go on from the later half, read anew.
                    ids = _shortened(ids, self.context // 2, head)
                    logits = self._read(ids, cache, length)
                else:
                    at = tf.constant(len(ids) - 1)
                    step = self._extend(tf.constant([[token]]), at, tf.constant(0), cache)
                    logits = step.numpy()[0]
        finally:
            free.append(cache)

    def start(self, prompt: str, label: str = "") -> list[int]:
        """The ids that a text begins with, as many as leave room for one more.

        Without a label an empty prompt continues the token that stands between documents.

        Raises:
            TrainingError: ``control_unknown``, ``control_none``.
        """
        head = self._head(label)
        if head:
            ids = [*head, *self.tokenizer.encode(prompt)]
        else:
            ids = self.tokenizer.encode_input(prompt) or [self.tokenizer.end_of_text]
        return _shortened(ids, self.context - 1, head)

    def _head(self, label: str) -> list[int]:
        """What stays at the head however long a text becomes: the label's token."""
        known = self.tokenizer.control
        if not label:
            # What learned with labels has seen texts without one begin as documents do.
            return [self.tokenizer.end_of_text] if known else []
        if not known:
            raise TrainingError("control_none", field="label")
        if label not in known:
            raise TrainingError(
                "control_unknown", field="label", name=label, known=", ".join(known)
            )
        return [known[label]]

    def _writable(self, logits: np.ndarray) -> np.ndarray:
        """The logits of the tokens that texts are made of: a label is given and never written."""
        logits = logits[..., : self.tokenizer.size]
        if self.tokenizer.control:
            logits = logits.copy()
            logits[..., list(self.tokenizer.control.values())] = -np.inf
        return logits

    def together(
        self, starts: Sequence[Sequence[int]], seeds: Sequence[int], request: GenerateSpec
    ) -> list[list[int]]:
        """Several texts at once, each as by itself up to rounding.

        Args:
            starts: Ids that each begins with, from :meth:`start`; equally many.
            seeds: Of each text.
            request: Length and how tokens are chosen; prompt, label, seed and stop words are not
                looked at. A text ends where the context does.

        Returns:
            The ids of each continuation, without end-of-text.
        """
        texts: list[list[int]] = []
        for place in range(0, len(starts), TOGETHER):
            part = slice(place, place + TOGETHER)
            texts += self._batch(starts[part], seeds[part], request)
        return texts

    def _batch(
        self, starts: Sequence[Sequence[int]], seeds: Sequence[int], request: GenerateSpec
    ) -> list[list[int]]:
        count, begun = len(starts), len(starts[0])
        most = min(request.max_tokens, self.context - begun)
        if most < 1:
            return [[] for _ in starts]
        # Of one shape, however many there are: a graph is traced once.
        rows = [*starts, *[starts[0]] * (TOGETHER - count)]
        draws = [np.random.Generator(np.random.Philox(key=seed)) for seed in seeds]
        length = _fitting(begun + most, self.context)
        cache = self.model.new_cache(length, TOGETHER)
        padded = np.zeros([TOGETHER, min(_fitting(begun, self.context), length)], np.int32)
        padded[:, :begun] = rows
        logits = self._extend(
            tf.constant(padded), tf.constant(0), tf.constant(begun - 1), cache
        ).numpy()
        texts: list[list[int]] = [[] for _ in starts]
        writing = set(range(count))
        for place in range(most):
            tokens = np.full([TOGETHER, 1], self.tokenizer.end_of_text, np.int32)
            allowed = self._writable(logits)
            for row in sorted(writing):
                token = choose(
                    allowed[row],
                    temperature=request.temperature,
                    top_k=request.top_k,
                    top_p=request.top_p,
                    random=draws[row],
                )
                if token == self.tokenizer.end_of_text:
                    writing.discard(row)
                    continue
                texts[row].append(token)
                tokens[row] = token
            if not writing or place == most - 1:
                break
            logits = self._extend(
                tf.constant(tokens), tf.constant(begun + place), tf.constant(0), cache
            ).numpy()
        return texts

    def _read(self, ids: Sequence[int], cache: Any, length: int) -> np.ndarray:
        padded = np.zeros([1, min(_fitting(len(ids), self.context), length)], np.int32)
        padded[0, : len(ids)] = ids
        last = tf.constant(len(ids) - 1)
        found: np.ndarray = self._extend(tf.constant(padded), tf.constant(0), last, cache).numpy()[
            0
        ]
        return found


def _shortened(ids: list[int], most: int, head: list[int]) -> list[int]:
    """The last ids, at most so many, with what has to stay at the head."""
    if len(ids) <= most:
        return ids
    return [*head, *ids[-(most - len(head)) :]]


class _HeldBack:
    """Lets text pass up to the first stop word, holding back what might be the start of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = list(stops)
        self._waiting = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        self._waiting += text
        found = [at for stop in self._stops if (at := self._waiting.find(stop)) >= 0]
        if found:
            self.stopped = True
            passed, self._waiting = self._waiting[: min(found)], ""
            return passed
        held = max((_overlap(self._waiting, stop) for stop in self._stops), default=0)
        cut = len(self._waiting) - held
        passed, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return passed

    def rest(self) -> str:
        passed, self._waiting = self._waiting, ""
        return "" if self.stopped else passed


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that a stop word begins with."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0


def _fitting(wanted: int, context: int) -> int:
    return min(context, next((n for n in LENGTHS if n >= wanted), context))
