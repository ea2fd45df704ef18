"""Which weights are trained when: the parts of a run between which the trained weights change.

Light: no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A part of a run.

    Attributes:
        first: Its first step, from 1.
        names: The tensors that are trained in it.
        whole: Whether the network behaves as in training throughout: dropout is on, batch norms
            take the batch's statistics. Otherwise it computes as it will when it is used.
    """

    first: int
    names: tuple[str, ...]
    whole: bool = True


def one_phase(names: Iterable[str]) -> tuple[Phase, ...]:
    """The same weights from the first step to the last."""
    return (Phase(1, tuple(names)),)


def phase_at(phases: Sequence[Phase], step: int) -> Phase:
    """The phase that a step belongs to."""
    return next(phase for phase in reversed(phases) if phase.first <= step)


def first_steps(phases: Sequence[Phase]) -> dict[str, int]:
    """The step at which each tensor is trained for the first time."""
    found: dict[str, int] = {}
    for phase in phases:
        for name in phase.names:
            found.setdefault(name, phase.first)
    return found
