"""What the transformers for text share, of stock Keras layers.

Attention is four ``EinsumDense`` layers around ``keras.ops.dot_product_attention``, the parts of
Keras's ``MultiHeadAttention`` with its kernels. The layer itself takes a mask of yes and no, and
where a token may look nowhere, as in a text of padding only, each backend does something else. Ours
adds :data:`HIDDEN` to the scores, and so does this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from training.backbones.blocks import Activation, Blocks
from training.backbones.layers import HIDDEN

ops = keras.ops
#: A layer's name and its weights.
Weights = Iterator[tuple[str, list[np.ndarray]]]


def token_input(name: str) -> Any:
    """An input int32 [batch, time]."""
    return keras.Input((None,), dtype="int32", name=name)


def counts(tokens: Any) -> Any:
    """1, 2, 3 … for every text, int32 [batch, time], for a time that is not known."""
    return ops.cumsum(ops.ones_like(tokens), axis=1)


def embedding(name: str, rows: int, width: int, *, tied: bool = False) -> Any:
    """A table [rows, width]; a tied one is called again with ``reverse=True`` to give scores."""
    kind = keras.layers.ReversibleEmbedding if tied else keras.layers.Embedding
    return kind(rows, width, name=name)


def activation(kind: Activation, x: Any, name: str) -> Any:
    """The activation; Keras's layer has no tanh GELU."""
    if kind == "gelu_new":
        return ops.gelu(x, approximate=True)
    return keras.layers.Activation(kind, name=name)(x)


def norm(x: Any, name: str, epsilon: float, *, affine: bool = True) -> Any:
    """Layer norm over the last axis."""
    layer = keras.layers.LayerNormalization(epsilon=epsilon, center=affine, scale=affine, name=name)
    return layer(x)


def causal(counted: Any) -> Any:
    """What hides later places, float32 [batch, 1, time, time], from :func:`counts`."""
    seen = ops.greater_equal(ops.expand_dims(counted, 2), ops.expand_dims(counted, 1))
    return ops.expand_dims((1 - ops.cast(seen, "float32")) * HIDDEN, 1)


def padding(attention_mask: Any) -> Any:
    """What hides padding, float32 [batch, 1, 1, time]."""
    hidden = (1 - ops.cast(attention_mask, "float32")) * HIDDEN
    return ops.expand_dims(ops.expand_dims(hidden, 1), 1)


def stack(blocks: Blocks, x: Any, mask: Any) -> Any:
    """Every block over x [batch, time, width]; the mask is added to the attention's scores."""
    for layer in range(blocks.count):
        for half, part in ((_attention, "attention"), (_feed_forward, "feed_forward")):
            name, normal = f"layer_{layer}_{part}", f"layer_{layer}_{part}_norm"

            def normed(x: Any, name: str = normal) -> Any:
                return norm(x, name, blocks.epsilon, affine=blocks.affine)

            y = half(blocks, normed(x) if blocks.norm_first else x, mask, name)
            x = keras.layers.Add(name=f"{name}_sum")([x, y])
            if not blocks.norm_first:
                x = normed(x)
    return x


def _attention(blocks: Blocks, x: Any, mask: Any, name: str) -> Any:
    size = blocks.width // blocks.heads

    def heads(part: str) -> Any:
        layer = keras.layers.EinsumDense(
            "btd,dhs->bths",
            (None, blocks.heads, size),
            bias_axes="hs" if blocks.bias else None,
            name=f"{name}_{part}",
        )
        return layer(x)

    query, key, value = heads("query"), heads("key"), heads("value")
    scale = 1 / math.sqrt(size)
    mixed = ops.dot_product_attention(query, key, value, bias=mask, scale=scale)
    output = keras.layers.EinsumDense(
        "bths,hsd->btd",
        (None, blocks.width),
        bias_axes="d" if blocks.bias else None,
        name=f"{name}_output",
    )
    return output(mixed)


def _feed_forward(blocks: Blocks, x: Any, mask: Any, name: str) -> Any:
    x = keras.layers.Dense(blocks.inner, use_bias=blocks.bias, name=f"{name}_in")(x)
    x = activation(blocks.activation, x, f"{name}_activation")
    return keras.layers.Dense(blocks.width, use_bias=blocks.bias, name=f"{name}_out")(x)


# --- weights -------------------------------------------------------------------------------------


def read(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A tensor as Keras keeps it."""
    return np.asarray(tensors[name], np.float32)


def dense_weights(
    tensors: Mapping[str, np.ndarray], module: str, *, bias: bool = True
) -> list[np.ndarray]:
    """A ``Dense`` layer's, of PyTorch's [out, in]."""
    kernel = read(tensors, f"{module}.weight").T
    return [kernel, read(tensors, f"{module}.bias")] if bias else [kernel]


def norm_weights(tensors: Mapping[str, np.ndarray], module: str) -> list[np.ndarray]:
    """A ``LayerNormalization``'s."""
    return [read(tensors, f"{module}.weight"), read(tensors, f"{module}.bias")]


def stack_weights(blocks: Blocks, tensors: Mapping[str, np.ndarray]) -> Weights:
    """Those of :func:`stack`."""
    names, heads = blocks.names, blocks.heads
    size = blocks.width // heads
    for layer in range(blocks.count):
        key = f"layer_{layer}"

        def dense(name: str, layer: int = layer) -> list[np.ndarray]:
            return dense_weights(tensors, blocks.module(layer, name), bias=blocks.bias)

        for part, name in (("query", names.query), ("key", names.key), ("value", names.value)):
            kernel, *bias = dense(name)
            weights = [kernel.reshape(blocks.width, heads, size)]
            yield f"{key}_attention_{part}", weights + [one.reshape(heads, size) for one in bias]
        kernel, *bias = dense(names.output)
        yield f"{key}_attention_output", [kernel.reshape(heads, size, blocks.width), *bias]
        yield f"{key}_feed_forward_in", dense(names.feed_in)
        yield f"{key}_feed_forward_out", dense(names.feed_out)
        if blocks.affine:
            for part, name in (
                ("attention", names.attention_norm),
                ("feed_forward", names.feed_norm),
            ):
                yield f"{key}_{part}_norm", norm_weights(tensors, blocks.module(layer, name))
