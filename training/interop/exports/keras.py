"""A ``.keras`` file that plain Keras opens: a functional model of stock layers, no code of ours.

The model of each architecture is a module in ``keras_models``; :data:`MODELS` names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import keras
import numpy as np

from training.interop.exports.keras_models import MODELS
from training.weights.checkpoint import Checkpoint

FILE = "model.keras"
FIXED = False
OPEN = """\
import keras
model = keras.saving.load_model("model.keras")
logits = model({given})"""


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``model.keras``; batch and time, or the sizes of images, stay free."""
    module = import_module(MODELS[checkpoint.config.architecture])
    model = module.build(checkpoint.config)
    for key, weights in module.weights(checkpoint.config, checkpoint.tensors()):
        model.get_layer(key).set_weights(weights)
    model.save(folder / FILE)


def run(folder: Path, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The logits of the file, and the runtime."""
    model = keras.saving.load_model(folder / FILE, safe_mode=True)
    given = {one.name: values[one.name] for one in model.inputs}
    (only, *others) = given.values()
    logits = np.asarray(model(given if others else only).numpy())
    return logits, f"Keras {keras.__version__} ({keras.backend.backend()})"
