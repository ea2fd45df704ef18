"""Every form that a checkpoint is exported in: a plain dictionary, without TensorFlow.

A form is a module with

``write(checkpoint, folder)``
    makes its files in an empty folder;
``run(folder, values)``
    opens them again with the runtime that people will use, and no code of ours, and gives the
    logits for the probe's values and that runtime's name and version;
``FIXED``
    whether its inputs have one shape only; and ``OPEN``, the lines of Python that open the files.

The forms without a network of their own (``graft``, ``huggingface``) have ``check(checkpoint,
folder)`` in place of ``run``: the same bytes need no comparison of outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES, SELF_CONTAINED
from training.errors import gettext_noop as _
from training.interop.exports.keras_models import MODELS
from training.interop.forms import FORMS, opening


@dataclass(frozen=True)
class Export:
    """A form of export, described without TensorFlow.

    Attributes:
        title: Its name for people.
        opened_by: One sentence on who opens it.
        module: Where it is made; imported only by the job.
        computes: Whether the job runs the network, and so needs TensorFlow.
        architectures: The ones it is made for; None: all.
        whole: Whether everything beside the weights goes with them.
        by_others: Whether ``transformers`` or timm has to open it.
        limit_bytes: Most bytes of float32 weights that such a file can hold; None: no limit.
    """

    title: str
    opened_by: str
    module: str
    computes: bool = True
    architectures: frozenset[str] | None = None
    by_others: bool = False
    whole: bool = False
    limit_bytes: int | None = None

    def problem(self, config: BackboneConfig) -> tuple[str, dict[str, Any]] | None:
        """Why a model cannot be written so: a code of the engine's sentences and its values."""
        known = {"format": self.title, "architecture": config.architecture}
        if config.architecture not in SELF_CONTAINED and not self.whole:
            return "export_architecture", known
        if self.architectures is not None and config.architecture not in self.architectures:
            return "export_architecture", known
        if self.by_others and not opening(config):
            text = BACKBONES[config.architecture].kind == "text"
            return ("export_banded" if text else "export_not_in_timm"), known
        # Every tensor is written as float32; running statistics too.
        size = 4 * sum(spec.size for spec in config.tensors())
        if self.limit_bytes is not None and size > self.limit_bytes:
            return "export_too_large", {
                "format": self.title,
                "size_gb": round(size / 1e9, 1),
                "limit_gb": round(self.limit_bytes / 1e9, 1),
            }
        return None


#: Below the 2 GiB that protobuf and FlatBuffers hold, with room for the graph itself.
_TWO_GIB = 2_000_000_000

EXPORTS: dict[str, Export] = {
    "graft": Export(
        _("Graft folder"),
        _("Graft itself, another portal's or the command line: weights, tokenizer, card, proofs."),
        "training.interop.exports.graft",
        computes=False,
        whole=True,
    ),
    "huggingface": Export(
        _("Hugging Face folder"),
        _("transformers on PyTorch, timm for images, and all else that reads the Hub's form."),
        "training.interop.exports.huggingface",
        computes=False,
        architectures=frozenset(FORMS),
        by_others=True,
    ),
    "keras": Export(
        _("Keras file"),
        _("Keras 3.15 or later, for training on: stock layers, no code of ours."),
        "training.interop.exports.keras",
        architectures=frozenset(MODELS),
    ),
    "saved_model": Export(
        _("SavedModel"),
        _("TensorFlow, TensorFlow Serving and Java, Go or C++ programs with TensorFlow's library."),
        "training.interop.exports.saved_model",
    ),
    "litert": Export(
        _("LiteRT (TensorFlow Lite)"),
        _("Phones and small devices; one fixed input shape, stated in the proof."),
        "training.interop.exports.litert",
        limit_bytes=_TWO_GIB,
    ),
    "onnx": Export(
        _("ONNX"),
        _("ONNX Runtime in Python, C++, C#, Java and the browser, and many accelerators."),
        "training.interop.exports.onnx",
        limit_bytes=_TWO_GIB,
    ),
}
