"""What ``dataset.json`` says of a table's columns: numbers of the training split, counts of all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: Ranges of a histogram.
BINS = 20
#: Numbers beyond this are divided before they are squared.
LARGE = 1e150
#: Whole numbers up to here are exact in float64, with room for a half.
EXACT = 2.0**50
QUANTILES = (5, 25, 50, 75, 95)
#: Categories that are told with their counts; ``columns.json`` has the names of all.
MOST_TOLD = 20


def describe_numbers(values: Floats) -> dict[str, Any]:
    """Statistics and a histogram of the training split's numbers.

    Args:
        values: NaN where one is missing.

    Returns:
        ``statistics`` (null without a number) and ``histogram``: how many lie in each of equal
        ranges from ``from`` to ``to``. Whole numbers lie between halves, as many in each range.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return {"statistics": None, "histogram": None}
    low, high = float(known.min()), float(known.max())
    # Squares of numbers near the end of the range would be infinite.
    scale = max(abs(low), abs(high)) if max(abs(low), abs(high)) > LARGE else 1.0
    scaled = known / scale
    statistics = {
        "minimum": low,
        "mean": float(scaled.mean() * scale),
        "maximum": high,
        "std": float(scaled.std() * scale),
        "quantiles": {
            str(percent): float(value)
            for percent, value in zip(
                QUANTILES, np.percentile(scaled, QUANTILES) * scale, strict=True
            )
        },
    }
    return {"statistics": statistics, "histogram": _histogram(known, low, high)}


def _histogram(known: Floats, low: float, high: float) -> dict[str, Any]:
    if high - low < EXACT and np.all(known == np.floor(known)):
        # As many whole numbers in each range, or the bars would differ for that reason alone.
        whole = math.ceil((high - low + 1) / BINS)
        counts = np.bincount(((known - low) // whole).astype(np.int64))
        return {
            "from": low - 0.5,
            "to": low - 0.5 + whole * len(counts),
            "counts": counts.tolist(),
        }
    # By halves, or the width of a range from -1e308 to 1e308 would be infinite.
    width = high / BINS - low / BINS
    if not width:
        return {"from": low, "to": high, "counts": [len(known)]}
    places = np.clip((known / width - low / width).astype(np.int64), 0, BINS - 1)
    return {"from": low, "to": high, "counts": np.bincount(places, minlength=BINS).tolist()}


def count_categories(
    codes: Codes, names: list[str], members: Mapping[str, npt.NDArray[np.bool_]]
) -> list[dict[str, Any]]:
    """Categories with how often each stands in every split: the largest in training first.

    Args:
        codes: Of each row an index into ``names``; -1 where it is missing.
        names: The categories.
        members: Of each split, training first, which rows are in it.
    """
    counts = {
        split: np.bincount(codes[rows & (codes >= 0)], minlength=len(names))
        for split, rows in members.items()
    }
    found = [
        {"name": name, **{split: int(counts[split][place]) for split in members}}
        for place, name in enumerate(names)
    ]
    found = [one for one in found if any(one[split] for split in members)]
    return sorted(found, key=lambda one: (-one["train"], one["name"]))


def describe_categories(counted: list[dict[str, Any]]) -> dict[str, Any]:
    """What is told of a category's column.

    Args:
        counted: From :func:`count_categories`.

    Returns:
        ``categories``: how many there are in training; ``known``: training rows that have one;
        ``largest``: the first of all with their
        counts; ``unseen``: how many there are outside training only, in how many rows.
    """
    unseen = [one for one in counted if not one["train"]]
    rows = sum(value for one in unseen for key, value in one.items() if key != "name")
    return {
        "categories": len(counted) - len(unseen),
        "known": sum(one["train"] for one in counted),
        "largest": counted[:MOST_TOLD],
        "unseen": {"categories": len(unseen), "rows": rows},
    }
