"""Encoders of BERT's kind in Keras on TensorFlow, every field of their configurations honoured.

Details people get wrong: BERT's GELU is the exact one; layer norms come after each sum, and one
after the embeddings; padding is hidden from every query, yet gets hidden states of its own.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.encoder.config import EncoderConfig
from training.backbones.layers import (
    ACTIVATIONS,
    HIDDEN,
    Transformer,
    dropped,
    embed,
    vocabulary_scores,
)


class Encoder(Transformer):
    """An encoder with its head.

    ``call`` maps tokens int32 [batch, time] to what the head gives, float32: hidden states
    [batch, time, width] without one, scores [batch, time, vocabulary] for a masked LM (with
    ``pretraining`` too: see :meth:`next_sentence`), [batch, labels], or with a label for each
    token [batch, time, labels].

    Args:
        config: Its shape.
        compute_dtype: Type of the matrix products, ``float32`` or ``bfloat16``.
        dropout: Rate after the embeddings, on attention weights, after each half block and before
            the labels.
    """

    def __init__(
        self, config: EncoderConfig, *, compute_dtype: str = "float32", dropout: float = 0.0
    ) -> None:
        super().__init__(
            config.blocks, config.architecture, compute_dtype=compute_dtype, dropout=dropout
        )
        self.config, self.names = config, config.names
        self.add_tensors(config.tensors())

    def call(
        self,
        tokens: Any,
        attention_mask: Any = None,
        token_types: Any = None,
        training: bool = False,
        seed: Any = None,
    ) -> Any:
        """What the head gives.

        Args:
            tokens: int32 [batch, time].
            attention_mask: [batch, time], 1 at real tokens and 0 at padding; None: all are real.
            token_types: int32 [batch, time]; None: all 0.
            training: Whether dropout is on.
            seed: int32 [2], needed for dropout.
        """
        batch, time = tf.shape(tokens)[0], tokens.shape[1] or tf.shape(tokens)[1]
        hidden = self.hidden(tokens, attention_mask, token_types, training=training, seed=seed)
        states = tf.reshape(hidden, [batch, time, self.blocks.width])
        match self.config.head:
            case "none":
                return states
            case "classification":
                return self.classify(states[:, 0], training=training, seed=seed)
            case "token_classification":
                scores = self.classify_tokens(hidden, training=training, seed=seed)
                return tf.reshape(scores, [batch, time, len(self.config.labels)])
            case _:
                return tf.reshape(self.masked_lm(hidden), [batch, time, self.config.vocab_size])

    def hidden(
        self,
        tokens: Any,
        attention_mask: Any = None,
        token_types: Any = None,
        *,
        training: bool = False,
        seed: Any = None,
    ) -> Any:
        """Hidden states after the last block, float32 [batch · time, width]; see :meth:`call`."""
        rate, names = self.rate if training else 0.0, self.names
        batch, time = tf.shape(tokens)[0], tokens.shape[1] or tf.shape(tokens)[1]
        x = embed(self.value(names.tokens), tokens)
        if self.config.types:
            # One trained without pairs has a single type.
            alike = token_types is None or self.config.types == 1
            types = tf.zeros_like(tokens) if alike else token_types
            x += embed(self.value(names.types), types)
        x += embed(self.value(names.positions), self.positions(tokens))
        x = self.norm(tf.reshape(x, [-1, self.blocks.width]), names.embeddings_norm)
        x = dropped(x, rate, seed, 0)
        mask: Any = 0.0
        if attention_mask is not None:
            mask = (1 - tf.cast(attention_mask, tf.float32))[:, None, None, :] * HIDDEN
        return self.run(x, batch, time, mask, rate, seed)

    def positions(self, tokens: Any) -> Any:
        """Rows of the position embedding for tokens [batch, time], broadcast to that."""
        return tf.range(tf.shape(tokens)[1])[None, :]

    def pooled(self, first: Any) -> Any:
        """One vector of each text, float32 [batch, width], from its first token's hidden state."""
        assert self.names.pooler is not None
        return tf.tanh(tf.cast(self.linear(first, self.names.pooler), tf.float32))

    def next_sentence(self, first: Any) -> Any:
        """Scores float32 [batch, 2] that the second sentence follows, and that it does not."""
        return tf.cast(self.linear(self.pooled(first), self.names.next_sentence), tf.float32)

    def masked_lm(self, hidden: Any) -> Any:
        """Scores of every token, float32 [rows, vocabulary], from hidden states [rows, width]."""
        names = self.names
        x = ACTIVATIONS[names.transform_activation](self.linear(hidden, names.transform))
        x = self.norm(tf.cast(x, tf.float32), names.transform_norm)
        scores = vocabulary_scores(x, self.value(names.tokens), self.compute)
        return scores + self.value(names.token_bias)

    def classify(self, first: Any, *, training: bool = False, seed: Any = None) -> Any:
        """Scores of the labels, float32 [batch, labels], from first states [batch, width]."""
        names, rate = self.names, self.rate if training else 0.0
        x = ACTIVATIONS[names.first_activation](self.linear(first, names.first))
        x = dropped(tf.cast(x, tf.float32), rate, seed, 1 + 3 * self.blocks.count)
        return tf.cast(self.linear(x, names.labels), tf.float32)

    def classify_tokens(self, hidden: Any, *, training: bool = False, seed: Any = None) -> Any:
        """Scores of the labels, float32 [rows, labels], from hidden states [rows, width]."""
        rate = self.rate if training else 0.0
        x = dropped(hidden, rate, seed, 1 + 3 * self.blocks.count)
        return tf.cast(self.linear(x, self.names.token_labels), tf.float32)
