"""How well numbers are predicted: errors in the units of the column, with intervals.

    RMSE = sqrt( (1/N) Σ (p_n − y_n)² )
    MAE  = (1/N) Σ |p_n − y_n|
    R²   = 1 − Σ (p_n − y_n)² / Σ (y_n − ȳ)²        ȳ: mean of the scored labels

- Efron, 1979, "Bootstrap Methods: Another Look at the Jackknife"

Details people get wrong: R² is against the mean of the labels that are *scored*, so the training
rows' mean as a prediction comes to a little below 0; it says nothing where all labels are equal; an
interval of R² resamples labels and predictions together, ȳ included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from training.evaluation.classification import INTERVAL, RESAMPLES

Numbers = npt.NDArray[np.float64]
#: Predictions that a report shows.
SHOWN = 100


class NumberRows(Protocol):
    """A split, as far as a report looks at it.

    Attributes:
        labels: The number of each row, in its own units.
        rows: ``{id, values}`` of each.
    """

    @property
    def labels(self) -> Numbers: ...
    @property
    def rows(self) -> Sequence[dict[str, Any]]: ...
    def __len__(self) -> int: ...


def regression_scores(predicted: Numbers, labels: Numbers, seed: int = 0) -> dict[str, Any]:
    """Everything that a report says about predicted numbers.

    Args:
        predicted: [examples], in the units of the labels.
        labels: What is true.
        seed: Of the resampling.

    Returns:
        ``rmse``, ``mae``, ``r2`` (None where all labels are equal), ``examples``; ``intervals``
        ``{rmse, mae, r2: [low, high]}``, 95 %, by the percentile bootstrap.

    Raises:
        ValueError: No examples.
    """
    if not len(labels):
        raise ValueError("no examples to score")
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {"rmse": [], "mae": [], "r2": []}
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(labels), len(labels))
        for name, value in _errors(predicted[rows], labels[rows]).items():
            if value is not None:
                found[name].append(value)
    return {
        **_errors(predicted, labels),
        "examples": len(labels),
        "intervals": {
            name: np.percentile(values, INTERVAL).tolist() if values else None
            for name, values in found.items()
        },
    }


def _errors(predicted: Numbers, labels: Numbers) -> dict[str, float | None]:
    missed = predicted - labels
    spread = float(np.square(labels - labels.mean()).sum())
    squares = float(np.square(missed).sum())
    # Not by the spread: the mean of equal labels may differ from them by rounding.
    differ = labels.min() < labels.max()
    return {
        "rmse": float(np.sqrt(squares / len(labels))),
        "mae": float(np.abs(missed).mean()),
        "r2": 1 - squares / spread if differ else None,
    }


def regression_report(
    split: str, train: NumberRows, scored: NumberRows, predicted: Mapping[str, Numbers], seed: int
) -> dict[str, Any]:
    """The fields of a report on a number.

    Args:
        split: That is scored.
        train: What was learned from.
        scored: That split's rows.
        predicted: Of ``model`` and of what stands beside it, in the units of the labels.
        seed: Of the resampling.

    Returns:
        ``examples`` (learned from), ``split``, ``scores`` of each, ``beaten_by`` (whose RMSE is no
        larger, the best first), ``predictions``: those farthest off, ``[{id, values, label,
        predicted, error}]``.
    """
    results = {name: regression_scores(one, scored.labels, seed) for name, one in predicted.items()}
    mine = results["model"]["rmse"]
    others = {name: one["rmse"] for name, one in results.items() if name != "model"}
    missed = predicted["model"] - scored.labels
    worst = np.argsort(-np.abs(missed), kind="stable")[:SHOWN]
    return {
        "examples": len(train),
        "split": split,
        "scores": results,
        "beaten_by": sorted(
            (name for name, rmse in others.items() if rmse <= mine), key=lambda name: others[name]
        ),
        "predictions": [
            scored.rows[int(row)]
            | {
                "label": float(scored.labels[row]),
                "predicted": float(predicted["model"][row]),
                "error": float(missed[row]),
            }
            for row in worst
        ],
    }
