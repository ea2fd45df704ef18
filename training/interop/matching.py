"""Whether foreign tensors are exactly those of a configuration; refusals name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from training.backbones.contract import BackboneConfig
from training.errors import TrainingError
from training.weights.checkpoint import WEIGHT_TYPES
from training.weights.header import TensorInfo


def put(found: dict[str, TensorInfo], name: str, info: TensorInfo) -> None:
    """Note a foreign tensor under a name of ours, which only one may have.

    Raises:
        TrainingError: ``tensor_two_names``, with both of theirs.
    """
    if name in found:
        one, other = short(found[name].name), short(info.name)
        raise TrainingError("tensor_two_names", one=one, other=other)
    found[name] = info


def require_none_missing(
    found: Mapping[str, Any], config: BackboneConfig, foreign: Mapping[str, str] | None = None
) -> None:
    """Refuse when a tensor of the configuration is not there.

    Args:
        found: By our names.
        config: The model.
        foreign: Our name → theirs, which the sentence uses; none: the same.

    Raises:
        TrainingError: ``tensors_missing``.
    """
    names = foreign or {}
    missing = [names.get(s.name, s.name) for s in config.tensors() if s.name not in found]
    if missing:
        raise TrainingError("tensors_missing", count=len(missing), names=some(missing))


def require_none_extra(names: Iterable[str], config: BackboneConfig) -> None:
    """Refuse when there are names of tensors that the configuration has no place for.

    Raises:
        TrainingError: ``tensors_extra``.
    """
    if extra := sorted(names):
        raise TrainingError(
            "tensors_extra", count=len(extra), names=some(extra), model=config.architecture
        )


def in_order(found: Mapping[str, TensorInfo], config: BackboneConfig) -> dict[str, TensorInfo]:
    """The tensors in the configuration's order, each of its shape and a type that is read.

    Raises:
        TrainingError: ``tensor_shape`` or ``tensor_type``.
    """
    for spec in config.tensors():
        info = found[spec.name]
        if info.shape != spec.shape:
            raise TrainingError(
                "tensor_shape", name=info.name, found=list(info.shape), expected=list(spec.shape)
            )
        if info.dtype not in WEIGHT_TYPES:
            raise TrainingError("tensor_type", name=info.name, found=info.dtype)
    return {spec.name: found[spec.name] for spec in config.tensors()}


def some(names: list[str]) -> str:
    """The first few names of many."""
    shown = ", ".join(short(name) for name in names[:3])
    return shown + (" …" if len(names) > 3 else "")


def short(text: object) -> str:
    """Names come from a stranger's file: enough of one to recognise it."""
    text = str(text)
    return text if len(text) <= 120 else text[:117] + "…"
