"""Rows of a split that have a label: what a model is shown of them, and what a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.table_features import Features
from training.data.tables import FIRST, UNSEEN, Table

#: What a report shows of a category that no training row has.
UNSEEN_NAME = "…"


@dataclass(frozen=True)
class Rows:
    """Rows of a split that have a label.

    Attributes:
        table: As it was read.
        places: Of those rows in the table, int64 [rows].
        features: What the model is shown of them.
        labels: Their classes, indices into the model's, int64 [rows]; or their numbers, float64.
    """

    table: Table
    places: npt.NDArray[np.int64]
    features: Features
    labels: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def rows(self) -> Sequence[dict[str, Any]]:
        """``{id, values}`` of each, made when looked at: its place in the upload, its inputs."""
        return _Told(self)


class _Told(Sequence[dict[str, Any]]):
    def __init__(self, split: Rows) -> None:
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, place: Any) -> Any:
        table, row = self._split.table, int(self._split.places[place])
        values: list[tuple[str, str | None]] = []
        for number, one in enumerate(table.number_columns):
            value = float(table.numbers[row, number])
            values.append((one.name, None if np.isnan(value) else f"{value:.7g}"))
        for number, one in enumerate(table.category_columns):
            code = int(table.categories[row, number])
            known = one.categories[code - FIRST] if code >= FIRST else None
            values.append((one.name, UNSEEN_NAME if code == UNSEEN else known))
        return {"id": int(table.rows[row]), "values": values}
