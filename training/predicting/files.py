"""Predictions as files: all of them, and some for people to look at.

    predictions.csv | predictions.parquet    an example a row, in the order of the upload
    worst.json, uncertain.json, first.json   up to :data:`SHOWN` examples with what was shown

A spreadsheet takes a cell that begins with one of ``= + - @``, a tab or a line's end for a formula,
and what a stranger called a class could so be run. In CSV such text gets an apostrophe before it,
as OWASP advises (https://owasp.org/www-community/attacks/CSV_Injection); Parquet has it as it is.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from training.durable import json_bytes
from training.predicting.given import Given
from training.predicting.outputs import Outputs
from training.predicting.targets import Target
from training.predicting.truth import Truth

#: Examples that people can look at, of each order.
SHOWN = 1_000
#: What a spreadsheet would take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Rows that are written at a time.
WRITTEN = 10_000

Format = Literal["csv", "parquet"]
Told = Sequence[tuple[Target, "Truth | None", Outputs]]


def write_predictions(folder: Path, given: Given, told: Told, format: Format) -> str:
    """Write all predictions.

    Args:
        folder: Where to.
        given: What was predicted.
        told: Of each target what is true and what was said.
        format: Of the file.

    Returns:
        The file's name.
    """
    names, columns = _columns(given, told)
    name = f"predictions.{format}"
    if format == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table([pa.array(one) for one in columns], names=names)
        pq.write_table(table, folder / name, store_schema=False)
        return name
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(safe_cell, names))
        for start in range(0, len(given), WRITTEN):
            parts = [one[start : start + WRITTEN] for one in columns]
            writer.writerows(zip(*(map(_cell, part) for part in parts), strict=True))
    return name


def _columns(given: Given, told: Told) -> tuple[list[str], list[Any]]:
    """Names and values; of several targets each one's with its name before it."""
    names, columns = ["id", "split"], [given.ids, given.splits]

    def add(name: str, values: Any) -> None:
        names.append(f"{target.name}.{name}" if len(told) > 1 else name)
        columns.append(values)

    for target, truth, said in told:
        if target.is_number:
            add("predicted", said)
        else:
            add("predicted", [target.classes[place] for place in said.argmax(1)])
            for place, name in enumerate(target.classes):
                add(f"probability.{name}", said[:, place])
        if truth is not None:
            # A column of a file has one type.
            values = truth.labels if target.is_number else [_text(one) for one in truth.told]
            add("label", values)
    return names, columns


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else f"{value:.15g}"


def _cell(value: Any) -> str | int:
    if value is None:
        return ""
    if isinstance(value, str):
        return safe_cell(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return "" if np.isnan(value) else f"{value:.9g}"


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def write_shown(folder: Path, given: Given, told: Told) -> dict[str, int]:
    """Write examples to look at: by the main target the worst and the least certain, and the first.

    Returns:
        Order → how many examples there are to look at.
    """
    found = {}
    for name, places in _orders(told):
        rows = [_example(given, told, int(place)) for place in places[:SHOWN]]
        (folder / f"{name}.json").write_bytes(json_bytes({"version": 1, "rows": rows}))
        found[name] = len(rows)
    return found


def _orders(told: Told) -> Iterator[tuple[str, Any]]:
    target, truth, said = told[0]
    if truth is not None and truth.known.any():
        places = np.flatnonzero(truth.known)
        if target.is_number:
            off = np.abs(said[places] - truth.labels[places])
        else:
            off = 1 - said[places, truth.labels[places]]
        yield "worst", places[np.argsort(-off, kind="stable")]
    if not target.is_number:
        yield "uncertain", np.argsort(said.max(1), kind="stable")
    yield "first", np.arange(len(said))


def _example(given: Given, told: Told, place: int) -> dict[str, Any]:
    said = []
    for target, truth, values in told:
        one: dict[str, Any] = {"target": target.name}
        if target.is_number:
            one["predicted"] = float(values[place])
        else:
            best = int(values[place].argmax())
            one |= {"predicted": target.classes[best], "probability": float(values[place, best])}
        if truth is not None:
            label = truth.told[place]
            one["label"] = label if not target.is_number else _number(truth.labels[place])
            one["known"] = bool(truth.known[place])
            if truth.known[place] and not target.is_number:
                one["label"] = target.classes[int(truth.labels[place])]
        said.append(one)
    return {"example": given.shown(place), "told": said}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
