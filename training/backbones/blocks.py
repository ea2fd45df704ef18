"""Tensors of transformers by name, without TensorFlow: what several architectures share.

A :class:`Blocks` describes a stack of blocks once; the configuration lists its tensors from it, and
:class:`training.backbones.layers.Transformer` computes with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from training.backbones.contract import TensorSpec

Activation = Literal["gelu_new", "gelu", "relu", "silu", "tanh"]

#: An axis: what it counts, and how many.
Axis = tuple[str, int]

STD = 0.02


def table(name: str, rows: Axis, columns: Axis, block: str, role: str) -> TensorSpec:
    """An embedding: a row for each token, position or type."""
    return TensorSpec(
        name, (rows[1], columns[1]), "normal", STD, block, role, (rows[0], columns[0])
    )


def head(name: str, rows: Axis, columns: Axis) -> TensorSpec:
    """A language model's head of its own: a row for each token, summed over its columns."""
    return replace(table(name, rows, columns, "head", "token"), inputs=(1,))


def norm(name: str, width: int, block: str, role: str) -> list[TensorSpec]:
    """Scale and bias of a layer norm; an empty role where the block holds nothing else."""
    scale, bias = (f"{role}.{part}".strip(".") for part in ("scale", "bias"))
    return [
        TensorSpec(f"{name}.weight", (width,), "ones", 0, block, scale, ("width",)),
        TensorSpec(f"{name}.bias", (width,), "zeros", 0, block, bias, ("width",)),
    ]


def both(norm: str) -> tuple[str, str]:
    """Names of a layer norm's two tensors."""
    return f"{norm}.weight", f"{norm}.bias"


def dense(
    name: str,
    axes: tuple[Axis, Axis],
    block: str,
    role: str,
    *,
    inputs: int = 1,
    std: float = STD,
    bias: bool = True,
) -> list[TensorSpec]:
    """A matrix with its bias.

    Args:
        name: Of the module; the tensors are ``NAME.weight`` and ``NAME.bias``.
        axes: The matrix's, as it is stored.
        block: Part of the model.
        role: Of the module; the tensors' are ``ROLE.kernel`` and ``ROLE.bias``.
        inputs: Which axis is summed over: 1 for PyTorch's [out, in], 0 for [in, out].
        std: Standard deviation of the matrix's starting values.
        bias: Whether there is one.
    """
    (first, rows), (second, columns) = axes
    outputs = axes[1 - inputs]
    kernel, offset = (f"{role}.{part}".strip(".") for part in ("kernel", "bias"))
    found = [
        TensorSpec(
            f"{name}.weight",
            (rows, columns),
            "normal",
            std,
            block,
            kernel,
            (first, second),
            inputs=(inputs,),
        )
    ]
    if bias:
        found.append(
            TensorSpec(f"{name}.bias", (outputs[1],), "zeros", 0, block, offset, (outputs[0],))
        )
    return found


@dataclass(frozen=True)
class BlockNames:
    """Names of a block's modules below the block's own."""

    query: str
    key: str
    value: str
    output: str
    attention_norm: str
    feed_in: str
    feed_out: str
    feed_norm: str


@dataclass(frozen=True)
class Blocks:
    """A stack of transformer blocks with PyTorch's matrices, [out, in].

    Attributes:
        prefix: Of the names, ``bert.encoder.layer``; the block's number follows.
        names: Of the modules.
        count: How many blocks.
        width: Of the residual stream.
        inner: Of the feed-forward layer.
        heads: Attention heads.
        activation: Of the feed-forward layer.
        epsilon: Of the layer norms.
        norm_first: Layer norms before each half block (GPT's order) or after its sum (BERT's).
        bias: Whether the matrices have biases.
        affine: Whether the layer norms have scale and bias.
    """

    prefix: str
    names: BlockNames
    count: int
    width: int
    inner: int
    heads: int
    activation: Activation
    epsilon: float
    norm_first: bool = False
    bias: bool = True
    affine: bool = True

    def module(self, layer: int, name: str) -> str:
        """A module's whole name."""
        return f"{self.prefix}.{layer}.{name}"

    def tensors(self) -> list[TensorSpec]:
        """Every tensor of every block."""
        width, heads, inner = ("width", self.width), ("heads", self.width), ("inner", self.inner)
        names, found = self.names, list[TensorSpec]()
        for layer in range(self.count):
            block = f"layer.{layer}"
            for name, role, axes in (
                (names.query, "attention.query", (heads, width)),
                (names.key, "attention.key", (heads, width)),
                (names.value, "attention.value", (heads, width)),
                (names.output, "attention.output", (width, heads)),
                (names.feed_in, "feed_forward.in", (inner, width)),
                (names.feed_out, "feed_forward.out", (width, inner)),
            ):
                found += dense(self.module(layer, name), axes, block, role, bias=self.bias)
            if self.affine:
                for name, role in (
                    (names.attention_norm, "attention.norm"),
                    (names.feed_norm, "feed_forward.norm"),
                ):
                    found += norm(self.module(layer, name), self.width, block, role)
        return found
