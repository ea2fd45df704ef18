"""What is worth saying about a table that can be used all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.labels import IMBALANCE
from training.data.readers.base import names
from training.data.remarks import percent, remark
from training.data.typed_columns import Typed

FEW_ROWS = 200
#: Shares that are worth a word: of missing values, of copies.
MUCH_MISSING = 0.5
MANY_COPIES = 0.05
#: … of rows with the inputs of another one.
MUCH_OVERLAP = 0.01
#: Columns about which a sentence of their own is said.
MOST_TOLD = 5
#: Rows a category needs on average for its telling the class to be no accident.
ROWS_A_CATEGORY = 10


@dataclass(frozen=True)
class Checks:
    """What comparing rows shows.

    Attributes:
        overlap: Rows outside training whose inputs stand in training too.
        held_out: Rows outside training.
        conflicts: Rows that have the inputs of another row, but another target.
        answers: Columns that tell a target's class with certainty, each with the target.
    """

    overlap: int
    held_out: int
    conflicts: int
    answers: Sequence[tuple[str, str]]


def gives_away(
    codes: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]
) -> bool:
    """Whether a column's categories tell the class of every row that has one.

    Args:
        codes: Category of each row; -1 where it is missing.
        classes: Its class; -1 where it is missing.
        kept: Rows that are looked at.
    """
    both = kept & (codes >= 0) & (classes >= 0)
    if not both.any():
        return False
    one, other = codes[both], classes[both]
    categories, found = len(np.unique(one)), len(np.unique(other))
    pairs = len(np.unique(one * (other.max() + 1) + other))
    return found > 1 and pairs == categories and len(one) >= ROWS_A_CATEGORY * categories


def remarks(
    columns: Sequence[Typed],
    described: Sequence[Mapping[str, Any]],
    targets: Sequence[Mapping[str, Any]],
    counts: Mapping[str, int],
    splits: Mapping[str, Mapping[str, int]],
    checks: Checks,
) -> list[dict[str, Any]]:
    """Warnings as ``{code, params, message}``.

    Args:
        columns: All columns.
        described: What ``dataset.json`` says of them.
        targets: Its ``targets``.
        counts: Its ``counts``.
        splits: Its ``splits``.
        checks: What comparing rows shows.
    """
    return [
        *_about_targets(targets, counts),
        *_about_rows(counts, splits, checks),
        *_about_columns(columns, described, counts),
    ]


def _about_targets(
    targets: Sequence[Mapping[str, Any]], counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    said = []
    if not targets:
        said.append(remark("warning_table_no_target"))
    if counts["unlabelled"]:
        said.append(remark("warning_table_unlabelled", rows=counts["unlabelled"]))
    for target in targets:
        if target["missing"]:
            said.append(
                remark("warning_target_missing", column=target["name"], rows=target["missing"])
            )
        classes = target.get("classes") or []
        unseen = [one["name"] for one in classes if not one["train"]]
        seen = [one for one in classes if one["train"]]
        if unseen:
            said.append(
                remark(
                    "warning_target_unseen",
                    column=target["name"],
                    classes=len(unseen),
                    name=unseen[0],
                )
            )
        if seen and seen[0]["train"] >= IMBALANCE * seen[-1]["train"]:
            said.append(
                remark(
                    "warning_imbalance",
                    largest=seen[0]["name"],
                    most=seen[0]["train"],
                    smallest=seen[-1]["name"],
                    least=seen[-1]["train"],
                )
            )
    return said


def _about_rows(
    counts: Mapping[str, int], splits: Mapping[str, Mapping[str, int]], checks: Checks
) -> list[dict[str, Any]]:
    said = []
    if splits["train"]["rows"] < FEW_ROWS:
        said.append(remark("warning_few_rows", rows=splits["train"]["rows"]))
    if counts["duplicates"] >= max(1, MANY_COPIES * counts["rows"]):
        said.append(
            remark(
                "warning_row_duplicates",
                duplicates=counts["duplicates"],
                rows=counts["rows"],
                percent=percent(counts["duplicates"], counts["rows"]),
            )
        )
    if counts["alike"] >= max(1, MANY_COPIES * counts["rows"]):
        said.append(
            remark(
                "warning_rows_alike",
                alike=counts["alike"],
                rows=counts["rows"],
                percent=percent(counts["alike"], counts["rows"]),
            )
        )
    if checks.overlap >= max(1, MUCH_OVERLAP * checks.held_out):
        said.append(
            remark(
                "warning_row_overlap",
                rows=checks.overlap,
                held_out=checks.held_out,
                percent=percent(checks.overlap, checks.held_out),
            )
        )
    if checks.conflicts >= max(1, MUCH_OVERLAP * counts["rows"]):
        said.append(remark("warning_row_conflicts", rows=checks.conflicts))
    said += [
        remark("warning_gives_away", column=column, target=target)
        for column, target in checks.answers[:MOST_TOLD]
    ]
    return said


def _about_columns(
    columns: Sequence[Typed], described: Sequence[Mapping[str, Any]], counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    said = []
    if left := [one.name for one in columns if not one.used]:
        said.append(remark("warning_columns_ignored", columns=len(left), names=names(left)))
    slipped = [one for one in columns if one.slips]
    said += [
        remark("warning_not_numbers", column=one.name, rows=one.slips, value=one.slip)
        for one in slipped[:MOST_TOLD]
    ]
    bare = [
        one.name
        for one in columns
        if one.used and one.missing + one.slips >= MUCH_MISSING * counts["rows"]
    ]
    if bare:
        said.append(remark("warning_much_missing", columns=len(bare), names=names(bare)))
    new = [one for one in described if not one["target"] and one.get("unseen", {}).get("rows")]
    if new:
        said.append(
            remark(
                "warning_categories_unseen",
                columns=len(new),
                rows=sum(one["unseen"]["rows"] for one in new),
                names=names([one["name"] for one in new]),
            )
        )
    # Numbers as names, other than 0, 1, 2 …: the first row may be data.
    numbered = [one.name for one in columns if _is_number(one.name)]
    if len(numbered) * 2 >= len(columns) and not _are_counted(numbered):
        said.append(remark("warning_header_numbers", names=names(numbered)))
    return said


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _are_counted(numbered: Sequence[str]) -> bool:
    start = float(numbered[0])
    return [float(name) for name in numbered] == [start + place for place in range(len(numbered))]
