"""Was the transfer worth it? Its validation curve against that of its scratch twin. Pure Python.

The two runs share data, tokens, seed, order of batches and settings; only the starting weights
differ. The verdict follows from the best of each curve, the lowest loss or the highest accuracy:
within ±:data:`SAME` of the twin's loss, or ±:data:`SAME_ACCURACY`, nothing is claimed, unless the
transfer was there in at most :data:`FASTER` of the twin's steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Best losses within this share of each other count as equal: another seed changes as much.
SAME = 0.005
#: The same of accuracies, which a few hundred examples tell no better.
SAME_ACCURACY = 0.01
#: With equal bests, reaching it in this share of the twin's steps still counts as a gain.
FASTER = 0.8

Curve = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class Measure:
    """What two runs are judged by.

    Attributes:
        name: Of the metric.
        rising: Whether more is better, as of an accuracy in 0..1; else it is a loss in nats, or a
            distance.
        same: Of what falls: bests within this share of each other count as equal.
    """

    name: str
    rising: bool = False
    same: float = SAME


LOSS = Measure("validation_loss")


def transfer_gain(transfer: Curve, twin: Curve, measure: Measure = LOSS) -> dict[str, Any]:
    """Compare two validation curves of the same data, tokens, seed and settings.

    Only steps that both runs had are compared, so that a twin that was stopped early is not blamed
    for what the transfer learned later. Points without a value are passed over.

    Args:
        transfer: (step, value) of the run with a source, by step.
        twin: The same of the run without.
        measure: What the values are.

    Returns:
        ``measure``: its name; ``transfer`` and ``twin``: ``{step, NAME: value}`` of their best;
        ``reached_step``: the first step at which the transfer was as good as the twin's best, None
        when it never was; ``share``: that as a share of the step of the twin's best;
        ``difference``: best of the transfer less the twin's; ``budget``: last step that both had;
        ``gains``: ``[step, gain of the transfer]`` at every step that both were looked at, above
        zero where it was better; ``verdict``: ``helped``, ``hurt`` or ``same``.

    Raises:
        ValueError: A curve has no point in the common budget.
    """
    ours, theirs = _points(transfer), _points(twin)
    if not ours or not theirs:
        raise ValueError("a curve without points has no best")
    budget = min(max(ours), max(theirs))
    ours = {step: value for step, value in ours.items() if step <= budget}
    theirs = {step: value for step, value in theirs.items() if step <= budget}
    sign = -1 if measure.rising else 1
    best, best_twin = _best(ours, sign), _best(theirs, sign)
    target = theirs[best_twin]
    reached = next((step for step, value in ours.items() if sign * value <= sign * target), None)
    share = reached / best_twin if reached is not None and best_twin else None
    difference = ours[best] - target
    same = SAME_ACCURACY if measure.rising else measure.same * target
    if sign * difference < -same:
        verdict = "helped"
    elif sign * difference > same:
        verdict = "hurt"
    else:
        verdict = "helped" if share is not None and share <= FASTER else "same"
    return {
        "measure": measure.name,
        "transfer": {"step": best, measure.name: ours[best]},
        "twin": {"step": best_twin, measure.name: target},
        "reached_step": reached,
        "share": share,
        "difference": difference,
        "budget": budget,
        "gains": [
            [step, sign * (theirs[step] - value)] for step, value in ours.items() if step in theirs
        ],
        "verdict": verdict,
    }


def _points(curve: Curve) -> dict[int, float]:
    return {
        int(step): float(value)
        for step, value in sorted((s, v) for s, v in curve if s is not None and v is not None)
    }


def _best(points: dict[int, float], sign: int) -> int:
    """The step of the best value, the first among equals."""
    if not points:
        raise ValueError("a curve without points has no best")
    return min(points, key=lambda step: (sign * points[step], step))
