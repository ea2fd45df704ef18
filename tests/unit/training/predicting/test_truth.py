"""Labels of data in the words of what a model predicts."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.column_types import number_of
from training.predicting.targets import Target
from training.predicting.truth import Value, named_places, truth_of, written

CLASSES = Target("rich", ("yes", "no"))


def test_classes_go_by_name_and_unknown_ones_are_counted() -> None:
    found = truth_of(["no", "maybe", None, "yes", "maybe"], CLASSES)
    assert found.labels.tolist() == [1, -1, -1, 0, -1]
    assert found.known.tolist() == [True, False, False, True, False]
    assert found.counts == {
        "known": 2,
        "unknown": 2,
        "missing": 1,
        "unknown_values": [{"name": "maybe", "rows": 2}],
        "unknown_classes": 1,
    }
    assert not found.other_type


def test_a_number_is_the_class_that_is_written_so_however_it_is_written() -> None:
    found = truth_of([1.0, 2.0, 3.5, None], Target("stars", ("2", "1.0", "x")))
    assert found.labels.tolist() == [1, 0, -1, -1]
    assert found.unknown == {"3.5": 1}
    assert not found.other_type
    assert truth_of([1.5, 2.5], CLASSES).other_type


def test_numbers_are_read_from_text_and_what_is_none_is_counted() -> None:
    told: list[Value] = ["3", "2,5", "many", None, 7.0]
    found = truth_of(told, Target("pay"))
    np.testing.assert_array_equal(found.labels, [3.0, 2.5, np.nan, np.nan, 7.0])
    assert found.unknown == {"many": 1}
    assert found.counts["missing"] == 1
    assert truth_of(["yes", "no"], Target("pay")).other_type


def test_nothing_at_all_is_no_other_type() -> None:
    found = truth_of([None, None], CLASSES)
    assert not found.other_type
    assert found.counts["missing"] == 2


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3.0), ("-1e3", -1000.0), ("3,14", 3.14), ("1,234", None), ("", None), ("1e999", None)],
)
def test_what_a_number_is(text: str, number: float | None) -> None:
    assert number_of(text) == number


def test_a_name_comes_before_a_number_that_is_the_same() -> None:
    assert named_places(["1.0", "1"]) == {1.0: 0, "1.0": 0, "1": 1}
    assert (written(3.0), written(0.1), written("x")) == ("3", "0.1", "x")
