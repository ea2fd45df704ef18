"""The plan of a copy as a page shows it: sentences in the reader's language, sums by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext

from training.backbones.contract import BackboneConfig
from training.backbones.registry import config_of
from training.weights.plan import REASONS, Plan, Reason, make_plan
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.selectors import block_title


@dataclass(frozen=True)
class PlanRow:
    """One tensor of the new model, or of the source that stays behind."""

    name: str
    shape: str
    action: str
    reason: str


@dataclass(frozen=True)
class PlanBlock:
    """One part of the new model and how much of it comes from the source."""

    title: str
    parameters: int
    copied: int
    rows: list[PlanRow]

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return self.copied * 100 // self.parameters if self.parameters else 0


@dataclass(frozen=True)
class CopyPreview:
    """What a copy will do."""

    parameters: int
    copied: int
    blocks: list[PlanBlock]
    left_behind: list[PlanRow]
    notes: list[str]

    @property
    def percent(self) -> float:
        return 100 * self.copied / self.parameters

    @classmethod
    def make(
        cls, source: Checkpoint, target: BackboneConfig, reinitialise: Sequence[str] = ()
    ) -> CopyPreview:
        """Plan the copy of a checkpoint's weights into a model, from the stored header alone.

        Raises:
            TrainingError: ``pattern_matches_nothing``.
        """
        shapes = {tensor["name"]: tensor["shape"] for tensor in source.tensors}
        plan = make_plan(
            target,
            config_of(source.config),
            shapes,
            same_tokenizer=True,
            reinitialise=reinitialise,
        )
        return cls.of(plan)

    @classmethod
    def of(cls, plan: Plan) -> CopyPreview:
        """A plan in the reader's language."""
        return cls(
            parameters=plan.parameters_total,
            copied=plan.parameters_copied,
            blocks=_blocks(plan),
            left_behind=[
                PlanRow(item.source, _shape(item.shape), "left", _sentence(item.reason))
                for item in plan.left_behind
            ],
            notes=[_sentence(note) for note in plan.notes],
        )


def _blocks(plan: Plan) -> list[PlanBlock]:
    rows: dict[str, list[PlanRow]] = {}
    for row in plan.rows:
        rows.setdefault(row.block, []).append(
            PlanRow(row.target, _shape(row.shape), row.action, _sentence(row.reason))
        )
    return [
        PlanBlock(block_title(part.block), part.parameters, part.copied, rows[part.block])
        for part in plan.coverage()
    ]


def _sentence(reason: Reason) -> str:
    return gettext(REASONS[reason.code]) % reason.params


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
