"""Was the transfer worth it? Its validation curve against that of its scratch twin. Pure Python.

The two runs share data, tokens, seed, order of batches and settings; only the starting weights
differ. The verdict follows from the best losses: within ±:data:`SAME` of the twin's nothing is
claimed, unless the transfer was there in at most :data:`FASTER` of the twin's steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: Best losses within this share of each other count as equal: another seed changes as much.
SAME = 0.005
#: With equal best losses, reaching it in this share of the twin's steps still counts as a gain.
FASTER = 0.8

Curve = Sequence[Sequence[float | None]]


def transfer_gain(transfer: Curve, twin: Curve) -> dict[str, Any]:
    """Compare two validation curves of the same data, tokens, seed and settings.

    Only steps that both runs had are compared, so that a twin that was stopped early is not blamed
    for what the transfer learned later. Points without a value are passed over.

    Args:
        transfer: (step, loss in nats per token) of the run with a source, by step.
        twin: The same of the run without.

    Returns:
        ``transfer`` and ``twin``: ``{step, validation_loss}`` of their best; ``reached_step``: the
        first step at which the transfer was at the twin's best or below, None when it never was;
        ``share``: that as a share of the step of the twin's best; ``difference``: best loss of the
        transfer less the twin's, nats; ``budget``: last step that both had; ``gains``:
        ``[step, twin's loss − transfer's]`` at every step that both were looked at; ``verdict``:
        ``helped``, ``hurt`` or ``same``.

    Raises:
        ValueError: A curve has no point in the common budget.
    """
    ours, theirs = _points(transfer), _points(twin)
    if not ours or not theirs:
        raise ValueError("a curve without points has no best")
    budget = min(max(ours), max(theirs))
    ours = {step: loss for step, loss in ours.items() if step <= budget}
    theirs = {step: loss for step, loss in theirs.items() if step <= budget}
    best, best_twin = _best(ours), _best(theirs)
    target = best_twin["validation_loss"]
    reached = next((step for step, loss in ours.items() if loss <= target), None)
    share = reached / best_twin["step"] if reached is not None and best_twin["step"] else None
    difference = best["validation_loss"] - target
    if difference < -SAME * target:
        verdict = "helped"
    elif difference > SAME * target:
        verdict = "hurt"
    else:
        verdict = "helped" if share is not None and share <= FASTER else "same"
    return {
        "transfer": best,
        "twin": best_twin,
        "reached_step": reached,
        "share": share,
        "difference": difference,
        "budget": budget,
        "gains": [[step, theirs[step] - loss] for step, loss in ours.items() if step in theirs],
        "verdict": verdict,
    }


def _points(curve: Curve) -> dict[int, float]:
    return {
        int(step): float(loss)
        for step, loss in sorted((s, v) for s, v in curve if s is not None and v is not None)
    }


def _best(points: dict[int, float]) -> dict[str, Any]:
    if not points:
        raise ValueError("a curve without points has no best")
    step, loss = min(points.items(), key=lambda point: (point[1], point[0]))
    return {"step": step, "validation_loss": loss}
