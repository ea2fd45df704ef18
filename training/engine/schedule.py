"""The learning rate of every step (pure Python)."""

from __future__ import annotations

import math

from training.spec import OptimisationSpec


def learning_rate(training: OptimisationSpec, step: int) -> float:
    """Learning rate of an update.

    Rises linearly to the peak over the warm-up, then falls to ``final_learning_rate`` times the
    peak at the last step, along half a cosine or a line; ``constant`` stays at the peak. With
    cycles it falls to nothing along half a cosine in each of them, and begins again [0].

    - [0] Huang et al., 2017, "Snapshot Ensembles", https://arxiv.org/abs/1704.00109, eq. 2; after
      Loshchilov & Hutter, 2017, "SGDR", https://arxiv.org/abs/1608.03983

    Args:
        training: Peak, warm-up, schedule and number of steps.
        step: The update's number, from 1.
    """
    peak, warmup = training.learning_rate, training.warmup_steps
    if training.cycle_steps is not None:
        return _cyclic(training, training.cycle_steps, step)
    if step <= warmup:
        return peak * step / warmup
    if training.schedule == "constant":
        return peak
    done = min(1.0, (step - warmup) / max(1, training.steps - warmup))
    left = 1 - done if training.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    floor = training.final_learning_rate
    return peak * (floor + (1 - floor) * left)


def _cyclic(training: OptimisationSpec, length: int, step: int) -> float:
    """α₀/2 (cos(π mod(t − 1, ⌈T/M⌉) / ⌈T/M⌉) + 1), and no more than the warm-up allows."""
    rate = 0.5 * training.learning_rate * (math.cos(math.pi * ((step - 1) % length) / length) + 1)
    warmup = training.warmup_steps
    return min(rate, training.learning_rate * step / warmup) if step <= warmup else rate
