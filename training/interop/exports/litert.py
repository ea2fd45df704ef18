"""LiteRT, TensorFlow Lite's new name: one FlatBuffer file, float32, of one fixed input shape."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.interop.exports.network import Network
from training.interop.exports.signature import OUTPUT, Signature
from training.weights.checkpoint import Checkpoint

FILE = "model.tflite"
OPEN = """\
from ai_edge_litert.interpreter import Interpreter
model = Interpreter("model.tflite").get_signature_runner("serving_default")
logits = model({name}={name})["logits"]  # {name}: {dtype} {shape}"""


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``model.tflite``.

    Only LiteRT's own operations are used: with TensorFlow's ("flex") no small runtime opens it.
    """
    network = Network(checkpoint)
    function = network.function(network.signature.fixed).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    (folder / FILE).write_bytes(converter.convert())


def shape(signature: Signature) -> tuple[int, ...]:
    return signature.fixed


def run(folder: Path, values: np.ndarray) -> tuple[np.ndarray, str]:
    """The logits of the file, and the runtime."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(folder / FILE)).get_signature_runner("serving_default")
    (name,) = runner.get_input_details()
    return runner(**{name: values})[OUTPUT], f"LiteRT {version('ai-edge-litert')}"
