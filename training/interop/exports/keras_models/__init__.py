"""Architectures as functional Keras models of stock layers, a module each.

A module has

``build(config)``
    the model, with weights that Keras drew; its inputs are named as in
    :func:`training.interop.exports.signature.inputs_of`, and its output is what our model computes;
``weights(config, tensors)``
    pairs of a layer's name and its weights in Keras's order and layout.
"""

from __future__ import annotations

#: Architecture → its module; imported only by the job.
MODELS: dict[str, str] = {
    "gpt2": f"{__name__}.gpt2",
    "gpt3": f"{__name__}.gpt3",
    "opt": f"{__name__}.opt",
    "bert": f"{__name__}.encoder",
    "distilbert": f"{__name__}.encoder",
    "roberta": f"{__name__}.roberta",
    "resnet": f"{__name__}.resnet",
    "densenet": f"{__name__}.densenet",
    "shufflenet": f"{__name__}.shufflenet",
    "efficientnet_lite": f"{__name__}.efficientnet_lite",
    "mobilenet_v3": f"{__name__}.mobilenet_v3",
    "vit": f"{__name__}.vit",
}
