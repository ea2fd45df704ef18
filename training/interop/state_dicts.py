"""State dicts of timm and torchvision in safetensors, recognised by names and shapes alone.

Such a file says nothing of the network it belongs to. Each implementation's names are a
:class:`Convention`; the sizes are read off the shapes, and then every tensor has to be there, and
no other. Only the header is read.

Networks that differ in what no tensor shows (padding, a batch norm's epsilon, another pooling) have
equal state dicts. Where we know several the file is refused, naming them; a ``config.json`` as timm
writes it, with ``architecture``, settles it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.backbones.contract import BackboneConfig
from training.errors import TrainingError
from training.interop.conventions import CONVENTIONS, Convention
from training.interop.forms.form import CODE
from training.interop.matching import (
    in_order,
    put,
    require_none_extra,
    require_none_missing,
    short,
)
from training.weights.header import TensorInfo, read_header

#: PyTorch counts the batches that its running statistics saw; nothing is computed with it.
COUNTER = ".num_batches_tracked"
#: torchvision's DenseNets of 2017: ``norm.1`` for ``norm1``.
_DOTTED = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.")
#: Keys of timm's ``config.json`` that leave the network as it is: what it was trained on and where
#: it came from. The number of classes is the head's.
TIMM_IGNORED = frozenset(
    {"num_classes", "num_features", "label_names", "label_descriptions", "pretrained_cfg"}
)
#: Arguments of timm that the shapes show as well.
TIMM_ARGUMENTS = frozenset({"num_classes", "in_chans", "img_size"})


@dataclass(frozen=True)
class Recognised:
    """A state dict that was recognised.

    Attributes:
        config: The network.
        tensors: Our name → where the tensor lies; exactly those of ``config``.
        title: The convention it was recognised by.
        images: ``mean`` and ``std`` of the channels that it was trained with, where that is told.
    """

    config: BackboneConfig
    tensors: dict[str, TensorInfo]
    title: str
    images: dict[str, list[float]] | None = None


def read_file(path: Path) -> Recognised:
    """Recognise a safetensors file.

    Raises:
        TrainingError: ``weights_*``, ``state_dict_*``, ``tensor*_*``.
    """
    if found := recognise(read_header(path).tensors):
        return found
    raise TrainingError("state_dict_unknown", file=short(path.name), known=_titles(CONVENTIONS))


def read_timm(payload: Mapping[str, Any], infos: Mapping[str, TensorInfo]) -> Recognised:
    """A folder as timm writes it: ``config.json`` names the network.

    Raises:
        TrainingError: ``config_*``, ``timm_unknown``, ``state_dict_*``, ``tensor*_*``.
    """
    named = str(payload["architecture"]).split(".", 1)[0]
    conventions = [c for c in CONVENTIONS if c.timm.fullmatch(named)]
    if not conventions:
        known = _titles(c for c in CONVENTIONS if c.timm.pattern != "(?!)")
        raise TrainingError("timm_unknown", found=short(named), known=known)
    for key, value in payload.items():
        if key in CODE:
            raise TrainingError("config_code", name=key)
        if key == "global_pool" and value != conventions[0].pooling:
            allowed = conventions[0].pooling
            raise TrainingError("config_unsupported", name=key, value=short(value), allowed=allowed)
        if key == "model_args":
            for name in value if isinstance(value, dict) else {"?": None}:
                if name not in TIMM_ARGUMENTS:
                    raise TrainingError("config_unknown", name=short(f"model_args.{name}"))
        elif key not in TIMM_IGNORED | {"architecture", "global_pool"}:
            raise TrainingError("config_unknown", name=short(key))
    found = recognise(infos, conventions)
    if found is None:
        require = conventions[0].marks
        missing = ", ".join(name for name in require if name not in infos)
        raise TrainingError("tensors_missing", count=len(require), names=missing)
    return replace(found, images=_normalisation(payload, found.config))


def _normalisation(
    payload: Mapping[str, Any], config: BackboneConfig
) -> dict[str, list[float]] | None:
    """How timm says that pixels are normalised; None where it says nothing that can be used."""
    told = payload.get("pretrained_cfg")
    channels = config.model_dump().get("in_channels")
    found = {}
    for name, least in (("mean", -math.inf), ("std", 0.0)):
        values = told.get(name) if isinstance(told, dict) else None
        if not isinstance(values, list) or len(values) != channels:
            return None
        if not all(type(v) in (int, float) and least < v < math.inf for v in values):
            return None
        found[name] = [float(value) for value in values]
    return found


def recognise(
    infos: Mapping[str, TensorInfo], conventions: list[Convention] | None = None
) -> Recognised | None:
    """The network that a state dict belongs to.

    Args:
        infos: Foreign name → where the tensor lies.
        conventions: Those that come into question; none: all.

    Returns:
        None when the file has the marks of none of them.

    Raises:
        TrainingError: ``state_dict_ambiguous``, ``state_dict_sizes``, ``vit_heads_unknown``,
            ``tensor*_*``: one is missing or left over, by name.
    """
    plain: dict[str, TensorInfo] = {}
    for name, info in infos.items():
        if not name.endswith(COUNTER):
            put(plain, _DOTTED.sub(r"\1\2.", name), info)
    fits: list[Recognised] = []
    refusals: list[TrainingError] = []
    for convention in conventions or CONVENTIONS:
        if all(mark in plain for mark in convention.marks):
            try:
                fits.append(_fit(plain, convention))
            except TrainingError as error:
                refusals.append(error)
    if len(fits) > 1:
        raise TrainingError("state_dict_ambiguous", candidates=_titles(fits))
    if fits:
        return fits[0]
    if refusals:
        raise refusals[0]
    return None


def _fit(infos: Mapping[str, TensorInfo], convention: Convention) -> Recognised:
    shapes = {name: info.shape for name, info in infos.items()}
    try:
        config = convention.measure(shapes)
    except (LookupError, ValueError, ArithmeticError) as error:
        raise TrainingError("state_dict_sizes", model=convention.title) from error
    names = convention.names(config)
    found = {}
    for spec in config.tensors():
        info = infos.get(names.get(spec.name, spec.name))
        if info is None:
            continue
        if (*info.shape, 1, 1) == spec.shape:
            # A matrix does what a 1×1 convolution does, with the very same bytes.
            info = replace(info, shape=spec.shape)
        found[spec.name] = info
    require_none_missing(found, config, names)
    used = {names.get(name, name) for name in found}
    require_none_extra(set(infos) - used, config)
    return Recognised(config, in_order(found, config), convention.title)


def _titles(items: Any) -> str:
    return ", ".join(item.title for item in items)
