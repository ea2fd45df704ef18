"""What the data say is true, in the words of what a model predicts.

Classes are matched by name, and where the data hold numbers by value: 1, 1.0 and 1e0 are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.column_types import number_of
from training.predicting.targets import Target

#: Of classes that a model does not know, as many are named.
MOST_NAMED = 20
#: What a row's class is called where it has none, or none that the model knows.
NO_CLASS = -1

Value = str | float | None


@dataclass(frozen=True)
class Truth:
    """What is true of each example.

    Attributes:
        told: As the data have it; None: nothing.
        labels: Places of the classes, int64, -1 where there is none that the model knows; or
            numbers, float64, NaN where there is none.
        known: Where a prediction can be scored, bool.
        unknown: Values that the model does not know, or that are no numbers → how many examples.
        other_type: Whether the data have numbers where classes are told apart, or the reverse,
            and nothing of it fits.
    """

    told: Sequence[Value]
    labels: npt.NDArray[Any]
    known: npt.NDArray[np.bool_]
    unknown: Counter[str] = field(default_factory=Counter)
    other_type: bool = False

    @property
    def counts(self) -> dict[str, Any]:
        """For the report: ``{known, unknown, missing, unknown_values}``."""
        unknown = sum(self.unknown.values())
        known = int(self.known.sum())
        return {
            "known": known,
            "unknown": unknown,
            "missing": len(self.known) - known - unknown,
            "unknown_values": [
                {"name": name, "rows": rows} for name, rows in self.unknown.most_common(MOST_NAMED)
            ],
            "unknown_classes": len(self.unknown),
        }


def truth_of(told: Sequence[Value], target: Target) -> Truth:
    """What is true, as the model has it.

    Args:
        told: Of each example a class's name, a number, or None.
        target: What the model predicts.
    """
    found = {value: _as_target(value, target) for value in set(told) if value is not None}
    nothing = np.nan if target.is_number else NO_CLASS
    labels = np.array(
        [nothing if one is None or (value := found[one]) is None else value for one in told],
        np.float64 if target.is_number else np.int64,
    )
    known = ~np.isnan(labels) if target.is_number else labels >= 0
    unknown = Counter(written(one) for one in told if one is not None and found[one] is None)
    numeric = [isinstance(one, float) for one in found]
    differs = bool(numeric) and all(numeric) != target.is_number
    return Truth(told, labels, known, unknown, differs and not known.any())


def _as_target(value: str | float, target: Target) -> int | float | None:
    if target.is_number:
        return value if isinstance(value, float) else number_of(value)
    return named_places(target.classes).get(value)


def named_places(names: Sequence[str]) -> dict[str | float, int]:
    """Names of classes or categories, and the numbers that such names are, → their places."""
    found: dict[str | float, int] = {}
    for place, name in enumerate(names):
        number = number_of(name)
        if number is not None:
            found.setdefault(number, place)
    return found | {name: place for place, name in enumerate(names)}


def written(value: str | float) -> str:
    """A value as people read it: whole numbers without a point."""
    return value if isinstance(value, str) else f"{value:.15g}"
