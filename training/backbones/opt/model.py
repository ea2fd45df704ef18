"""OPT in Keras on TensorFlow, every field of :class:`OPTConfig` honoured.

- Zhang et al., 2022, "OPT: Open Pre-trained Transformer Language Models".
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.layers import (
    HIDDEN,
    Cache,
    Transformer,
    attend_to_cache,
    causal_mask,
    dropped,
    embed,
    new_cache,
    vocabulary_scores,
)
from training.backbones.opt.config import (
    EMBEDDING,
    FINAL_NORM,
    HEAD,
    POSITIONS,
    PROJECT_IN,
    PROJECT_OUT,
    OPTConfig,
)


class OPT(Transformer):
    """The language model; ``call`` maps tokens int32 [batch, time] to logits [batch, time, vocab].

    Args:
        config: Its shape.
        compute_dtype: Type of the matrix products, ``float32`` or ``bfloat16``.
        dropout: Rate after the embeddings, on attention weights and after each half block.

    Example:
        >>> model = OPT(PRESETS["nano"])
        >>> model.load_named(initial_tensors(model.config.tensors(), seed=0))
        >>> model(tf.zeros([1, 8], tf.int32)).shape
        TensorShape([1, 8, 4096])
    """

    def __init__(
        self, config: OPTConfig, *, compute_dtype: str = "float32", dropout: float = 0.0
    ) -> None:
        super().__init__(config.blocks, "opt", compute_dtype=compute_dtype, dropout=dropout)
        self.config = config
        self.add_tensors(config.tensors())

    def call(
        self, tokens: Any, attention_mask: Any = None, training: bool = False, seed: Any = None
    ) -> Any:
        """Logits float32 [batch, time, vocab].

        Args:
            tokens: int32 [batch, time].
            attention_mask: [batch, time], 1 at real tokens and 0 at padding, which may stand on
                either side; None: all are real.
            training: Whether dropout is on.
            seed: int32 [2], needed for dropout.
        """
        shape = tf.shape(tokens)
        logits = self.head(self.hidden(tokens, attention_mask, training=training, seed=seed))
        return tf.reshape(logits, [shape[0], shape[1], self.config.vocab_size])

    def hidden(
        self, tokens: Any, attention_mask: Any = None, *, training: bool = False, seed: Any = None
    ) -> Any:
        """Final hidden states as the head takes them, float32 [batch · time, embedding width]."""
        rate = self.rate if training else 0.0
        batch, time = tf.shape(tokens)[0], tokens.shape[1] or tf.shape(tokens)[1]
        positions = tf.range(time)
        mask = causal_mask(positions, positions)
        if attention_mask is not None:
            real = tf.cast(attention_mask, tf.int32)
            # Padding counts for no position, and has row 1.
            positions = tf.cumsum(real, axis=1) * real - 1
            mask += (1 - tf.cast(real, tf.float32))[:, None, None, :] * HIDDEN
        x = dropped(self._embedded(tokens, positions), rate, seed, 0)
        return self._last(self.run(x, batch, time, mask, rate, seed))

    def _embedded(self, tokens: Any, positions: Any) -> Any:
        x = embed(self.value(EMBEDDING), tokens)
        if self.config.projected:
            x = tf.reshape(x, [-1, self.config.embedding])
            x = tf.cast(self.linear(x, PROJECT_IN), tf.float32)
            x = tf.reshape(x, [-1, tf.shape(tokens)[1], self.blocks.width])
        x += embed(self.value(POSITIONS), positions + self.config.position_offset)
        return tf.reshape(x, [-1, self.blocks.width])

    def _last(self, x: Any) -> Any:
        if self.config.do_layer_norm_before:
            x = self.norm(x, FINAL_NORM)
        return tf.cast(self.linear(x, PROJECT_OUT), tf.float32) if self.config.projected else x

    def head(self, hidden: Any) -> Any:
        """Logits float32 [rows, vocab]."""
        table = self.value(EMBEDDING if self.config.tie_word_embeddings else HEAD)
        return vocabulary_scores(hidden, table, self.compute)

    # --- one token after the other -----------------------------------------------------------

    def new_cache(self, length: int, batch: int = 1) -> Cache:
        """Keys and values of every layer, [batch, heads, length, head size] each, to write into."""
        shape = [batch, self.blocks.heads, length, self.head_size]
        return new_cache(self.blocks.count, shape, self.compute)

    def extend(self, tokens: Any, start: Any, last: Any, cache: Any) -> Any:
        """Read tokens [batch, time] at positions ``start`` on, and give the logits at ``last``.

        See :meth:`training.backbones.gpt2.model.GPT2.extend`.
        """
        batch, time = tokens.shape
        at = start + tf.range(time)
        x = self._embedded(tokens, at)
        mask = causal_mask(at, tf.range(cache[0][0].shape[2]))
        for layer in range(self.blocks.count):
            attend = attend_to_cache(cache, layer, start, lambda q, k: self.weights(q, k, mask))
            x = self.block(x, layer, batch, time, attend)
        rows = tf.reshape(x, [batch, time, self.blocks.width])[:, last]
        return self.head(self._last(rows))
