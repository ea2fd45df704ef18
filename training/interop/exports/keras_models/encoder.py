"""BERT and its like of stock Keras layers; see :class:`training.backbones.encoder.model.Encoder`.

What the model's own output does not need is not in the file: a pooler beside hidden states or
tokens, and pre-training's head for the next sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from training.backbones.encoder.config import EncoderConfig
from training.interop.exports.keras_models.texts import (
    Weights,
    activation,
    counts,
    dense_weights,
    embedding,
    norm,
    norm_weights,
    padding,
    read,
    stack,
    stack_weights,
    token_input,
)

ops = keras.ops
_TOKEN_HEADS = ("masked_lm", "pretraining")


def _counted(config: EncoderConfig, tokens: Any) -> Any:
    return counts(tokens) - 1


def build(config: EncoderConfig, positions: Callable[[Any, Any], Any] = _counted) -> keras.Model:
    """The functional model, with weights that Keras drew.

    Args:
        config: Its shape.
        positions: (Configuration, tokens [batch, time]) → rows of the position embedding.
    """
    blocks, names, width = config.blocks, config.names, config.blocks.width
    tokens, real = token_input("tokens"), token_input("attention_mask")
    inputs = [tokens, real]
    to_tokens = config.head in _TOKEN_HEADS
    table = embedding("token_embedding", config.vocab_size, width, tied=to_tokens)
    rows = embedding("position_embedding", config.max_position_embeddings, width)
    parts = [table(tokens), rows(positions(config, tokens))]
    if config.types:
        types: Any = ops.zeros_like(tokens)
        if config.types > 1:
            types = token_input("token_types")
            inputs.append(types)
        parts.append(embedding("type_embedding", config.types, width)(types))
    x = keras.layers.Add(name="embeddings")(parts)
    x = norm(x, "embeddings_norm", blocks.epsilon)
    x = stack(blocks, x, padding(real))
    if config.head == "classification":
        x = ops.take(x, 0, axis=1)
        x = keras.layers.Dense(width, name="first")(x)
        x = activation(names.first_activation, x, "first_activation")
        x = keras.layers.Dense(len(config.labels), name="labels")(x)
    elif config.head == "token_classification":
        x = keras.layers.Dense(len(config.labels), name="token_labels")(x)
    elif to_tokens:
        x = keras.layers.Dense(width, name="transform")(x)
        x = activation(names.transform_activation, x, "transform_activation")
        x = norm(x, "transform_norm", blocks.epsilon)
        # No layer adds a bias alone: it is the one row of a table, looked up once for each text.
        nothing = ops.zeros_like(ops.take(tokens, [0], axis=1))
        bias = embedding("token_bias", 1, config.vocab_size)(nothing)
        x = keras.layers.Add(name="scores")([table(x, reverse=True), bias])
    return keras.Model(inputs, x, name=config.architecture)


def weights(config: EncoderConfig, tensors: Mapping[str, np.ndarray]) -> Weights:
    """Layer's name → its weights, a layer at a time."""
    names = config.names
    yield "token_embedding", [read(tensors, names.tokens)]
    yield "position_embedding", [read(tensors, names.positions)]
    if config.types:
        yield "type_embedding", [read(tensors, names.types)]
    yield "embeddings_norm", norm_weights(tensors, names.embeddings_norm)
    yield from stack_weights(config.blocks, tensors)
    if config.head == "classification":
        yield "first", dense_weights(tensors, names.first)
        yield "labels", dense_weights(tensors, names.labels)
    elif config.head == "token_classification":
        yield "token_labels", dense_weights(tensors, names.token_labels)
    elif config.head in _TOKEN_HEADS:
        yield "transform", dense_weights(tensors, names.transform)
        yield "transform_norm", norm_weights(tensors, names.transform_norm)
        yield "token_bias", [read(tensors, names.token_bias)[None]]
