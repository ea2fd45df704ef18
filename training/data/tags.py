"""Tags of words: what there is, whether it can be learned, and what is worth saying of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.entities import SchemeCounts, entities
from training.data.labels import too_many
from training.data.remarks import remark
from training.errors import TrainingError

Keys = npt.NDArray[np.bytes_]


@dataclass
class Tags:
    """The tags of an upload's sentences, in its order.

    Attributes:
        column: Where they stand.
        counts: Words with each tag, in the order of appearance.
        words: How many each sentence has.
        blank: Words that are nothing but space.
        schemes: What decides which scheme they follow.
    """

    column: str
    counts: Counter[str] = field(default_factory=Counter)
    words: list[int] = field(default_factory=list)
    blank: int = 0
    schemes: SchemeCounts = field(default_factory=SchemeCounts)
    _digests: bytearray = field(default_factory=bytearray)

    def add(self, words: Sequence[str], tags: Sequence[str]) -> None:
        """Count a sentence."""
        self.counts.update(tags)
        self.words.append(len(words))
        self.blank += sum(not word.strip() for word in words)
        self.schemes.add(tags)
        self._digests += hashlib.sha256("\x1f".join(tags).encode()).digest()[:16]

    @property
    def scheme(self) -> str | None:
        return self.schemes.scheme(self.counts)

    def require_learnable(self) -> None:
        """Refuse tags that nothing can be learned from.

        Raises:
            TrainingError: ``tags_one``, ``tags_too_many``.
        """
        if len(self.counts) < 2:
            name = next(iter(self.counts), "")
            raise TrainingError("tags_one", field="label_field", tag=name, column=self.column)
        if too_many(len(self.counts), sum(self.words)):
            raise TrainingError(
                "tags_too_many",
                field="label_field",
                tags=len(self.counts),
                words=sum(self.words),
                column=self.column,
            )

    def conflicts(self, keys: Keys) -> int:
        """Sentences that stand there several times, with different tags.

        Args:
            keys: A hash of each sentence's text.
        """
        digests = np.frombuffer(bytes(self._digests), "S16")
        both = np.unique(np.stack([keys, digests], 1), axis=0)
        _, counts = np.unique(both[:, 0], return_counts=True)
        return int((counts > 1).sum())


class SplitCounts:
    """Words with each tag, and entities of each type, by split.

    Args:
        splits: Their names.
        scheme: See :meth:`training.data.entities.SchemeCounts.scheme`.
    """

    def __init__(self, splits: Sequence[str], scheme: str | None) -> None:
        self.scheme = scheme
        self.tags: dict[str, Counter[str]] = {name: Counter() for name in splits}
        self.entities: dict[str, Counter[str]] = {name: Counter() for name in splits}

    def add(self, split: str, tags: Sequence[str]) -> None:
        """Count a sentence of a split."""
        self.tags[split].update(tags)
        if self.scheme is not None:
            self.entities[split].update(type for type, _first, _last in entities(tags))

    def words(self, split: str) -> int:
        """How many words a split has."""
        return self.tags[split].total()


def describe(tags: Tags, counted: SplitCounts, conflicts: int) -> dict[str, Any]:
    """``labels`` of ``dataset.json``, where they are tags of words.

    Args:
        tags: Of the upload.
        counted: Of the splits.
        conflicts: See :meth:`Tags.conflicts`.
    """
    return {
        "field": tags.column,
        "type": "tags",
        "tags": _rows(counted.tags),
        "scheme": tags.scheme,
        "malformed": tags.schemes.malformed(tags.scheme),
        "entities": _rows(counted.entities),
        "blank": tags.blank,
        "conflicts": conflicts,
    }


def _rows(counted: Mapping[str, Counter[str]]) -> list[dict[str, Any]]:
    """``{name, SPLIT: count}`` of each, the commonest in training first."""
    names = sorted(set().union(*counted.values()))
    rows: list[dict[str, Any]] = [
        {"name": name} | {split: one[name] for split, one in counted.items()} for name in names
    ]
    return sorted(rows, key=lambda row: -row["train"])


def remarks(labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Warnings as ``{code, params, message}``, from :func:`describe`."""
    found = []
    splits = [name for name in labels["tags"][0] if name != "name"]
    untrained = [row["name"] for row in labels["tags"] if not row["train"]]
    once = [
        row["name"] for row in labels["tags"] if row["train"] and sum(row[s] for s in splits) == 1
    ]
    if untrained:
        found.append(remark("warning_tags_untrained", tags=len(untrained), names=_named(untrained)))
    if once:
        found.append(remark("warning_tags_once", tags=len(once), names=_named(once)))
    if labels["malformed"]:
        found.append(
            remark("warning_tags_malformed", tags=labels["malformed"], scheme=labels["scheme"])
        )
    if labels["conflicts"]:
        found.append(remark("warning_tags_conflicts", sentences=labels["conflicts"]))
    if labels["blank"]:
        found.append(remark("warning_words_blank", words=labels["blank"]))
    return found


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
