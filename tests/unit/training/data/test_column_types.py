"""Columns' types: missing values, numbers, categories, and what is left out with its reason."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.column_statistics import BINS, describe_numbers
from training.data.column_types import (
    MISSING,
    column_of,
    find_type,
    numbers,
    numbers_of,
    tidy,
)
from training.data.labels import MAX_LABEL


def column(values, name="x", **options):
    return column_of(name, pa.chunked_array([tidy(pa.array(values, pa.string()))]), **options)


def found(values, name="x", **options):
    one = column(values, name, **options)
    finding = find_type(one, numbers_of(one))
    return finding.type, finding.reason


# --- missing values -------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [*MISSING, " ? ", "N/A", "NaN", "Null", "\u3000", "\t-\t"])
def test_what_is_written_for_nothing_is_missing(written: str) -> None:
    assert tidy(pa.array([written, "a"])).to_pylist() == [None, "a"]


@pytest.mark.parametrize("written", ["0", "no", "unknown", "nothing", "N", "A", "?!", "n a"])
def test_what_may_mean_something_is_kept(written: str) -> None:
    assert tidy(pa.array([written])).to_pylist() == [written]


def test_equal_values_are_equal_however_they_are_written() -> None:
    one = column([" State-gov", "State-gov ", "Cafe\u0301", "Caf\u00e9", None])
    assert one.values.to_pylist() == ["State-gov", "Caf\u00e9"]
    assert one.codes.tolist() == [0, 0, 1, 1, -1]
    assert one.counts.tolist() == [2, 2]
    assert (one.missing, one.known) == (1, 4)


def test_long_values_are_cut_and_stay_different() -> None:
    first, second = "x" * 5000 + "a", "x" * 5000 + "b"
    cut = tidy(pa.array([first, second, first, "x" * MAX_LABEL])).to_pylist()
    assert cut[0] == cut[2] != cut[1]
    assert {len(value) for value in cut[:3]} == {MAX_LABEL + 1}
    assert cut[3] == "x" * MAX_LABEL


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "number"),
    [
        *[("1", 1), ("-2.5", -2.5), ("+3", 3), (".5", 0.5), ("5.", 5), ("1e3", 1000)],
        *[("1E-3", 0.001), ("-0", 0), ("007", 7)],
        *[("1,5", None), ("1 000", None), ("1_000", None), ("0x10", None), ("45%", None)],
        *[("$3", None), ("inf", None), ("-Infinity", None), ("1e999", None), ("e5", None)],
        *[("", None), ("１", None), ("1.2.3", None), ("--5", None)],
    ],
)
def test_what_is_a_number(written: str, number: float | None) -> None:
    assert numbers(pa.array([written])).to_pylist() == [number]


def test_a_decimal_comma_is_one_where_commas_part_no_columns() -> None:
    values = pa.array(["3,14", "-,5", "1,2,3", "7", "2.5", "1e2"])
    assert numbers(values, comma=True).to_pylist() == [3.14, -0.5, None, 7, 2.5, 100]
    assert numbers(values).to_pylist() == [None, None, None, 7, 2.5, 100]


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["3,14", "2,72", "1,41"], "number"),
        (["1,234", "12,5", "3"], "number"),
        (["0,123", "0,456", "0,789"], "number"),
        # Thousands, perhaps: read as neither.
        (["1,234", "2,345", "3,456"], "ignored"),
        (["1,234,567", "2,345", "12"], "ignored"),
    ],
)
def test_a_comma_that_may_set_thousands_apart_is_not_guessed(values, type) -> None:
    assert found(values, comma=True)[0] == type


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_is_read_exactly(value: float) -> None:
    assert numbers(pa.array([repr(value)])).to_pylist() == [value]


@given(st.text())
def test_any_text_is_read_as_something(text: str) -> None:
    cells = tidy(pa.array([text.encode("utf-8", "replace").decode()]))
    [value] = numbers(cells).to_pylist()
    assert value is None or math.isfinite(value)


# --- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["1.5", "2.5", "3.5"], "number"),
        ([str(n) for n in range(11)] * 20, "number"),
        ([str(n) for n in range(10)] * 10, "category"),
        # Too few of each to be codes.
        ([str(n) for n in range(10)] * 9, "number"),
        (["0", "1"], "category"),
        (["true", "false", None], "category"),
        (["red", "blue", "red"], "category"),
        # Postal codes and other keys: the zero would be lost.
        (["01067", "10115", "20095"] * 3, "category"),
        (["0.5", "0", "-0.25"], "number"),
        # Slips among numbers.
        ([str(n) for n in range(97)] + ["unknown"] * 3, "number"),
        ([str(n) for n in range(30)] * 2 + ["low"] * 20 + ["high"] * 20, "category"),
        (["a", "b"], "category"),
    ],
)
def test_types_of_use(values: list[str | None], type: str) -> None:
    assert found(values) == (type, "")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, "", "?"], "empty"),
        (["7"] * 5, "constant"),
        (["a", None, "a"], "constant"),
        ([str(n) for n in range(100, 120)], "running"),
        ([str(n) for n in reversed(range(20))], "running"),
        ([f"customer {n}" for n in range(5)], "different"),
        ([f"a-{n % 60}" for n in range(100)], "many"),
        ([f"v{n % 1001}" for n in range(9009)], "many"),
        ([f"one two three four five {n % 60}" for n in range(100)], "text"),
        (["x" * 300, "y", "y"], "text"),
        ([f"2024-01-{day:02d}" for day in range(1, 32)] * 5, "dates"),
        ([f"2024-01-{day:02d} 10:00:00" for day in range(1, 32)], "dates"),
    ],
)
def test_what_is_left_out_says_why(values: list[str | None], reason: str) -> None:
    assert found(values) == ("ignored", reason)


@pytest.mark.parametrize("name", ["id", "ID", "customer_id", "index", "序号"])
def test_numbers_that_name_rows_are_no_inputs(name: str) -> None:
    assert found(["17", "4", "99", "23"], name) == ("ignored", "running")


def test_numbers_with_a_name_like_one_that_are_not_all_different_are_used() -> None:
    assert found([str(n // 2) for n in range(100)], "id") == ("number", "")


@pytest.mark.parametrize("name", ["#1", "Unnamed: 0"])
def test_an_index_that_was_saved_along_is_no_input(name: str) -> None:
    assert found(["0", "1", "2", "3"], name) == ("ignored", "running")
    assert found(["0", "1", "2", "3"], "wheels") == ("number", "")


def test_lists_are_left_out_whatever_else_is_there() -> None:
    assert found(["1", "2"], nested=True) == ("ignored", "nested")


# --- numbers in numbers ---------------------------------------------------------------------------


@given(
    st.lists(
        st.floats(allow_nan=True, allow_infinity=False, width=64) | st.integers(-1000, 1000),
        min_size=1,
        max_size=60,
    )
)
def test_a_histogram_counts_every_number_once(values: list[float]) -> None:
    about = describe_numbers(np.array(values, np.float64))
    known = [value for value in values if not math.isnan(value)]
    if not known:
        assert about == {"statistics": None, "histogram": None}
        return
    histogram, statistics = about["histogram"], about["statistics"]
    assert sum(histogram["counts"]) == len(known)
    assert len(histogram["counts"]) <= BINS
    assert histogram["from"] <= min(known) <= max(known) <= histogram["to"]
    assert (statistics["minimum"], statistics["maximum"]) == (min(known), max(known))
    every = [*statistics["quantiles"].values(), statistics["mean"], statistics["std"]]
    assert all(math.isfinite(value) for value in every)


def test_statistics_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(40, 12, 1000)
    about = describe_numbers(np.append(values, np.nan))["statistics"]
    assert about["mean"] == pytest.approx(values.mean())
    assert about["std"] == pytest.approx(values.std())
    assert about["quantiles"]["50"] == pytest.approx(np.median(values))


def test_whole_numbers_lie_between_halves() -> None:
    assert describe_numbers(np.array([3.0, 3, 5]))["histogram"] == {
        "from": 2.5,
        "to": 5.5,
        "counts": [2, 0, 1],
    }
    # 74 ages: four in each range, so that none is higher for having one more.
    about = describe_numbers(np.arange(17.0, 91))["histogram"]
    assert set(about["counts"][:-1]) == {4}
