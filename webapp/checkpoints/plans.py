"""The plan of a copy as a page shows it: sentences in the reader's language, sums by block, and
both models as columns of blocks joined by bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext, gettext_noop, pgettext

from training.backbones.contract import BackboneConfig
from training.backbones.registry import config_of
from training.weights.blocks import Blocks, blocks_of
from training.weights.fitting import TokenRows
from training.weights.header import DTYPE_BYTES
from training.weights.plan import REASONS, Plan, Reason, Row
from training.weights.plan_settings import PlanSettings
from training.weights.planner import make_plan
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.selectors import block_title

#: Action → (how pages colour it, its word).
ACTIONS: dict[str, tuple[str, str]] = {
    "copy": ("whole", gettext_noop("copied")),
    "transpose": ("whole", gettext_noop("turned")),
    "split": ("whole", gettext_noop("split")),
    "join": ("whole", gettext_noop("joined")),
    "slice": ("part", gettext_noop("first part")),
    "pad": ("part", gettext_noop("in part")),
    "tile": ("made", gettext_noop("repeated")),
    "interpolate": ("made", gettext_noop("stretched")),
    "map_tokens": ("made", gettext_noop("by token")),
    "grow": ("made", gettext_noop("grown")),
    "initialise": ("new", gettext_noop("random")),
    "keep": ("kept", gettext_noop("kept")),
}

#: A block is coloured as the first of these that any of its tensors is.
_TELLING = ("made", "part", "kept", "whole", "new")

#: Bytes a second that a copy writes, proof included (docs/numbers.md); for the time it will take.
COPY_BYTES_PER_S = 200e6
#: Memory of a copy that computes nothing, bytes; and how many arrays of the size of the largest
#: tensor that is computed come on top. Within 10 % of what GPT-2 of the published size took, grown,
#: cut and with a table made anew.
COPY_PROCESS_BYTES, COPY_ARRAYS = 150 << 20, 2

BLOCK_WIDTH, BLOCK_HEIGHT, BLOCK_GAP, BAND_WIDTH = 168, 24, 5, 150


@dataclass(frozen=True)
class PlanRow:
    """One tensor of the new model, or of the source that stays behind."""

    name: str
    shape: str
    action: str
    kind: str
    word: str
    reason: str
    sources: Sequence[str] = ()
    frozen: bool = False


@dataclass(frozen=True)
class PlanBlock:
    """One part of the new model and how much of it comes from the source."""

    name: str
    title: str
    parameters: int
    copied: int
    rows: list[PlanRow]
    sources: Sequence[str] = ()

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return self.copied * 100 // self.parameters if self.parameters else 0

    @property
    def kind(self) -> str:
        """How it is coloured."""
        kinds = [row.kind for row in self.rows]
        return next(kind for kind in _TELLING if kind in kinds)


@dataclass(frozen=True)
class Box:
    """A block in the drawing."""

    title: str
    detail: str
    kind: str
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """Both models side by side; pixels."""

    sources: list[Box] = field(default_factory=list)
    targets: list[Box] = field(default_factory=list)
    bands: list[tuple[str, str]] = field(default_factory=list)  # (SVG path, kind)
    width: int = 2 * BLOCK_WIDTH + BAND_WIDTH
    height: int = 0
    block_width: int = BLOCK_WIDTH
    block_height: int = BLOCK_HEIGHT


@dataclass(frozen=True)
class CopyPreview:
    """What a copy will do, or has done."""

    parameters: int
    copied: int
    blocks: list[PlanBlock]
    left_behind: list[PlanRow]
    notes: list[str]
    drawing: Drawing
    plan: Plan

    @property
    def percent(self) -> float:
        return 100 * self.copied / self.parameters

    @property
    def computed(self) -> int:
        """Tensors that are stretched, repeated, grown or made by token."""
        return sum(row.kind == "made" for block in self.blocks for row in block.rows)

    @property
    def random(self) -> int:
        """Parameters that do not come from the source."""
        return self.parameters - self.copied

    @classmethod
    def make(
        cls,
        source: Checkpoint,
        target: BackboneConfig,
        settings: PlanSettings | None = None,
        *,
        same_tokenizer: bool = True,
        token_rows: TokenRows | None = None,
        kept: bool = False,
    ) -> CopyPreview:
        """Plan the copy of a checkpoint's weights into a model, from the stored header alone.

        Raises:
            TrainingError: ``rule_*``.
        """
        config = config_of(source.config)
        plan = make_plan(
            target,
            config,
            {tensor["name"]: tensor["shape"] for tensor in source.tensors},
            same_tokenizer=same_tokenizer,
            token_rows=token_rows,
            settings=settings,
            kept=kept,
        )
        return cls.of(plan, config)

    @classmethod
    def of(cls, plan: Plan, source: BackboneConfig | None = None) -> CopyPreview:
        """A plan in the reader's language.

        Args:
            plan: The plan.
            source: The source's configuration, which knows the blocks of its tensors.
        """
        known = Blocks(blocks_of(source) if source is not None else None)
        blocks = _blocks(plan, known)
        return cls(
            parameters=plan.parameters_total,
            copied=plan.parameters_copied,
            blocks=blocks,
            left_behind=[
                PlanRow(item.source, _shape(item.shape), "left", "left", "", _sentence(item.reason))
                for item in plan.left_behind
            ],
            notes=[_sentence(note) for note in plan.notes],
            drawing=_draw(plan, blocks),
            plan=plan,
        )


def _blocks(plan: Plan, known: Blocks) -> list[PlanBlock]:
    source_block = {name: known.of(name) for row in plan.rows for name in row.sources}
    rows: dict[str, list[PlanRow]] = {}
    for row in plan.rows:
        rows.setdefault(row.block, []).append(_row(row))
    return [
        PlanBlock(
            part.block,
            block_title(part.block),
            part.parameters,
            part.copied,
            rows[part.block],
            part.sources,
        )
        for part in plan.coverage(source_block)
    ]


def outlook(source: Checkpoint, preview: CopyPreview) -> dict[str, float] | None:
    """Bytes that the copy will take on disk and in memory, and about how long."""
    if not source.tensors:
        return None
    width = max(DTYPE_BYTES.get(tensor["dtype"], 4) for tensor in source.tensors)
    shapes = {tensor["name"]: tensor["shape"] for tensor in source.tensors}
    computed = [row for row in preview.plan.rows if row.action != "copy"]
    # A copied tensor goes from file to file; of the others, memory holds one and its source.
    largest = max(
        (
            math.prod(shape)
            for row in computed
            for shape in (row.shape, *(shapes.get(name, ()) for name in row.sources))
        ),
        default=0,
    )
    size = preview.parameters * width
    return {
        "bytes": size,
        "memory": COPY_PROCESS_BYTES + COPY_ARRAYS * largest * width,
        "seconds": max(1.0, size / COPY_BYTES_PER_S),
    }


def _row(row: Row) -> PlanRow:
    kind, word = ACTIONS[row.action]
    return PlanRow(
        row.target,
        _shape(row.shape),
        row.action,
        kind,
        gettext(word),
        _sentence(row.reason),
        row.sources if row.sources != [row.target] else (),
        row.frozen,
    )


def _draw(plan: Plan, blocks: Sequence[PlanBlock]) -> Drawing:
    """The source's blocks on the left, the new model's on the right, a band for what goes over."""
    left = list(plan.source_blocks)
    used = {name for block in blocks for name in block.sources}
    step = BLOCK_HEIGHT + BLOCK_GAP
    right_x = BLOCK_WIDTH + BAND_WIDTH
    sources = [
        Box(
            block_title(name),
            "" if name in used else pgettext("block of a model", "not used"),
            "whole" if name in used else "left",
            0,
            place * step,
        )
        for place, name in enumerate(left)
    ]
    targets = [
        Box(block.title, f"{block.percent} %", block.kind, right_x, place * step)
        for place, block in enumerate(blocks)
    ]
    bands = []
    for place, block in enumerate(blocks):
        for name in block.sources:
            if name in left:
                path = _band(BLOCK_WIDTH, left.index(name) * step, right_x, place * step)
                bands.append((path, block.kind))
    height = max(len(left), len(blocks)) * step - BLOCK_GAP
    return Drawing(sources, targets, bands, height=max(height, 0))


def _band(x1: int, y1: int, x2: int, y2: int) -> str:
    middle, tall = (x1 + x2) // 2, BLOCK_HEIGHT
    return (
        f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
        f"L{x2} {y2 + tall}C{middle} {y2 + tall} {middle} {y1 + tall} {x1} {y1 + tall}Z"
    )


def _sentence(reason: Reason) -> str:
    return gettext(REASONS[reason.code]) % reason.params


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
