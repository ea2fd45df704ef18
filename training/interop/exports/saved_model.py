"""TensorFlow's SavedModel, with one signature: ``serving_default(tokens=…) → {"logits": …}``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.interop.exports.network import Network
from training.interop.exports.signature import OUTPUT
from training.weights.checkpoint import Checkpoint

FOLDER = "saved_model"
FIXED = False
OPEN = """\
import tensorflow as tf
model = tf.saved_model.load("saved_model").signatures["serving_default"]
logits = model({constants})["logits"]"""


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``saved_model/``; batch and sizes stay free."""
    network = Network(checkpoint)
    function = network.function(fixed=FIXED)
    tf.saved_model.save(network, str(folder / FOLDER), signatures={"serving_default": function})


def run(folder: Path, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The logits of the saved folder, and the runtime."""
    loaded = tf.saved_model.load(str(folder / FOLDER))
    serve = loaded.signatures["serving_default"]
    logits = serve(**{name: tf.constant(value) for name, value in values.items()})[OUTPUT].numpy()
    return logits, f"TensorFlow {tf.__version__}"
