"""How well numbers are predicted: errors in the units of the column, with intervals.

    RMSE = sqrt( (1/N) Σ (p_n − y_n)² )
    MAE  = (1/N) Σ |p_n − y_n|
    R²   = 1 − Σ (p_n − y_n)² / Σ (y_n − ȳ)²        ȳ: mean of the scored labels
    r    = Σ (p_n − p̄)(y_n − ȳ) / √( Σ (p_n − p̄)² Σ (y_n − ȳ)² )        Pearson; Spearman: of ranks

- Efron, 1979, "Bootstrap Methods: Another Look at the Jackknife"

Details people get wrong: R² is against the mean of the labels that are *scored*, so the training
rows' mean as a prediction comes to a little below 0; it says nothing where all labels are equal; an
interval of R² resamples labels and predictions together, ȳ included; a correlation says nothing of
the error (twice the label is as correlated as the label), and nothing at all of one number for all;
equal values share the mean of their ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from training.data.numbers import Numbers
from training.evaluation.classification import INTERVAL, RESAMPLES
from training.evaluation.classification_report import Tell, shown
from training.evaluation.ranks import mean_ranks

#: Predictions that a report shows, and points of its chart.
SHOWN = 100
POINTS = 400


class NumberRows(Protocol):
    """A split, as far as a report looks at it.

    Attributes:
        labels: The number of each row, in its own units.
        rows: Of each, what a report shows an example by.
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
        ``rmse``, ``mae``, ``r2`` (None where all labels are equal), ``pearson`` and ``spearman``
        (None where all labels, or all predictions, are equal), ``examples``; ``intervals``
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
        "pearson": _correlation(predicted, labels),
        "spearman": _correlation(mean_ranks(predicted), mean_ranks(labels)),
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


def _correlation(one: Numbers, other: Numbers) -> float | None:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    # What is left of equal numbers after their mean is rounding.
    if not size or np.ptp(one) < 1e-12 * size or np.ptp(other) < 1e-12 * size:
        return None
    return float((one * other).sum() / size)


def regression_report(
    kind: str,
    split: str,
    train: NumberRows,
    scored: NumberRows,
    predicted: Mapping[str, Numbers],
    seed: int,
) -> dict[str, Any]:
    """The fields of a report on a number.

    Args:
        kind: Of the data, ``text``, ``image`` or ``table``.
        split: That is scored.
        train: What was learned from.
        scored: That split's rows.
        predicted: Of ``model`` and of what stands beside it, in the units of the labels.
        seed: Of the resampling.

    Returns:
        ``examples`` (learned from), ``split``, ``scores`` of each, ``beaten_by`` (whose RMSE is no
        larger, the best first), ``points`` ``[[label, predicted]]`` for a chart, and
        ``predictions``: those farthest off, each with ``label``, ``predicted``, ``error`` and what
        :func:`training.evaluation.classification_report.shown` tells of the example.
    """
    found = numbers_report(
        split, scored.labels, predicted, seed, lambda place: shown(kind, split, scored.rows[place])
    )
    return found | {"examples": len(train)}


def numbers_report(
    split: str, labels: Numbers, predicted: Mapping[str, Numbers], seed: int, tell: Tell
) -> dict[str, Any]:
    """The same, but for what was learned from, which nobody may know.

    Args:
        split: That is scored.
        labels: What is true.
        predicted: Of ``model`` and of what stands beside it, in the units of the labels.
        seed: Of the resampling.
        tell: An example by its place, as a report shows it.
    """
    results = {name: regression_scores(one, labels, seed) for name, one in predicted.items()}
    mine = results["model"]["rmse"]
    others = {name: one["rmse"] for name, one in results.items() if name != "model"}
    missed = predicted["model"] - labels
    worst = np.argsort(-np.abs(missed), kind="stable")[:SHOWN]
    return {
        "split": split,
        "scores": results,
        "beaten_by": sorted(
            (name for name, rmse in others.items() if rmse <= mine), key=lambda name: others[name]
        ),
        "points": np.stack([labels, predicted["model"]], 1)[_spread(labels)].tolist(),
        "predictions": [
            tell(int(row))
            | {
                "label": float(labels[row]),
                "predicted": float(predicted["model"][row]),
                "error": float(missed[row]),
            }
            for row in worst
        ],
    }


def _spread(labels: Numbers) -> npt.NDArray[np.int64]:
    """Places of :data:`POINTS` examples at most, evenly from the lowest label to the highest."""
    order = np.argsort(labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(POINTS, len(order))).round().astype(np.int64)
    return np.asarray(order[places])
