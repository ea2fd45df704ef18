"""What the transformers are built of, in TensorFlow: once, for all of them.

The residual stream stays float32 and flat, [batch · time, width]; matrix products run in the
compute type (bfloat16 where asked, with float32 master weights). Dropout is stateless: its masks
follow from a seed pair alone, so that a resumed run draws the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from training.backbones.blocks import Blocks
from training.backbones.named import NamedModel

#: What is added to the score of a place that must not be looked at; exp gives exactly 0 for it.
HIDDEN = -1e9

#: Keys and values of every block, [batch, heads, length, head size] each, to write into.
Cache = list[tuple[tf.Variable, tf.Variable]]

#: Queries, keys and values [batch, heads, time, head size] → what they mix to, like the queries.
Attend = Callable[[Any, Any, Any], Any]


@tf.custom_gradient
def gelu_tanh(x: tf.Tensor) -> Any:
    """0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))), without ``tf.nn.gelu``'s slow power."""
    c = tf.constant(math.sqrt(2 / math.pi), x.dtype)
    square = x * x
    t = tf.tanh(c * x * (1 + 0.044715 * square))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        slope = c * (1 + 0.134145 * square)
        return upstream * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)

    return 0.5 * x * (1 + t), gradient


ACTIVATIONS: dict[str, Any] = {
    "gelu_new": gelu_tanh,
    "gelu": lambda x: tf.nn.gelu(x, approximate=False),
    "relu": tf.nn.relu,
    "silu": tf.nn.silu,
    "tanh": tf.tanh,
}


@tf.custom_gradient
def layer_norm(x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor, epsilon: tf.Tensor) -> Any:
    """Layer norm over the last axis of [rows, width], float32, with the variance not corrected."""
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    inverse = tf.math.rsqrt(tf.reduce_mean(centred * centred, -1, keepdims=True) + epsilon)
    normal = centred * inverse

    def gradient(upstream: tf.Tensor) -> tuple[Any, ...]:
        g = upstream * scale
        dx = inverse * (
            g
            - tf.reduce_mean(g, -1, keepdims=True)
            - normal * tf.reduce_mean(g * normal, -1, keepdims=True)
        )
        return dx, tf.reduce_sum(upstream * normal, 0), tf.reduce_sum(upstream, 0), None

    return normal * scale + bias, gradient


@tf.custom_gradient
def embed(table: tf.Tensor, tokens: tf.Tensor) -> Any:
    """Rows of a table [vocab, width] for tokens of any shape, with a dense gradient.

    TensorFlow's own is sparse, and adding a tied head's dense one to it copies both into one long
    list of rows first.
    """

    def gradient(upstream: tf.Tensor) -> tuple[Any, None]:
        rows = tf.reshape(upstream, [-1, table.shape[1]])
        return tf.math.unsorted_segment_sum(rows, tf.reshape(tokens, [-1]), table.shape[0]), None

    return tf.gather(table, tokens), gradient


def dropped(x: Any, rate: float, seed: Any, site: int) -> Any:
    """Zero a share of x and scale the rest up; the mask follows from (seed, site) alone."""
    if not rate:
        return x
    own = tf.random.fold_in(seed, site)
    return tf.nn.experimental.stateless_dropout(x, rate, own, rng_alg="philox")


def attention_weights(q: Any, k: Any, scale: float, mask: Any) -> Any:
    """softmax(q kᵀ · scale + mask); the softmax in float32."""
    scores = tf.matmul(q * tf.cast(scale, q.dtype), k, transpose_b=True)
    return tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32) + mask), q.dtype)


def causal_mask(queries: Any, keys: Any, window: int | None = None) -> Any:
    """float32 [queries, keys]: 0 where a query may look, a large negative number elsewhere.

    Args:
        queries: Positions, int32 [queries].
        keys: Positions, int32 [keys].
        window: How many places each query sees, its own the last; None: all from the first.
    """
    distance = queries[:, None] - keys[None, :]
    seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    return tf.where(seen, 0.0, HIDDEN)


def vocabulary_scores(hidden: Any, table: Any, compute: tf.DType) -> Any:
    """A score of every token, float32 [rows, vocab], from hidden states and a table [vocab, width].

    In bfloat16 the mean row of the table is subtracted first: pretrained logits share a large
    offset per position, which softmax ignores and bfloat16 would spend its digits on.
    """
    if compute != tf.float32:
        table = table - tf.stop_gradient(tf.reduce_mean(table, 0, keepdims=True))
    scores = tf.matmul(tf.cast(hidden, compute), tf.cast(table, compute), transpose_b=True)
    return tf.cast(scores, tf.float32)


def new_cache(count: int, shape: list[int], dtype: Any) -> Cache:
    """An empty cache for ``count`` blocks; shape: [batch, heads, length, head size]."""
    zeros = tf.zeros(shape, dtype)
    return [
        (tf.Variable(zeros, trainable=False), tf.Variable(zeros, trainable=False))
        for _ in range(count)
    ]


def attend_to_cache(
    cache: Cache, layer: int, start: Any, weights: Callable[[Any, Any], Any]
) -> Attend:
    """Attention that first writes the new keys and values at ``start`` into the cache.

    Args:
        cache: From :func:`new_cache`.
        layer: Which of its blocks.
        start: Position of the first new token, a scalar.
        weights: (Queries, all keys) → attention weights; masks what was not written yet.
    """
    keys, values = cache[layer]

    def attend(q: Any, k: Any, v: Any) -> Any:
        time = k.shape[2]
        keys[:, :, start : start + time, :].assign(k)
        values[:, :, start : start + time, :].assign(v)
        return tf.matmul(weights(q, keys.read_value()), values.read_value())

    return attend


class Transformer(NamedModel):
    """A stack of blocks with PyTorch's matrices, [out, in], computed as its :class:`Blocks` say.

    Args:
        blocks: The stack.
        name: Of the Keras model.
        compute_dtype: Type of the matrix products, ``float32`` or ``bfloat16``.
        dropout: Rate after the embeddings, on attention weights and after each half block.
    """

    def __init__(self, blocks: Blocks, name: str, *, compute_dtype: str, dropout: float) -> None:
        super().__init__(dtype="float32", name=name)
        self.blocks, self.rate = blocks, dropout
        self.compute = tf.as_dtype(compute_dtype)

    def linear(self, x: Any, module: str) -> Any:
        """x Wᵀ + b in the compute type; without a bias where there is none."""
        y = self.times(tf.cast(x, self.compute), f"{module}.weight")
        if f"{module}.bias" in self.named_variables:
            y = tf.nn.bias_add(y, tf.cast(self.value(f"{module}.bias"), y.dtype))
        return y

    def norm(self, x: Any, module: str) -> Any:
        """Layer norm of float32 [rows, width]; without scale and bias where there are none."""
        width = x.shape[-1]
        affine = f"{module}.weight" in self.named_variables
        scale = self.value(f"{module}.weight") if affine else tf.ones([width])
        bias = self.value(f"{module}.bias") if affine else tf.zeros([width])
        return layer_norm(x, scale, bias, tf.constant(self.blocks.epsilon, tf.float32))

    @property
    def head_size(self) -> int:
        return self.blocks.width // self.blocks.heads

    def weights(self, q: Any, k: Any, mask: Any) -> Any:
        """Attention weights, scaled by the square root of the head size."""
        return attention_weights(q, k, 1 / math.sqrt(self.head_size), mask)

    def run(self, x: Any, batch: Any, time: Any, mask: Any, rate: float, seed: Any) -> Any:
        """All blocks over x float32 [batch · time, width].

        Args:
            x: The residual stream.
            batch: Sequences.
            time: Tokens of each.
            mask: Added to the attention's scores, float32, broadcast to [batch, heads, time, time].
            rate: Dropout's.
            seed: int32 [2], needed for dropout.
        """
        for layer in range(self.blocks.count):

            def attend(q: Any, k: Any, v: Any, site: int = 1 + 3 * layer) -> Any:
                return tf.matmul(dropped(self.weights(q, k, mask), rate, seed, site), v)

            x = self.block(x, layer, batch, time, attend, rate, seed)
        return x

    def block(
        self,
        x: Any,
        layer: int,
        batch: Any,
        time: Any,
        attend: Attend,
        rate: float = 0.0,
        seed: Any = None,
    ) -> Any:
        """One block over x float32 [batch · time, width]."""
        names, site = self.blocks.names, 1 + 3 * layer

        def at(name: str) -> str:
            return self.blocks.module(layer, name)

        def heads(x: Any, name: str) -> Any:
            shape = [batch, time, self.blocks.heads, self.head_size]
            return tf.transpose(tf.reshape(self.linear(x, at(name)), shape), [0, 2, 1, 3])

        def attention(x: Any) -> Any:
            x = tf.cast(x, self.compute)
            mixed = attend(heads(x, names.query), heads(x, names.key), heads(x, names.value))
            mixed = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, self.blocks.width])
            return self.linear(mixed, at(names.output))

        def feed_forward(x: Any) -> Any:
            inner = ACTIVATIONS[self.blocks.activation](self.linear(x, at(names.feed_in)))
            return self.linear(inner, at(names.feed_out))

        for half, norm, place in (
            (attention, at(names.attention_norm), site + 1),
            (feed_forward, at(names.feed_norm), site + 2),
        ):
            y = half(self.norm(x, norm) if self.blocks.norm_first else x)
            x = x + dropped(tf.cast(y, tf.float32), rate, seed, place)
            if not self.blocks.norm_first:
                x = self.norm(x, norm)
        return x
