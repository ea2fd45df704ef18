"""Which split a row of a table is in.

It follows from the seed and the row as it was uploaded. Rows that are alike, the same in every
column that is used, go with the first of them; those that are the same in all columns are copies,
and can be left out. With classes to predict, each class has the same share in every split
(:func:`training.data.labels.stratify`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.labels import Labels, require_learnable, stratify
from training.data.prepare_spec import PrepareSpec
from training.data.splits import Keys, assign, draws, splits_of
from training.errors import TrainingError

Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


class RowHash:
    """128 bits of each row, gathered column by column.

    Not against people who search for collisions: two rows of one's own upload would count as one.
    """

    def __init__(self, rows: int) -> None:
        self._lanes = [np.full(rows, seed, np.uint64) for seed in (0x243F6A8885A308D3, 0x13198A2E)]

    def add(self, values: Words) -> None:
        """Mix in a column.

        Args:
            values: 64 bits of each row's value, uint64 [rows].
        """
        for number, lane in enumerate(self._lanes):
            self._lanes[number] = _mix(lane ^ _mix(values + np.uint64(number)))

    def keys(self) -> Keys:
        """16 bytes a row."""
        return np.ascontiguousarray(np.stack(self._lanes, axis=1)).view("S16").reshape(-1)


def _mix(values: Words) -> Words:
    """The finaliser of SplitMix64: a one-to-one map in which every bit depends on every other.

    Steele, Lea and Flood, OOPSLA 2014, https://doi.org/10.1145/2660193.2660195
    """
    found = values + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(found ^ (found >> np.uint64(31)), np.uint64)


@dataclass(frozen=True)
class Rows:
    """How the rows of a table are divided.

    Attributes:
        members: Of each split, training first, which rows are in it, bool [rows].
        duplicates: Rows that are copies of an earlier one.
        alike: Rows that are so but for columns that are not used, such as a number of their own.
        left_out: Classes that were too rare, and how many different rows they have.
    """

    members: Mapping[str, Mask]
    duplicates: int
    alike: int
    left_out: dict[str, int]

    @property
    def kept(self) -> Mask:
        """Rows that are in any split."""
        return np.asarray(np.logical_or.reduce(list(self.members.values())))


def divide_rows(
    spec: PrepareSpec,
    uploaded: Keys,
    content: Keys,
    whole: Keys,
    in_use: Mask,
    classes: tuple[str, list[str], npt.NDArray[np.int64]] | None,
) -> Rows:
    """Divide rows among the splits.

    Args:
        spec: Shares, seed, what happens to copies and to rare classes.
        uploaded: 16 bytes of a hash of each row as it was uploaded.
        content: The same of the columns that are used: equal for rows that are alike.
        whole: The same of all columns: equal for copies.
        in_use: Rows that are to be divided at all.
        classes: The column by which to stratify: its name, its classes' names, and the class of
            each row, -1 where it is missing. None: there is none.

    Raises:
        TrainingError: ``table_rows_too_few``, ``labels_one_class``, ``labels_too_many``,
            ``label_rare``.
    """
    names, places = splits_of(spec), np.flatnonzero(in_use)
    _, first, group = np.unique(content[places], return_index=True, return_inverse=True)
    if len(first) < len(names):
        raise TrainingError("table_rows_too_few", field="path", rows=len(first), needed=len(names))
    drawn = draws(uploaded[places[first]], spec.seed)
    left_out: dict[str, int] = {}
    gone = np.zeros(len(first), bool)
    if classes is None:
        splits = assign(drawn, spec.validation_percent, spec.test_percent)
    else:
        column, known, of_row = classes
        of = of_row[places[first]]
        labels = Labels(column, _places={name: place for place, name in enumerate(known)})
        left_out = require_learnable(
            labels, of[of >= 0], len(names), leave_out=spec.leave_out_rare, field="targets"
        )
        rare = [place for place, name in enumerate(known) if name in left_out]
        gone = np.isin(of, rare)
        # Rows without this target, but with another one, are divided like a class of their own.
        few = (of < 0) & (np.sum(of < 0) < len(names))
        splits = np.zeros(len(first), np.int8)
        drawing = ~gone & ~few
        splits[drawing] = stratify(
            drawn[drawing], of[drawing], spec.validation_percent, spec.test_percent
        )
    kept = ~gone[group]
    _, originals = np.unique(whole[places], return_index=True)
    duplicates = len(places) - len(originals)
    if spec.remove_duplicates:
        is_original = np.zeros(len(places), bool)
        is_original[originals] = True
        kept &= is_original
    members = {}
    for number, name in enumerate(names):
        members[name] = np.zeros(len(in_use), bool)
        members[name][places[kept & (splits[group] == number)]] = True
    return Rows(members, duplicates, len(places) - len(first) - duplicates, left_out)
