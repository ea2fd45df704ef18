"""GPT-2 as a graph of stock Keras layers, and its tensors in Keras's layout both ways; no Keras.

Keras keeps attention in four kernels, [width, heads, size] for query, key and value and
[heads, size, width] for the output; ours lie in one matrix [width, 3 · width] and one [width,
width], so that each is a slice and a reshape of the other, and no value changes. Only a model whose
scores are scaled otherwise than by 1/√size gets other query kernels: Keras has no setting for it,
so the ratio is multiplied into them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.backbones.gpt2.config import EMBEDDING, HEAD, GPT2Config

QUERY, KEY, VALUE, OUTPUT = "query_dense", "key_dense", "value_dense", "output_dense"


@dataclass(frozen=True)
class Node:
    """One layer or operation of the graph.

    Attributes:
        key: Its name; Keras names operations itself, so there it is only ours.
        kind: Class of ``keras.layers``, or function of ``keras.ops``.
        calls: What it is called on, call by call: the nodes and which of their calls is meant, or
            a number. A list in the list is one argument of several tensors.
        settings: What its ``config`` must hold.
        arguments: Further arguments of a call, by its number.
        operation: Whether it is a function of ``keras.ops``.
    """

    key: str
    kind: str
    calls: tuple[tuple[Any, ...], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    operation: bool = False


def graph(config: GPT2Config) -> list[Node]:
    """Every node in the order in which it can be built; the last call of the last is the output."""
    width, heads = config.n_embd, config.n_head
    tied = config.tie_word_embeddings

    def table(key: str, rows: int, source: str) -> Node:
        settings = {"input_dim": rows, "output_dim": width, "mask_zero": False}
        return Node(key, "Embedding", (((source, 0),),), settings)

    def add(key: str, one: str, other: str) -> Node:
        return Node(key, "Add", (([(one, 0), (other, 0)],),))

    def norm(key: str, source: str) -> Node:
        settings = {
            "axis": [-1],
            "epsilon": config.layer_norm_epsilon,
            "center": True,
            "scale": True,
            "rms_scaling": False,
        }
        return Node(key, "LayerNormalization", (((source, 0),),), settings)

    def dense(key: str, units: int, source: str, bias: bool = True) -> Node:
        settings = {"units": units, "activation": "linear", "use_bias": bias}
        return Node(key, "Dense", (((source, 0),),), settings)

    def activation(key: str, source: str) -> Node:
        if config.activation_function == "gelu_new":
            return Node(key, "Gelu", (((source, 0),),), {"approximate": True}, operation=True)
        return Node(
            key, "Activation", (((source, 0),),), {"activation": config.activation_function}
        )

    tokens = ("tokens", 0)
    found = [
        Node("tokens", "InputLayer", (), {"batch_shape": [None, None], "sparse": False}),
        # 0, 1, 2 … for a time that is not known: Keras has no layer for it.
        Node("ones", "OnesLike", ((tokens,),), operation=True),
        Node("counts", "Cumsum", ((("ones", 0),),), {"axis": 1}, operation=True),
        Node("positions", "Subtract", ((("counts", 0), 1),), operation=True),
    ]
    if tied:
        calls = ((tokens,), (("final_norm", 0),))
        settings = {
            "input_dim": config.vocab_size,
            "output_dim": width,
            "mask_zero": False,
            "tie_weights": True,
            "reverse_dtype": None,
            "logit_soft_cap": None,
        }
        found.append(
            Node("token_embedding", "ReversibleEmbedding", calls, settings, {1: {"reverse": True}})
        )
    else:
        found.append(table("token_embedding", config.vocab_size, "tokens"))
    found += [
        table("position_embedding", config.n_positions, "positions"),
        add("embeddings", "token_embedding", "position_embedding"),
    ]
    x = "embeddings"
    for layer in range(config.n_layer):
        name = f"layer_{layer}"
        attention = {
            "num_heads": heads,
            "key_dim": width // heads,
            "value_dim": width // heads,
            "dropout": 0.0,
            "use_bias": True,
            "output_shape": None,
            "attention_axes": [1],
        }
        normal = (f"{name}_attention_norm", 0)
        found += [
            norm(f"{name}_attention_norm", x),
            Node(
                f"{name}_attention",
                "MultiHeadAttention",
                ((normal, normal),),
                attention,
                {0: {"use_causal_mask": True}},
            ),
            add(f"{name}_attention_sum", x, f"{name}_attention"),
            norm(f"{name}_feed_forward_norm", f"{name}_attention_sum"),
            dense(f"{name}_feed_forward_in", config.inner, f"{name}_feed_forward_norm"),
            activation(f"{name}_activation", f"{name}_feed_forward_in"),
            dense(f"{name}_feed_forward_out", width, f"{name}_activation"),
            add(f"{name}_feed_forward_sum", f"{name}_attention_sum", f"{name}_feed_forward_out"),
        ]
        x = f"{name}_feed_forward_sum"
    found.append(norm("final_norm", x))
    if not tied:
        found.append(dense("head", config.vocab_size, "final_norm", bias=False))
    return found


def output_of(config: GPT2Config) -> tuple[str, int]:
    """The node, and which of its calls, that gives the logits."""
    return ("token_embedding", 1) if config.tie_word_embeddings else ("head", 0)


def to_keras(
    config: GPT2Config, tensors: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Layer's key → its weights in Keras's order, float32, a layer at a time."""

    def read(name: str) -> np.ndarray:
        return np.asarray(tensors[name], np.float32)

    def pair(module: str) -> list[np.ndarray]:
        return [read(f"{module}.weight"), read(f"{module}.bias")]

    width, heads = config.n_embd, config.n_head
    size = width // heads
    yield "token_embedding", [read(EMBEDDING)]
    yield "position_embedding", [read("transformer.wpe.weight")]
    for layer in range(config.n_layer):
        ours, theirs = f"transformer.h.{layer}", f"layer_{layer}"
        kernel, bias = pair(f"{ours}.attn.c_attn")
        ratio = np.float32(_scale(config, layer) * math.sqrt(size))
        weights = []
        for part in range(3):
            chosen = slice(part * width, (part + 1) * width)
            factor = ratio if part == 0 else np.float32(1)
            weights += [
                factor * kernel[:, chosen].reshape(width, heads, size),
                factor * bias[chosen].reshape(heads, size),
            ]
        kernel, bias = pair(f"{ours}.attn.c_proj")
        weights += [kernel.reshape(heads, size, width), bias]
        yield f"{theirs}_attention", weights
        yield f"{theirs}_attention_norm", pair(f"{ours}.ln_1")
        yield f"{theirs}_feed_forward_norm", pair(f"{ours}.ln_2")
        yield f"{theirs}_feed_forward_in", pair(f"{ours}.mlp.c_fc")
        yield f"{theirs}_feed_forward_out", pair(f"{ours}.mlp.c_proj")
    yield "final_norm", pair("transformer.ln_f")
    if not config.tie_word_embeddings:
        yield "head", [read(HEAD).T]


def _scale(config: GPT2Config, layer: int) -> float:
    """What our attention multiplies its scores with."""
    scale = 1 / math.sqrt(config.n_embd // config.n_head) if config.scale_attn_weights else 1.0
    return scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale


@dataclass(frozen=True)
class Source:
    """Where one of our tensors lies in Keras's layers.

    Attributes:
        name: Ours.
        parts: Its pieces, each a layer's key, the part of the layer ("" is the layer itself) and
            the number of the weight there.
        shape: Of each piece, as Keras has it.
        rows: What each piece is reshaped to before they are joined along the last axis.
        turned: Whether ours is the transpose.
    """

    name: str
    parts: tuple[tuple[str, str, int], ...]
    shape: tuple[int, ...]
    rows: tuple[int, ...]
    turned: bool = False

    def join(self, pieces: list[np.ndarray]) -> np.ndarray:
        """Our tensor of Keras's pieces; no value changes."""
        joined = np.concatenate([piece.reshape(self.rows) for piece in pieces], -1)
        return np.ascontiguousarray(joined.T) if self.turned else joined


def sources(config: GPT2Config) -> Iterator[Source]:
    """Every tensor of a model, in its layers: the inverse of :func:`to_keras`."""
    width, heads, inner = config.n_embd, config.n_head, config.inner
    size = width // heads

    def plain(name: str, key: str, number: int, *shape: int) -> Source:
        return Source(name, ((key, "", number),), shape, shape)

    def pair(module: str, key: str, *shape: int) -> Iterator[Source]:
        yield plain(f"{module}.weight", key, 0, *shape)
        yield plain(f"{module}.bias", key, 1, shape[-1])

    yield plain(EMBEDDING, "token_embedding", 0, config.vocab_size, width)
    yield plain("transformer.wpe.weight", "position_embedding", 0, config.n_positions, width)
    for layer in range(config.n_layer):
        ours, theirs = f"transformer.h.{layer}", f"layer_{layer}"
        key = f"{theirs}_attention"
        yield from pair(f"{ours}.ln_1", f"{theirs}_attention_norm", width)
        for number, suffix, shape in (
            (0, "weight", (width, heads, size)),
            (1, "bias", (heads, size)),
        ):
            parts = tuple((key, part, number) for part in (QUERY, KEY, VALUE))
            rows = (width, width) if number == 0 else (width,)
            yield Source(f"{ours}.attn.c_attn.{suffix}", parts, shape, rows)
        yield Source(
            f"{ours}.attn.c_proj.weight", ((key, OUTPUT, 0),), (heads, size, width), (width, width)
        )
        yield Source(f"{ours}.attn.c_proj.bias", ((key, OUTPUT, 1),), (width,), (width,))
        yield from pair(f"{ours}.ln_2", f"{theirs}_feed_forward_norm", width)
        yield from pair(f"{ours}.mlp.c_fc", f"{theirs}_feed_forward_in", width, inner)
        yield from pair(f"{ours}.mlp.c_proj", f"{theirs}_feed_forward_out", inner, width)
    yield from pair("transformer.ln_f", "final_norm", width)
    if not config.tie_word_embeddings:
        shape = (width, config.vocab_size)
        yield Source(HEAD, (("head", "", 0),), shape, shape, turned=True)


#: Layer's key in :func:`graph` → its group in a file of KerasHub's GPT-2.
HUB_LAYERS = {
    "token_embedding": "reversible_embedding",
    "position_embedding": "position_embedding",
    "final_norm": "layer_normalization",
}
HUB_PARTS = {
    "attention": "_self_attention_layer",
    "attention_norm": "_self_attention_layer_norm",
    "feed_forward_norm": "_feedforward_layer_norm",
    "feed_forward_in": "_feedforward_intermediate_dense",
    "feed_forward_out": "_feedforward_output_dense",
}


def hub_place(key: str) -> str:
    """Group of a layer of ours in a file of KerasHub's GPT-2, below the backbone's layers."""
    if key in HUB_LAYERS:
        return HUB_LAYERS[key]
    _layer, number, part = key.split("_", 2)
    # Keras numbers the layers of a class from nothing, then 1, in the model's order.
    decoder = "transformer_decoder" + (f"_{number}" if int(number) else "")
    return f"{decoder}/{HUB_PARTS[part]}"
