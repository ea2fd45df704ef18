"""A checkpoint's layer table: its tensors by block from the stored header, their values if known.

No file is read. A block's rows are shown when somebody opens it, a part at a time, so that a model
of ten thousand tensors costs no more than one of a hundred.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from django.utils.translation import gettext

from training.backbones.registry import BACKBONES
from training.weights.blocks import Blocks, blocks_of
from training.weights.header import DTYPE_BYTES
from webapp.checkpoints.models import Checkpoint, CheckpointStatistics
from webapp.checkpoints.selectors import block_title

#: Tensors shown at once, and blocks at most.
ROWS, BLOCKS = 200, 300

#: The histogram's drawing, pixels.
BAR_WIDTH, HISTOGRAM_HEIGHT = 5, 72


@dataclass
class Block:
    """One part of a model.

    Attributes:
        name: ``layer.3``, ``embeddings``, or what its tensors' names begin with.
        tensors: Its tensors as the row has them.
        parameters: Values in all of them.
        size: Bytes.
    """

    name: str
    tensors: list[dict[str, Any]] = field(default_factory=list)
    parameters: int = 0
    size: int = 0

    @property
    def title(self) -> str:
        return block_title(self.name)


@dataclass(frozen=True)
class TensorRow:
    """One tensor as the table shows it.

    Attributes:
        name: As in the file.
        shape: For people.
        dtype: safetensors' name.
        parameters: Its values.
        size: Bytes.
        values: Its norm, zeros and so on (:class:`CheckpointStatistics`); empty: not known.
    """

    name: str
    shape: str
    dtype: str
    parameters: int
    size: int
    values: Mapping[str, Any]

    @property
    def zeros(self) -> float:
        """Share of zeros, 0..1."""
        return self.values["zeros"] / max(self.parameters, 1)


@dataclass(frozen=True)
class Part:
    """Some rows of a block.

    Attributes:
        block: Whose.
        rows: The rows.
        next: Where the next part begins; 0 when this is the last.
        left: Rows after this part.
    """

    block: Block
    rows: list[TensorRow]
    next: int
    left: int


def blocks(checkpoint: Checkpoint) -> list[Block]:
    """The blocks of a checkpoint in the order of the model, from the stored header.

    At most :data:`BLOCKS`: names that would make more are grouped by less of each.
    """
    backbone = BACKBONES.get(checkpoint.architecture)
    known = Blocks(
        blocks_of(backbone.config.model_validate(checkpoint.config)) if backbone else None
    )

    def fine(tensor: dict[str, Any]) -> str:
        return known.of(tensor["name"])

    def coarse(tensor: dict[str, Any]) -> str:
        return re.split(r"\.?\d", tensor["name"], maxsplit=1)[0]

    names: list[str] = []
    for rule in (fine, coarse, lambda _tensor: "all"):
        names = [rule(tensor) for tensor in checkpoint.tensors]
        if len(set(names)) <= BLOCKS:
            break
    found = {name: Block(name) for name in names}
    for name, tensor in zip(names, checkpoint.tensors, strict=True):
        block, count = found[name], prod(tensor["shape"])
        block.tensors.append(tensor)
        block.parameters += count
        block.size += count * DTYPE_BYTES.get(tensor["dtype"], 0)
    return [found[name] for name in sorted(found, key=known.key)]


def part_of(block: Block, start: int, values: Mapping[str, Mapping[str, Any]]) -> Part:
    """Rows of a block from ``start`` on."""
    rows = []
    for tensor in block.tensors[start : start + ROWS]:
        count = prod(tensor["shape"])
        rows.append(
            TensorRow(
                name=tensor["name"],
                shape=shape_text(tensor["shape"]),
                dtype=tensor["dtype"],
                parameters=count,
                size=count * DTYPE_BYTES.get(tensor["dtype"], 0),
                values=values.get(tensor["name"], {}),
            )
        )
    end = start + len(rows)
    left = max(len(block.tensors) - end, 0)
    return Part(block, rows, end if left else 0, left)


def shape_text(shape: list[int]) -> str:
    """A shape for people."""
    return " × ".join(map(str, shape)) or gettext("scalar")


# --- the histogram of one tensor ------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """One interval.

    Attributes:
        low: Where it begins.
        high: Where it ends.
        count: Values in it.
        x: Left edge of its bar, pixels.
        y: Upper edge.
        height: Of the bar; at least one pixel when there is any value in it.
    """

    low: float
    high: float
    count: int
    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Histogram:
    """A tensor's values, drawn.

    Attributes:
        tensor: Its name.
        values: Its numbers.
        bars: From the least value to the greatest; none without a finite value.
        zero_x: Where 0 lies, pixels; None when it is outside.
    """

    tensor: str
    values: Mapping[str, Any]
    bars: list[Bar]
    zero_x: int | None

    @property
    def width(self) -> int:
        return len(self.bars) * BAR_WIDTH

    @property
    def bar_width(self) -> int:
        return BAR_WIDTH - 1

    @property
    def height(self) -> int:
        return HISTOGRAM_HEIGHT

    @property
    def zeros(self) -> float:
        """Share of zeros, 0..1."""
        return self.values["zeros"] / max(self.values["count"], 1)


def histogram(statistics: CheckpointStatistics, tensor: str) -> Histogram | None:
    """The drawing of one tensor's values; None when there is no such tensor."""
    values = statistics.values.get(tensor)
    counts: list[int] = statistics.histograms.get(tensor, [])
    if values is None:
        return None
    most = max(counts, default=0)
    low, high = values["minimum"], values["maximum"]
    bars = []
    for number, count in enumerate(counts):
        # From both ends, since the difference of the two may be more than a float holds.
        left, right = number / len(counts), (number + 1) / len(counts)
        height = max(round(HISTOGRAM_HEIGHT * count / most), 1 if count else 0)
        bars.append(
            Bar(
                low=low * (1 - left) + high * left,
                high=low * (1 - right) + high * right,
                count=count,
                x=number * BAR_WIDTH,
                y=HISTOGRAM_HEIGHT - height,
                height=height,
            )
        )
    zero_x = None
    if bars and low < 0 < high:
        zero_x = round(len(bars) * BAR_WIDTH * (-low / 2) / (high / 2 - low / 2))
    return Histogram(tensor, values, bars, zero_x)
