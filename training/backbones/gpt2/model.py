"""GPT-2 in Keras on TensorFlow, every field of :class:`GPT2Config` honoured.

- Radford et al., 2019, "Language Models are Unsupervised Multitask Learners".

Variables carry Hugging Face's tensor names; :mod:`training.backbones.layers` has the parts.

Details people get wrong: the tanh GELU (``gelu_new``) is GPT-2's, not the exact one; the head has
no bias; layer norms come before each half block and once more at the end; positions are learned.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import tensorflow as tf

from training.backbones.gpt2.config import FINAL_NORM, GPT2Config
from training.backbones.gpt2.lora import adapted_matrices
from training.backbones.layers import (
    ACTIVATIONS,
    Cache,
    attend_to_cache,
    attention_weights,
    causal_mask,
    dropped,
    embed,
    layer_norm,
    new_cache,
    vocabulary_scores,
)
from training.backbones.lora import factor_names, factor_specs
from training.backbones.named import NamedModel
from training.spec import LoraSpec


class GPT2(NamedModel):
    """The language model; ``call`` maps tokens int32 [batch, time] to logits [batch, time, vocab].

    Args:
        config: Its shape.
        compute_dtype: Type of the matrix products, ``float32`` or ``bfloat16``.
        dropout: Rate after the embeddings, on attention weights and after each half block.
        lora: Low-rank factors beside chosen matrices; then only these are trainable.
        frozen: Names of tensors that training leaves as they are.

    Example:
        >>> model = GPT2(PRESETS["nano"])
        >>> model.load_named(initial_tensors(model.config.tensors(), seed=0))
        >>> model(tf.zeros([1, 8], tf.int32)).shape
        TensorShape([1, 8, 4096])
    """

    def __init__(
        self,
        config: GPT2Config,
        *,
        compute_dtype: str = "float32",
        dropout: float = 0.0,
        lora: LoraSpec | None = None,
        frozen: Collection[str] = (),
    ) -> None:
        super().__init__(dtype="float32", name=config.architecture)
        self.config, self.lora, self.rate = config, lora, dropout
        self.compute = tf.as_dtype(compute_dtype)
        matrices = adapted_matrices(config, lora) if lora else []
        self.adapted = {matrix.name for matrix in matrices}
        factors = factor_specs(matrices, lora.rank) if lora else []
        names = {spec.name for spec in factors}
        self.add_tensors(
            [*config.tensors(), *factors],
            lambda spec: (not lora or spec.name in names) and spec.name not in frozen,
        )

    # --- the network -------------------------------------------------------------------------

    def call(self, tokens: Any, training: bool = False, seed: Any = None) -> Any:
        """Logits float32 [batch, time, vocab]; ``seed`` int32 [2] is needed for dropout."""
        shape = tf.shape(tokens)
        logits = self.head(self.hidden(tokens, training=training, seed=seed))
        return tf.reshape(logits, [shape[0], shape[1], self.config.vocab_size])

    def hidden(self, tokens: Any, *, training: bool = False, seed: Any = None) -> Any:
        """Final hidden states, float32 [batch · time, width]."""
        rate = self.rate if training else 0.0
        batch, time = tf.shape(tokens)[0], tokens.shape[1] or tf.shape(tokens)[1]
        positions = self.value("transformer.wpe.weight")[:time]
        x = embed(self.value("transformer.wte.weight"), tokens) + positions
        x = tf.reshape(x, [-1, self.config.n_embd])
        x = dropped(x, rate, seed, 0)
        masks = self.masks(tf.range(time), tf.range(time))
        for layer in range(self.config.n_layer):
            site = 1 + 3 * layer

            def attend(q: Any, k: Any, v: Any, layer: int = layer, site: int = site) -> Any:
                weights = self._attention_weights(q, k, masks[layer], layer)
                return tf.matmul(dropped(weights, rate, seed, site), v)

            half = self._attention_block(x, layer, batch, time, attend)
            x = x + dropped(half, rate, seed, site + 1)
            x = x + dropped(self._feed_forward_block(x, layer), rate, seed, site + 2)
        return self._norm(x, FINAL_NORM)

    def masks(self, queries: Any, keys: Any) -> list[Any]:
        """For each layer what is added to its attention's scores, float32 [queries, keys].

        Args:
            queries: Positions, int32 [queries].
            keys: Positions, int32 [keys].
        """
        return [causal_mask(queries, keys)] * self.config.n_layer

    def head(self, hidden: Any) -> Any:
        """Logits float32 [rows, vocab]."""
        tied = self.config.tie_word_embeddings
        table = self.value("transformer.wte.weight" if tied else "lm_head.weight")
        return vocabulary_scores(hidden, table, self.compute)

    def _norm(self, x: Any, name: str) -> Any:
        epsilon = tf.constant(self.config.layer_norm_epsilon, tf.float32)
        return layer_norm(x, self.value(f"{name}.weight"), self.value(f"{name}.bias"), epsilon)

    def _linear(self, x: Any, module: str) -> Any:
        """x W + b, plus the low-rank update where there is one; in the compute type."""
        matrix = f"{module}.weight"
        y = tf.matmul(x, tf.cast(self.value(matrix), x.dtype))
        if self.lora and matrix in self.adapted:
            a, b = (tf.cast(self.value(name), x.dtype) for name in factor_names(matrix))
            low = tf.matmul(tf.matmul(x, a, transpose_b=True), b, transpose_b=True)
            y += tf.cast(self.lora.alpha / self.lora.rank, x.dtype) * low
        return tf.nn.bias_add(y, tf.cast(self.value(f"{module}.bias"), x.dtype))

    def _attention_block(self, x: Any, layer: int, batch: Any, time: Any, attend: Any) -> Any:
        config, block = self.config, f"transformer.h.{layer}"
        size = config.n_embd // config.n_head
        normal = tf.cast(self._norm(x, f"{block}.ln_1"), self.compute)
        qkv = self._linear(normal, f"{block}.attn.c_attn")
        qkv = tf.reshape(qkv, [batch, time, 3, config.n_head, size])
        q, k, v = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))
        mixed = tf.transpose(attend(q, k, v), [0, 2, 1, 3])
        mixed = tf.reshape(mixed, [-1, config.n_embd])
        return tf.cast(self._linear(mixed, f"{block}.attn.c_proj"), tf.float32)

    def _attention_weights(self, q: Any, k: Any, mask: Any, layer: int) -> Any:
        return attention_weights(q, k, self._attention_scale(layer), mask)

    def _attention_scale(self, layer: int) -> float:
        scale = 1.0
        if self.config.scale_attn_weights:
            scale /= math.sqrt(self.config.n_embd // self.config.n_head)
        if self.config.scale_attn_by_inverse_layer_idx:
            scale /= layer + 1
        return scale

    def _feed_forward_block(self, x: Any, layer: int) -> Any:
        block = f"transformer.h.{layer}"
        normal = tf.cast(self._norm(x, f"{block}.ln_2"), self.compute)
        inner = self._linear(normal, f"{block}.mlp.c_fc")
        inner = ACTIVATIONS[self.config.activation_function](inner)
        return tf.cast(self._linear(inner, f"{block}.mlp.c_proj"), tf.float32)

    # --- one token after the other -----------------------------------------------------------

    def new_cache(self, length: int, batch: int = 1) -> Cache:
        """Keys and values of every layer, [batch, heads, length, head size] each, to write into."""
        config = self.config
        shape = [batch, config.n_head, length, config.n_embd // config.n_head]
        return new_cache(config.n_layer, shape, self.compute)

    def extend(self, tokens: Any, start: Any, last: Any, cache: Any) -> Any:
        """Read tokens [batch, time] at positions ``start`` on, and give the logits at ``last``.

        Keys and values are written into the cache in place. Positions after ``last`` may be
        padding: what they leave in the cache is overwritten before anything can look at it.

        Args:
            tokens: int32 [batch, time], time static.
            start: Position of the first, a scalar; ``start + time`` must fit in the cache.
            last: Index into ``time`` of the token whose successor is wanted.
            cache: From :meth:`new_cache`.

        Returns:
            float32 [batch, vocab].
        """
        batch, time = tokens.shape
        at = start + tf.range(time)
        x = tf.gather(self.value("transformer.wte.weight"), tokens)
        x += tf.gather(self.value("transformer.wpe.weight"), at)
        x = tf.reshape(x, [-1, self.config.n_embd])
        masks = self.masks(at, tf.range(cache[0][0].shape[2]))
        for layer in range(self.config.n_layer):

            def weights(q: Any, k: Any, layer: int = layer) -> Any:
                return self._attention_weights(q, k, masks[layer], layer)

            attend = attend_to_cache(cache, layer, start, weights)
            x = x + self._attention_block(x, layer, batch, time, attend)
            x = x + self._feed_forward_block(x, layer)
        x = self._norm(x, FINAL_NORM)
        rows = tf.reshape(x, [batch, time, self.config.n_embd])[:, last]
        return self.head(rows)
