"""How a transfer adapts its weights: which are trained when, and how fast each learns.

Light: no TensorFlow. Blocks are counted from the head down, in the order in which the configuration
lists its tensors.

- ``full``: everything from the first step.
- ``head``: the new head alone; the backbone stays as it is.
- ``gradual``: the head first, then group by group from the top down [0].
- ``lp_ft``: the head alone until it fits, then everything, so that a random head's first gradients
  do not distort what the backbone knows [1].

Discriminative learning rates [0]: a block d blocks below the head learns at rate · decay^d.

- [0] Howard and Ruder, 2018, "Universal Language Model Fine-tuning for Text Classification",
  https://arxiv.org/abs/1801.06146
- [1] Kumar et al., 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
  Out-of-Distribution", https://arxiv.org/abs/2202.10054
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from training.backbones.contract import BackboneConfig, TensorSpec
from training.engine.phases import Phase

Policy = Literal["full", "head", "gradual", "lp_ft"]


def blocks_below_head(
    config: BackboneConfig,
    new: Collection[str],
    factors: Sequence[TensorSpec] = (),
    frozen: Collection[str] = (),
) -> list[list[str]]:
    """The trained tensors of each block; the head, with all that is new, is the first.

    Args:
        config: The model.
        new: Tensors that start from random values; they learn with the head, wherever they are.
        frozen: Tensors that stay as they are, whatever the policy; a new one is trained.
        factors: Of LoRA: where there are some, they are trained instead of the blocks' own tensors.
    """
    head: list[str] = []
    blocks: dict[str, list[str]] = {}
    for spec in config.tensors():
        if not spec.trained or (spec.name in frozen and spec.name not in new):
            continue
        if spec.block == "head" or spec.name in new:
            head.append(spec.name)
        elif not factors:
            blocks.setdefault(spec.block, []).append(spec.name)
    for spec in factors:
        blocks.setdefault(spec.block, []).append(spec.name)
    return [head, *reversed(blocks.values())]


def phases_of(
    policy: Policy,
    blocks: list[list[str]],
    *,
    steps: int,
    share: float,
    stages: int,
) -> tuple[Phase, ...]:
    """The phases of a run.

    Args:
        policy: See the module.
        blocks: From :func:`blocks_below_head`.
        steps: Of the run.
        share: Of the steps that pass before everything is trained (``gradual`` and ``lp_ft``).
        stages: In how many steps of equal length it comes to that (``gradual``).

    Returns:
        Phases that begin at different steps; the network is ``whole`` only where all is trained.
    """
    head, below = blocks[0], blocks[1:]
    groups: list[tuple[int, list[list[str]]]] = [(1, below)]
    match policy:
        case "head":
            groups = [(1, [])]
        case "lp_ft":
            groups = [(1, []), (1 + round(steps * share), below)]
        case "gradual":
            groups = [
                (1 + round(steps * share * stage / stages), below[: len(below) * stage // stages])
                for stage in range(stages + 1)
            ]
    found: dict[int, Phase] = {}
    for first, some in groups:
        # However short the run, its last step trains everything that the policy does.
        first = min(first, steps)
        names = (*head, *(name for block in some for name in block))
        # Of two that begin together (a short run), the later one has more to train.
        found[first] = Phase(first, names, len(some) == len(below))
    # With more stages than blocks, some add nothing: another phase would only be compiled again.
    return tuple(
        phase
        for before, phase in zip((None, *found.values()), found.values(), strict=False)
        if before is None or before.names != phase.names
    )


def rates_of(blocks: list[list[str]], *, decay: float, head_rate: float) -> dict[str, float]:
    """Each tensor's learning rate as a multiple of the run's.

    Args:
        blocks: From :func:`blocks_below_head`.
        decay: From one block to the next below it; 1: all alike.
        head_rate: Of the head.
    """
    rates: dict[str, float] = {}
    for depth, names in enumerate(blocks):
        rates |= dict.fromkeys(names, head_rate if depth == 0 else decay**depth)
    return rates
