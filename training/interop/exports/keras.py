"""A ``.keras`` file that plain Keras opens: a functional model of stock layers, no code of ours.

The graph is :func:`training.interop.keras_gpt2.graph`. Keras's own tied head
(``ReversibleEmbedding``) came with Keras 3.13, so older versions do not open the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training.backbones.gpt2.config import GPT2Config
from training.interop.keras_gpt2 import graph, output_of, to_keras
from training.weights.checkpoint import Checkpoint

FILE = "model.keras"
FIXED = False
OPEN = """\
import keras
model = keras.saving.load_model("model.keras")
logits = model(tokens)"""

_OPERATIONS: dict[str, Any] = {
    "OnesLike": keras.ops.ones_like,
    "Cumsum": keras.ops.cumsum,
    "Subtract": keras.ops.subtract,
    "Gelu": keras.ops.gelu,
}
#: What Keras fills in itself when it makes the layer.
_NOT_ARGUMENTS = ("axis", "rms_scaling", "attention_axes", "batch_shape", "sparse")


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``model.keras``; batch and time stay free."""
    assert isinstance(checkpoint.config, GPT2Config)
    model = build(checkpoint.config)
    for key, weights in to_keras(checkpoint.config, checkpoint.tensors()):
        model.get_layer(key).set_weights(weights)
    model.save(folder / FILE)


def build(config: GPT2Config) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    made: dict[tuple[str, int], Any] = {}

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
            continue
        settings = {
            name: value for name, value in node.settings.items() if name not in _NOT_ARGUMENTS
        }
        layer = getattr(keras.layers, node.kind)(**settings, name=node.key)
        first, *others = node.calls
        made[node.key, 0] = layer(*map(given, first), **node.arguments.get(0, {}))
        # A tied head is called again once what it reads is there.
        later += [((node, number), (layer, sources)) for number, sources in enumerate(others, 1)]
    for (node, number), (layer, sources) in later:
        made[node.key, number] = layer(*map(given, sources), **node.arguments.get(number, {}))
    return keras.Model(made["tokens", 0], made[output_of(config)], name="gpt2")


def run(folder: Path, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The logits of the file, and the runtime."""
    model = keras.saving.load_model(folder / FILE, safe_mode=True)
    logits = np.asarray(model(values["tokens"]).numpy())
    return logits, f"Keras {keras.__version__} ({keras.backend.backend()})"
