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
        # An empty prompt continues the token that stands between documents.
        ids = self.tokenizer.encode_input(request.prompt) or [self.tokenizer.end_of_text]
        wanted = min(self.context, len(ids) + request.max_tokens)
        length = _fitting(wanted, self.context)
        free = self._free.setdefault(length, [])
        cache = free.pop() if free else self.model.new_cache(length)
        try:
            ids = ids[-(self.context - 1) :]
            logits = self._read(ids, cache, length)
            for _ in range(request.max_tokens):
                logits = logits[: self.tokenizer.size]
                token = choose(
                    logits,
                    temperature=request.temperature,
                    top_k=request.top_k,
                    top_p=request.top_p,
                    random=random,
                )
                yield token
                ids.append(token)
                if len(ids) >= self.context:
                    # Learned positions end here: go on from the later half, read anew.
                    ids = ids[-(self.context // 2) :]
                    logits = self._read(ids, cache, length)
                else:
                    at = tf.constant(len(ids) - 1)
                    step = self._extend(tf.constant([[token]]), at, tf.constant(0), cache)
                    logits = step.numpy()[0]
        finally:
            free.append(cache)

    def _read(self, ids: Sequence[int], cache: Any, length: int) -> np.ndarray:
        padded = np.zeros([1, min(_fitting(len(ids), self.context), length)], np.int32)
        padded[0, : len(ids)] = ids
        last = tf.constant(len(ids) - 1)
        found: np.ndarray = self._extend(tf.constant(padded), tf.constant(0), last, cache).numpy()[
            0
        ]
        return found


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
