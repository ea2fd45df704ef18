"""Whether a model learned from examples that it is judged on, by their content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.data.labelled import Labelled, examples_split, read_about
from training.errors import TrainingError
from training.hashing import content_hash


def fingerprints(examples: Labelled, kind: str) -> list[str]:
    """Each example's content, hashed.

    Args:
        examples: A split.
        kind: ``text`` or ``image``.
    """
    if kind == "text":
        return [content_hash(text.encode()) for text in examples.texts]
    return [content_hash(examples.pixels(row).tobytes()) for row in examples.rows]


def learned(datasets: Sequence[Path], kind: str) -> set[str]:
    """Fingerprints of the training splits of prepared data sets; none of another kind of data."""
    found: set[str] = set()
    for dataset in datasets:
        try:
            about = read_about(dataset)
        except TrainingError:  # a table, which has no such
            continue
        train = examples_split(dataset, "train", about) if about["kind"] == kind else None
        if train is not None:
            found |= set(fingerprints(train, kind))
    return found
