"""The learning rate of every step (pure Python)."""

from __future__ import annotations

import math

from training.spec import OptimisationSpec


def learning_rate(training: OptimisationSpec, step: int) -> float:
    """Learning rate of an update.

    Rises linearly to the peak over the warm-up, then falls to ``final_learning_rate`` times the
    peak at the last step, along half a cosine or a line; ``constant`` stays at the peak.

    Args:
        training: Peak, warm-up, schedule and number of steps.
        step: The update's number, from 1.
    """
    peak, warmup = training.learning_rate, training.warmup_steps
    if step <= warmup:
        return peak * step / warmup
    if training.schedule == "constant":
        return peak
    done = min(1.0, (step - warmup) / max(1, training.steps - warmup))
    left = 1 - done if training.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    floor = training.final_learning_rate
    return peak * (floor + (1 - floor) * left)
