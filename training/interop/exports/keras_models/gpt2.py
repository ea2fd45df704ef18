"""GPT-2 of stock Keras layers, from :func:`training.interop.keras_gpt2.graph`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from training.backbones.gpt2.config import GPT2Config
from training.interop.keras_gpt2 import graph, output_of
from training.interop.keras_gpt2 import to_keras as weights

__all__ = ["build", "weights"]

_OPERATIONS: dict[str, Any] = {
    "OnesLike": keras.ops.ones_like,
    "Cumsum": keras.ops.cumsum,
    "Subtract": keras.ops.subtract,
    "Gelu": keras.ops.gelu,
}
#: What Keras fills in itself when it makes the layer.
_NOT_ARGUMENTS = ("axis", "rms_scaling", "attention_axes", "batch_shape", "sparse")


def build(
    config: GPT2Config, masks: Callable[[Any], Mapping[str, Any]] | None = None
) -> keras.Model:
    """The functional model, with weights that Keras drew.

    Args:
        config: Its shape.
        masks: From positions, int32 [batch, time], what some attention layers may look at beside
            causality, bool [batch, time, time], by the layer's name.
    """
    made: dict[tuple[str, int], Any] = {}
    masked: Mapping[str, Any] = {}

    def given(source: Any) -> Any:
        if isinstance(source, list):
            return [given(one) for one in source]
        return made[source] if isinstance(source, tuple) else source

    later: list[tuple[Any, Any]] = []
    for node in graph(config):
        if node.kind == "InputLayer":
            made[node.key, 0] = keras.Input((None,), dtype="int32", name=node.key)
            continue
        if node.operation:
            (sources,) = node.calls
            arguments = [given(source) for source in sources]
            made[node.key, 0] = _OPERATIONS[node.kind](*arguments, **node.settings)
            if masks and node.key == "positions":
                masked = masks(made[node.key, 0])
            continue
        settings = {
            name: value for name, value in node.settings.items() if name not in _NOT_ARGUMENTS
        }
        layer = getattr(keras.layers, node.kind)(**settings, name=node.key)
        first, *others = node.calls
        further = dict(node.arguments.get(0, {}))
        if node.key in masked:
            further["attention_mask"] = masked[node.key]
        made[node.key, 0] = layer(*map(given, first), **further)
        # A tied head is called again once what it reads is there.
        later += [((node, number), (layer, sources)) for number, sources in enumerate(others, 1)]
    for (node, number), (layer, sources) in later:
        made[node.key, number] = layer(*map(given, sources), **node.arguments.get(number, {}))
    return keras.Model(made["tokens", 0], made[output_of(config)], name=config.architecture)
