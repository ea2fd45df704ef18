"""ONNX: one protobuf file, float32, with named inputs, outputs and free axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.interop.exports.network import Network
from training.interop.exports.signature import OUTPUT, Signature
from training.weights.checkpoint import Checkpoint

FILE = "model.onnx"
#: Of 2022: known to every runtime in use, and the newest that tf2onnx writes.
OPSET = 18
OPEN = """\
import onnxruntime
model = onnxruntime.InferenceSession("model.onnx")
(logits,) = model.run(["logits"], {{"{name}": {name}}})"""


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``model.onnx``; batch and sizes stay free."""
    import onnx
    import tensorflow as tf
    import tf2onnx

    network = Network(checkpoint)
    signature = network.signature
    spec = tf.TensorSpec(signature.shape, signature.dtype, name=signature.name)
    model, _ = tf2onnx.convert.from_function(
        network.function(signature.shape), input_signature=[spec], opset=OPSET
    )
    # tf2onnx numbers free axes; people read what they count.
    (given,), (made,) = model.graph.input, model.graph.output
    for axis, name in zip(given.type.tensor_type.shape.dim, signature.axes, strict=True):
        if axis.dim_param:
            axis.dim_param = name
    for axis, name in zip(made.type.tensor_type.shape.dim, signature.axes, strict=False):
        if axis.dim_param:
            axis.dim_param = name
    onnx.checker.check_model(model)
    onnx.save_model(model, str(folder / FILE))


def shape(signature: Signature) -> tuple[int, ...]:
    return signature.flexible()


def run(folder: Path, values: np.ndarray) -> tuple[np.ndarray, str]:
    """The logits of the file, and the runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / FILE), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    (logits,) = session.run([OUTPUT], {given.name: values})
    return np.asarray(logits), f"ONNX Runtime {onnxruntime.__version__}"
