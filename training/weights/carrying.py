"""What a run takes from its source: planned, carried over, and proved equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from training.backbones.contract import BackboneConfig
from training.events import EventLog
from training.weights.checkpoint import Checkpoint
from training.weights.copy import apply_plan, verify
from training.weights.fitting import TokenRows
from training.weights.plan import Plan
from training.weights.planner import make_plan

Tensors = Mapping[str, np.ndarray]


def plan_from(
    source: Checkpoint | None,
    config: BackboneConfig,
    reinitialise: Iterable[str],
    *,
    same_tokenizer: bool = True,
    token_rows: TokenRows | None = None,
) -> Plan | None:
    """Which weights come from the source; None: there is none.

    Args:
        source: It.
        config: The model that begins.
        reinitialise: Tensors that start afresh.
        same_tokenizer: Whether a row of an embedding means the same to both.
        token_rows: Where it does not: how rows correspond.
    """
    if source is None:
        return None
    return make_plan(
        config,
        source.config,
        {name: info.shape for name, info in source.infos.items()},
        same_tokenizer=same_tokenizer,
        token_rows=token_rows,
        reinitialise=list(reinitialise),
    )


def carried(plan: Plan | None, source: Checkpoint | None, initial: Tensors) -> Tensors:
    """The weights before the first step: the source's by the plan, the others as they are given."""
    if plan is None or source is None:
        return initial
    return apply_plan(plan, source.tensors(), initial, np.float32)


def start_weights(
    plan: Plan | None,
    source: Checkpoint | None,
    initial: Tensors,
    events: EventLog,
    *,
    load: Callable[[Tensors], None],
    named: Callable[[], Tensors],
) -> dict[str, Any] | None:
    """Set every variable from the seed, or from the source by a plan; prove the copy.

    Args:
        plan: From :func:`plan_from`.
        source: It.
        initial: Random weights.
        events: Gets ``phase`` where there is something to copy.
        load: Sets the variables.
        named: The variables as they are then.

    Returns:
        Fields of the ``weights`` event; None without a source.

    Raises:
        TrainingError: A copied tensor differs from its source.
    """
    if plan is None or source is None:
        load(initial)
        return None
    events.emit("phase", name="copying", fraction=None, detail="")
    load(carried(plan, source, initial))
    proof = verify(plan, source.tensors(), named())
    proof.require_exact()
    return plan.counts() | {"verified": proof.exact}
