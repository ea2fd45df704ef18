"""Files of predictions: no formula in a spreadsheet, and examples in the orders promised."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories.predictions import Texts
from training.predicting import files
from training.predicting.files import safe_cell, write_predictions, write_shown
from training.predicting.targets import Target

CLASSES = Target("", ("a", "=b"))
SAID = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.55, 0.45]])


def told(given: Texts, target: Target = CLASSES, said: Any = SAID) -> list[Any]:
    return [(target, given.truth(target), said)]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_what_a_spreadsheet_takes_for_a_formula_is_text(text: str) -> None:
    assert safe_cell(text) == "'" + text
    assert safe_cell("a" + text) == "a" + text


def test_names_are_safe_wherever_they_stand(tmp_path: Path) -> None:
    given = Texts(["=b", "a", None, "+c"], 4)
    write_predictions(tmp_path, given, told(given), "csv")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["id", "split", "predicted", "probability.a", "probability.=b", "label"]
    assert [row[2] for row in rows] == ["a", "'=b", "'=b", "a"]
    assert [row[5] for row in rows] == ["'=b", "a", "", "'+c"]


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    given = Texts([-1.5, None, 2.0, "x"], 4)
    target = Target("pay")
    write_predictions(tmp_path, given, told(given, target, np.array([-2.0, 1, 2, 1e-9])), "csv")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["predicted"] for row in rows] == ["-2", "1", "2", "1e-09"]
    assert [row["label"] for row in rows] == ["-1.5", "", "2", ""]


def test_worst_and_least_certain_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SHOWN", 3)
    given = Texts(["=b", "a", "nobody", "a"], 4)
    found = write_shown(tmp_path, given, told(given))
    assert found == {"worst": 3, "uncertain": 3, "first": 3}

    def ids(order: str) -> list[int]:
        rows = json.loads((tmp_path / f"{order}.json").read_text())["rows"]
        return [row["example"]["id"] for row in rows]

    assert ids("worst") == [0, 1, 3]
    assert ids("uncertain") == [3, 1, 2]
    assert ids("first") == [0, 1, 2]
    first = json.loads((tmp_path / "first.json").read_text())["rows"]
    assert first[2]["told"] == [
        {"target": "", "predicted": "=b", "probability": 0.8, "label": "nobody", "known": False}
    ]
