"""LiteRT, TensorFlow Lite's new name: one FlatBuffer file, float32, of fixed input shapes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.interop.exports.network import Network
from training.interop.exports.signature import OUTPUT
from training.weights.checkpoint import Checkpoint

FILE = "model.tflite"
FIXED = True
OPEN = """\
from ai_edge_litert.interpreter import Interpreter
model = Interpreter("model.tflite").get_signature_runner("serving_default")
logits = model({named})["logits"]  # {shapes}"""


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``model.tflite``.

    Only LiteRT's own operations are used: with TensorFlow's ("flex") no small runtime opens it.
    """
    network = Network(checkpoint)
    function = network.function(fixed=FIXED).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    (folder / FILE).write_bytes(converter.convert())


def run(folder: Path, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The logits of the file, and the runtime."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(folder / FILE)).get_signature_runner("serving_default")
    return runner(**values)[OUTPUT], f"LiteRT {version('ai-edge-litert')}"
