"""Crosses of columns: which combinations of categories an example has, as one code.

A cross of k columns is one of its combinations of codes; those are listed that the training rows
have, the most frequent first, so that no two share a row as they would when hashed [0]. All others,
rare or never seen, share code 0.

- [0] Cheng et al., 2016, https://arxiv.org/abs/1606.07792, section 3.1

    education × occupation: [[2, 5], [3, 4], …]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Combination = tuple[int, ...]

#: Code of every combination that is not listed.
OTHER = 0
#: Most columns of a cross: numbers of combinations stay below 2⁶³.
MOST_COLUMNS = 4


@dataclass(frozen=True)
class Cross:
    """One cross.

    Attributes:
        columns: Names of the columns.
        combinations: Their codes that have a code of their own, 1, 2, … in this order.
    """

    columns: tuple[str, ...]
    combinations: tuple[Combination, ...]

    @property
    def rows(self) -> int:
        """How many codes there are."""
        return len(self.combinations) + 1

    def codes(self, parts: Codes) -> Codes:
        """The code of each row, int32 [rows].

        Args:
            parts: Codes of the columns, int32 [rows, columns].
        """
        if not self.combinations:
            return np.zeros(len(parts), np.int32)
        listed = np.array(self.combinations, np.int64)
        sizes = np.maximum(listed.max(0), parts.max(0, initial=0)) + 1
        known, keys = _keys(listed, sizes), _keys(parts, sizes)
        order = np.argsort(known, kind="stable")
        places = np.minimum(np.searchsorted(known[order], keys), len(known) - 1)
        found = order[places]
        return np.where(known[found] == keys, found + 1, OTHER).astype(np.int32)


def find_cross(
    columns: Sequence[str], parts: Codes, *, most: int, least: int, known: Cross | None = None
) -> Cross:
    """The combinations that training rows have.

    Args:
        columns: Names of the columns.
        parts: Codes of the training rows, int32 [rows, columns].
        most: Combinations with a code of their own.
        least: Rows that one of them has.
        known: A cross of the same columns whose combinations keep their codes; new ones follow.
    """
    sizes = parts.max(0, initial=0).astype(np.int64) + 1
    _distinct, first, counts = np.unique(_keys(parts, sizes), return_index=True, return_counts=True)
    # Equally frequent ones in the order of their codes, whatever the order of the rows.
    frequent = np.argsort(-counts, kind="stable")
    listed = list(known.combinations) if known is not None else []
    there = set(listed)
    for place in frequent[counts[frequent] >= least]:
        combination = tuple(parts[first[place]].tolist())
        if len(listed) >= most:
            break
        if combination not in there:
            listed.append(combination)
    return Cross(tuple(columns), tuple(listed))


def _keys(codes: npt.NDArray[np.integer], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """One number for each combination, int64 [rows]."""
    found = np.zeros(len(codes), np.int64)
    for column, size in enumerate(sizes.tolist()):
        found = found * size + codes[:, column]
    return found
