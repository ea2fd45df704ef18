"""Whether a member learned from examples that it is judged on.

Examples are compared by their content, so that it does not matter how a data set was split, or
whether it is another one that holds some of the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.ensembles.examples import Shown
from training.ensembles.members import Member
from training.predicting.overlap import learned


def overlap(
    shown: Shown,
    split: str,
    member: Member,
    data: Mapping[str, Any],
    trained_on: Sequence[Path],
) -> dict[str, Any]:
    """What is known of it.

    Args:
        shown: The examples.
        split: That is scored.
        member: Who may have learned from them.
        data: ``{name, sha256}`` of their data set.
        trained_on: Prepared data sets that the member, or what it came from, learned from.

    Returns:
        ``known`` (``same``: it learned from the training split of this very data set; ``counted``:
        from others, which were looked through; ``no``: nobody knows, or it cannot be counted) and
        ``examples``, how many of those scored it learned from (None where nobody knows).
    """
    same = member.checkpoint.card.get("data") or {}
    is_same = bool(same.get("sha256")) and same["sha256"] == data["sha256"]
    mine = shown.fingerprints(split) if trained_on else None
    if trained_on and mine is not None:
        return {"known": "counted", "examples": len(mine & learned(trained_on, shown.kind))}
    if is_same and not trained_on:
        return {"known": "same", "examples": 0}
    return {"known": "no", "examples": None}
