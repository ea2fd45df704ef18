"""OPT of stock Keras layers; see :mod:`training.backbones.opt.model`."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from training.backbones.opt.config import (
    EMBEDDING,
    FINAL_NORM,
    HEAD,
    POSITIONS,
    PROJECT_IN,
    PROJECT_OUT,
    OPTConfig,
)
from training.interop.exports.keras_models.texts import (
    Weights,
    causal,
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


def build(config: OPTConfig) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    blocks, width = config.blocks, config.hidden_size
    tokens, real = token_input("tokens"), token_input("attention_mask")
    table = embedding(
        "token_embedding", config.vocab_size, config.embedding, tied=config.tie_word_embeddings
    )
    x = table(tokens)
    if config.projected:
        x = keras.layers.Dense(width, use_bias=False, name="project_in")(x)
    # Padding counts for no position, and has the row before the first position's.
    rows = keras.ops.cumsum(real, axis=1) * real + (config.position_offset - 1)
    places = config.max_position_embeddings + config.position_offset
    x = keras.layers.Add(name="embeddings")(
        [x, embedding("position_embedding", places, width)(rows)]
    )
    x = stack(blocks, x, causal(counts(tokens)) + padding(real))
    if config.do_layer_norm_before:
        x = norm(x, "final_norm", blocks.epsilon, affine=blocks.affine)
    if config.projected:
        x = keras.layers.Dense(config.embedding, use_bias=False, name="project_out")(x)
    if config.tie_word_embeddings:
        logits = table(x, reverse=True)
    else:
        logits = keras.layers.Dense(config.vocab_size, use_bias=False, name="head")(x)
    return keras.Model([tokens, real], logits, name="opt")


def weights(config: OPTConfig, tensors: Mapping[str, np.ndarray]) -> Weights:
    """Layer's name → its weights, a layer at a time."""
    yield "token_embedding", [read(tensors, EMBEDDING)]
    yield "position_embedding", [read(tensors, POSITIONS)]
    yield from stack_weights(config.blocks, tensors)
    if config.projected:
        yield "project_in", dense_weights(tensors, PROJECT_IN, bias=False)
        yield "project_out", dense_weights(tensors, PROJECT_OUT, bias=False)
    if config.do_layer_norm_before and config.layer_norm_elementwise_affine:
        yield "final_norm", norm_weights(tensors, FINAL_NORM)
    if not config.tie_word_embeddings:
        yield "head", [read(tensors, HEAD).T]
