"""The parts of a model that its tensors belong to: its embeddings, each layer, its head."""

from __future__ import annotations

import re
from collections.abc import Mapping

from training.backbones.contract import BackboneConfig


class Blocks:
    """The block of a tensor and the order of blocks: as the model says, or else by their names.

    Args:
        known: Tensor name → block, in the model's order; see :func:`blocks_of`.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self.known = known or {}
        self._place = {block: at for at, block in enumerate(dict.fromkeys(self.known.values()))}

    def of(self, name: str) -> str:
        """The block of a tensor."""
        return self.known.get(name) or block_by_name(name)

    def key(self, block: str) -> tuple[int, list[tuple[int, str]]]:
        """Sorts blocks: the model's own order where it is known; else as people count."""
        return self._place.get(block, len(self._place)), natural_key(block)


def blocks_of(config: BackboneConfig) -> dict[str, str]:
    """Tensor name → the part of the model that it belongs to."""
    return {spec.name: spec.block for spec in config.tensors()}


def block_by_name(name: str) -> str:
    """The same for a tensor of an unknown model: its name up to the first number, else all but its
    end: ``encoder.layer.3.key.weight`` → ``encoder.layer.3``, ``conv1.weight`` → ``conv1``."""
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1] if numbers else parts[:-1]) or name


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts ``h.2`` before ``h.10``."""
    # Every other part is a number; a stranger's file may have one of a thousand digits.
    return [
        (int(part[:18]) if place % 2 else -1, part)
        for place, part in enumerate(re.split(r"(\d+)", name))
    ]


def layer_number(block: str) -> int | None:
    """Which layer a block is, ``layer.3``; None: it is another part of the model."""
    found = re.fullmatch(r"layer\.(\d{1,18})", block)
    return int(found[1]) if found else None
