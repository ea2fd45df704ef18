"""Labels: which classes there are, whether they can be learned, and splits that keep them.

A split is stratified: each class has the same share in every split, up to rounding, and at least
one example in each. Copies go together, with the class of the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.remarks import remark
from training.errors import TrainingError

#: More classes than this are names or numbers, not labels.
MAX_CLASSES = 1000
#: A class this many times as large as another is worth a word.
IMBALANCE = 10
#: Characters of a class's name that are kept.
MAX_LABEL = 200


@dataclass
class Labels:
    """The class of each example, in the order of the upload.

    Attributes:
        column: Where they stand; empty: in the folders' names.
        of: Class of each example, as an index into ``names``.
        names: Classes in the order of appearance.
        unlabelled: Examples left out because they have no label.
    """

    column: str
    of: list[int] = dataclass_field(default_factory=list)
    unlabelled: int = 0
    _places: dict[str, int] = dataclass_field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return list(self._places)

    def add(self, label: str) -> None:
        """Count an example's label."""
        self.of.append(self._places.setdefault(label, len(self._places)))


@dataclass(frozen=True)
class Groups:
    """Examples by content: which are copies of the same, and the class of each group.

    Attributes:
        group: Group of each example, int [examples].
        classes: Class of each group: that of its first example, int [groups].
        conflicts: Groups whose examples do not all have the same class.
    """

    group: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    conflicts: int


def group(keys: npt.NDArray[np.bytes_], of: npt.NDArray[np.int64]) -> Groups:
    """Examples with equal keys belong together.

    Args:
        keys: A hash of each example's content.
        of: Its class.
    """
    _, first, groups = np.unique(keys, return_index=True, return_inverse=True)
    classes = of[first]
    conflicts = len(np.unique(groups[classes[groups] != of]))
    return Groups(groups, classes, conflicts)


def too_many(classes: int, examples: int) -> bool:
    """Whether so many different labels of so many examples are no classes."""
    return classes > MAX_CLASSES or classes > max(2, examples // 2)


def require_learnable(
    labels: Labels,
    classes: npt.NDArray[np.int64],
    needed: int,
    *,
    leave_out: bool,
    field: str = "label_field",
) -> dict[str, int]:
    """Refuse labels that nothing can be learned from.

    Args:
        labels: The classes' names.
        classes: Class of each different example.
        needed: Examples that a class needs: one for each split.
        leave_out: Leave out classes with fewer, rather than refuse them.
        field: The setting that names where the labels are.

    Returns:
        Classes that are left out, and how many examples they have.

    Raises:
        TrainingError: ``labels_one_class``, ``labels_too_many``, ``label_rare``.
    """
    names = labels.names
    if too_many(len(names), len(classes)):
        raise TrainingError(
            "labels_too_many",
            field=field,
            classes=len(names),
            examples=len(classes),
        )
    counts = np.bincount(classes, minlength=len(names))
    rare = {name: int(count) for name, count in zip(names, counts, strict=True) if count < needed}
    if rare and not leave_out:
        name, count = min(rare.items(), key=lambda item: item[1])
        raise TrainingError(
            "label_rare",
            field="leave_out_rare",
            label=name,
            examples=count,
            needed=needed,
            others=len(rare) - 1,
        )
    if len(names) - len(rare) < 2:
        raise TrainingError("labels_one_class", field=field)
    return rare


def stratify(
    drawn: npt.NDArray[np.uint64],
    classes: npt.NDArray[np.int64],
    validation_percent: float,
    test_percent: float,
) -> npt.NDArray[np.int8]:
    """The split of each example: 0 training, 1 validation, 2 test.

    Within a class the lowest draws are the test's, the next the validation's: the share asked for,
    rounded, and at least one; training keeps at least one.

    Args:
        drawn: A number for each example that follows from it and the seed.
        classes: Its class; each has at least as many examples as there are splits.
        validation_percent: Share held out to watch training.
        test_percent: Share held out for the report; 0: there is no test split.
    """
    splits = np.zeros(len(drawn), np.int8)
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        members = members[np.argsort(drawn[members], kind="stable")]
        count = len(members)
        test = max(1, round(count * test_percent / 100)) if test_percent else 0
        test = min(test, count - 2) if test_percent else 0
        held_out = min(test + max(1, round(count * validation_percent / 100)), count - 1)
        splits[members[:test]] = 2
        splits[members[test:held_out]] = 1
    return splits


def describe(
    labels: Labels,
    of: Sequence[npt.NDArray[np.int64]],
    splits: Sequence[str],
    conflicts: int,
    left_out: dict[str, int],
) -> dict[str, Any]:
    """``labels`` of ``dataset.json``.

    Args:
        labels: The classes.
        of: Of each split, the class of each of its examples.
        splits: The splits' names.
        conflicts: Examples that stand there with several labels.
        left_out: See :func:`require_learnable`.
    """
    counts = [np.bincount(one, minlength=len(labels.names)) for one in of]
    classes = [
        {"name": name, **{split: int(counts[number][place]) for number, split in enumerate(splits)}}
        for place, name in enumerate(labels.names)
        if name not in left_out
    ]
    return {
        "field": labels.column,
        "classes": sorted(classes, key=lambda one: (-one["train"], one["name"])),
        "unlabelled": labels.unlabelled,
        "conflicts": conflicts,
        "left_out": [{"name": name, "examples": left_out[name]} for name in sorted(left_out)],
    }


def remarks(labels: dict[str, Any]) -> list[dict[str, Any]]:
    """Warnings as ``{code, params, message}``, from :func:`describe`."""
    found: list[dict[str, Any]] = []

    def say(code: str, **params: Any) -> None:
        found.append(remark(code, **params))

    largest, smallest = labels["classes"][0], labels["classes"][-1]
    if largest["train"] >= IMBALANCE * smallest["train"]:
        say(
            "warning_imbalance",
            largest=largest["name"],
            most=largest["train"],
            smallest=smallest["name"],
            least=smallest["train"],
        )
    if labels["unlabelled"]:
        say("warning_unlabelled", examples=labels["unlabelled"])
    if labels["conflicts"]:
        say("warning_conflicts", examples=labels["conflicts"])
    if labels["left_out"]:
        examples = sum(one["examples"] for one in labels["left_out"])
        say("warning_left_out", classes=len(labels["left_out"]), examples=examples)
    return found
