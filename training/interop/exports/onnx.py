"""ONNX: one protobuf file, float32, with named inputs, outputs and free axes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.interop.exports.network import Network
from training.interop.exports.signature import OUTPUT
from training.weights.checkpoint import Checkpoint

FILE = "model.onnx"
FIXED = False
#: Of 2022: known to every runtime in use, and the newest that tf2onnx writes.
OPSET = 18
OPEN = """\
import onnxruntime
model = onnxruntime.InferenceSession("model.onnx")
(logits,) = model.run(["logits"], {{{pairs}}})"""


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``model.onnx``; batch and sizes stay free."""
    import onnx
    import tf2onnx

    network = Network(checkpoint)
    # With the weights in the graph, tf2onnx took 23 GB for the 0.5 GB of a GPT-2.
    function, specs = network.function_of_weights()
    model, _ = tf2onnx.convert.from_function(
        function,
        input_signature=specs,
        opset=OPSET,
        custom_op_handlers={"Erfc": (_erfc, [])},
    )
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    tensors = checkpoint.tensors()
    inputs = [given for given in graph.input if given.name not in tensors]
    del graph.input[:]
    graph.input.extend(inputs)
    for name in tensors:
        if name in used:
            values = np.ascontiguousarray(tensors[name], np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    # tf2onnx numbers free axes; people read what they count.
    axes = network.inputs[0].axes
    for given in (*graph.input, *graph.output):
        for axis, name in zip(given.type.tensor_type.shape.dim, axes, strict=False):
            if axis.dim_param:
                axis.dim_param = name
    onnx.checker.check_model(model)
    onnx.save_model(model, str(folder / FILE))


def _erfc(graph: Any, node: Any, _name: str, _arguments: Any) -> None:
    """1 − erf(x): TensorFlow's exact GELU is made of erfc, which ONNX and tf2onnx do not have."""
    output = node.output[0]
    kind, shape = graph.get_dtype(output), graph.get_shape(output)
    graph.remove_node(node.name)
    one = graph.make_const(f"{node.name}_one", np.array(1, np.float32)).output[0]
    erf = graph.make_node("Erf", [node.input[0]], shapes=[shape], dtypes=[kind]).output[0]
    graph.make_node(
        "Sub", [one, erf], outputs=[output], name=node.name, shapes=[shape], dtypes=[kind]
    )


def run(folder: Path, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The logits of the file, and the runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / FILE), providers=["CPUExecutionProvider"])
    (logits,) = session.run([OUTPUT], dict(values))
    return np.asarray(logits), f"ONNX Runtime {onnxruntime.__version__}"
