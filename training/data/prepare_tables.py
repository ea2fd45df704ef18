"""A table: columns' types found or chosen, counted, split (``docs/formats.md``).

The rows are read once, into a copy (:mod:`training.data.table_copy`); each column is looked at
twice, for what it is and, once the splits are known, for its numbers; then the splits are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.column_statistics import (
    count_categories,
    describe_categories,
    describe_numbers,
)
from training.data.column_types import numbers_of
from training.data.prepare_spec import PrepareSpec
from training.data.readers.detect import detect_format
from training.data.readers.tables import TABLES, TableFile
from training.data.splits import Keys
from training.data.table_copy import TableCopy
from training.data.table_remarks import Checks, gives_away, remarks
from training.data.table_splits import RowHash, Rows, divide_rows
from training.data.typed_columns import (
    Target,
    Typed,
    require_known,
    row_numbers,
    target_of,
    typed,
    words,
)
from training.data.write_table import write_columns, write_preview, write_splits
from training.errors import TrainingError
from training.events import EventLog
from training.hashing import file_hash

Mask = npt.NDArray[np.bool_]


def prepare_tables(spec: PrepareSpec, folder: Path, events: EventLog) -> dict[str, Any]:
    """Write the splits, what their columns are, and the preview.

    Args:
        spec: Where the upload is, what its columns are used as, how it is split.
        folder: Where to.
        events: Gets ``phase``.

    Returns:
        What ``dataset.json`` says of a table (``docs/formats.md``).

    Raises:
        TrainingError: ``table_*``, ``label*``, or what the file's reader says.
    """
    events.emit("phase", name="reading", fraction=0.0, detail="")
    path = Path(spec.path)
    if spec.label_field and not spec.targets:
        spec = spec.model_copy(update={"targets": [spec.label_field]})
    table = _open(path, spec)
    if not table.columns:
        raise TrainingError("table_no_rows", field="path", columns=0)
    require_known(spec, table.columns)
    size = path.stat().st_size
    with TableCopy(table, folder / "rows") as copy:
        copy.fill(size, events)
        events.emit("phase", name="checking", fraction=None, detail="")
        looked = _look(spec, table, copy)
        events.emit("phase", name="splitting", fraction=None, detail="")
        rows = _divide(spec, copy, looked)
        described, classes = _describe(folder, copy, looked, rows)
        write_splits(folder, copy, looked.columns, rows.members)
        write_preview(folder, copy, looked.columns, rows.members)
    checks = _checks(looked, rows)
    in_splits = {name: {"rows": int(here.sum())} for name, here in rows.members.items()}
    counts = {
        "rows": copy.rows,
        "columns": len(table.columns),
        "used": sum(column.used for column in looked.columns),
        "bytes": size,
        "missing": sum(column.missing for column in looked.columns if column.used),
        "duplicates": rows.duplicates,
        "alike": rows.alike,
        "unlabelled": int((~looked.in_use).sum()),
        "overlap": checks.overlap,
        "conflicts": checks.conflicts,
    }
    targets = [
        {
            "name": target.name,
            "type": target.type,
            "missing": int((rows.kept & ~target.present).sum()),
            **({"classes": classes[target.name]} if target.type == "category" else {}),
        }
        for target in looked.targets
    ]
    return {
        "kind": "table",
        "format": table.format,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "columns": described,
        "targets": targets,
        "labels": None,
        "left_out": [
            {"name": name, "rows": count} for name, count in sorted(rows.left_out.items())
        ],
        "seed": spec.seed,
        "source": {"blake3": file_hash(path), "size": size, "filename": spec.filename},
        "counts": counts,
        "splits": in_splits,
        "warnings": remarks(looked.columns, described, targets, counts, in_splits, checks),
    }


def _open(path: Path, spec: PrepareSpec) -> TableFile:
    kind = detect_format(path, spec.filename or path.name)
    # What is asked for as a table is one, whatever the name says: UCI's end in .data.
    return TABLES["csv" if kind == "text" else kind](path)


@dataclass
class _Looked:
    """What the columns are, and what follows for each row.

    Attributes:
        columns: All, in the table's order.
        targets: In the order in which the spec names them.
        content: Rows by the columns that are used.
        whole: Rows by all columns.
        inputs: Rows by those that are no targets.
        in_use: Rows that are not left out for lack of a target.
        answers: Columns that give the answer away, with the target that they tell.
    """

    columns: list[Typed] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    content: Keys = field(default_factory=lambda: np.zeros(0, "S16"))
    whole: Keys = field(default_factory=lambda: np.zeros(0, "S16"))
    inputs: Keys = field(default_factory=lambda: np.zeros(0, "S16"))
    in_use: Mask = field(default_factory=lambda: np.zeros(0, bool))
    answers: list[tuple[str, str]] = field(default_factory=list)


def _look(spec: PrepareSpec, table: TableFile, copy: TableCopy) -> _Looked:
    looked = _Looked(in_use=np.ones(copy.rows, bool))
    content, whole, inputs = (RowHash(copy.rows) for _ in range(3))
    if table.unread:  # rows may differ in what nobody looked at
        whole.add(np.arange(copy.rows, dtype=np.uint64))
    targets: dict[str, Target] = {}
    for place in range(len(table.columns)):
        column = copy.column(place)
        parsed = numbers_of(column)
        one = typed(place, column, spec, parsed)
        looked.columns.append(one)
        values = words(column, one.type, parsed)
        whole.add(values)
        if not one.used:
            continue
        content.add(values)
        if one.target:
            targets[one.name] = target_of(column, one.type, parsed)
        else:
            inputs.add(values)
    if not any(column.used and not column.target for column in looked.columns):
        raise TrainingError("table_no_inputs", field="columns", columns=len(looked.columns))
    looked.targets = [targets[name] for name in dict.fromkeys(spec.targets)]
    looked.content, looked.whole, looked.inputs = content.keys(), whole.keys(), inputs.keys()
    if looked.targets and spec.leave_out_unlabelled:
        looked.in_use = np.logical_or.reduce([target.present for target in looked.targets])
    return looked


def _divide(spec: PrepareSpec, copy: TableCopy, looked: _Looked) -> Rows:
    classes = next(
        (
            (target.name, target.names, target.codes)
            for target in looked.targets
            if target.type == "category"
        ),
        None,
    )
    return divide_rows(spec, copy.uploaded(), looked.content, looked.whole, looked.in_use, classes)


def _describe(
    folder: Path, copy: TableCopy, looked: _Looked, rows: Rows
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """What is said of each column, and of each target its classes with their counts."""
    described, categories, classes = [], {}, {}
    for one in looked.columns:
        about = one.about()
        described.append(about)
        if not one.used:
            continue
        column = copy.column(one.place)
        if one.type == "number":
            about |= describe_numbers(row_numbers(column)[rows.members["train"]])
            continue
        codes = column.codes.astype(np.int64)
        counted = count_categories(codes, column.values.to_pylist(), rows.members)
        about |= describe_categories(counted)
        categories[one.name] = [row["name"] for row in counted if row["train"]]
        if one.target:
            classes[one.name] = counted
        else:
            looked.answers += [
                (one.name, target.name)
                for target in looked.targets
                if target.type == "category" and gives_away(codes, target.codes, rows.kept)
            ]
    write_columns(folder, looked.columns, categories)
    return described, classes


def _checks(looked: _Looked, rows: Rows) -> Checks:
    """What comparing rows shows."""
    train, others = rows.members["train"], rows.kept & ~rows.members["train"]
    overlap = int(np.isin(looked.inputs[others], np.unique(looked.inputs[train])).sum())
    # Rows with the inputs of another one, but not its targets.
    _, group = np.unique(looked.inputs[rows.kept], return_inverse=True)
    _, place = np.unique(looked.content[rows.kept], return_index=True)
    different = np.bincount(group[place], minlength=group.max() + 1)
    conflicts = int((different[group] > 1).sum())
    return Checks(overlap, int(others.sum()), conflicts, looked.answers)
