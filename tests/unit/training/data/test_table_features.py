"""What a model is shown of a row, against plain loops; and what becomes of new tables."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.small_tables import Row, people, table_dataset
from training.data.crosses import OTHER, Cross, find_cross
from training.data.table_features import (
    FARTHEST,
    NumberFeature,
    TableFeatures,
    find_features,
    find_number,
    read_features,
)
from training.data.tables import MISSING, UNSEEN, Table, read_columns, read_table
from training.errors import TrainingError

AGE = NumberFeature("age", 40.0, 10.0, (20.0, 30.0), (10.0, 20.0, 60.0))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_dataset(tmp_path_factory.mktemp("people"), people())


def split(dataset: Path, name: str) -> Table:
    found = read_table(dataset, name)
    assert found is not None
    return found


def features_of(dataset: Path, *crosses: list[str], least: int = 1) -> TableFeatures:
    (target,) = (one for one in read_columns(dataset) if one.is_target)
    train = split(dataset, "train")
    return find_features(train, target, buckets=5, pieces=4, crosses=crosses, most=100, least=least)


def test_a_number_is_standardised_and_its_way_between_knots_told() -> None:
    values = np.array([10, 15, 40, 80, np.nan, 1e30], np.float32)
    found = AGE.encoded(values)
    assert found[:, 0].tolist() == [-3, -2.5, 0, 4, 0, FARTHEST]
    assert found[:, 1].tolist() == [0, 0, 0, 0, 1, 0]
    assert found[:, 2:].tolist() == [[0, 0], [0.5, 0], [1, 0.5], [1, 1], [0, 0], [1, 1]]


def test_buckets_part_at_their_boundaries_and_a_missing_value_has_its_own() -> None:
    values = np.array([np.nan, 5, 20, 29.9, 30, 99], np.float32)
    assert AGE.buckets(values).tolist() == [MISSING, 1, 2, 2, 3, 3]
    assert AGE.rows == 4


def test_buckets_and_means_are_those_of_the_training_rows(dataset: Path) -> None:
    (age,) = features_of(dataset).numbers
    values = split(dataset, "train").numbers[:, 0]
    there = values[~np.isnan(values)].astype(np.float64)
    assert age.mean == pytest.approx(there.mean())
    assert age.deviation == pytest.approx(there.std())
    counts = Counter(age.buckets(values).tolist())
    assert counts.pop(MISSING) == np.isnan(values).sum()
    assert sorted(counts) == [1, 2, 3, 4, 5]
    assert max(counts.values()) - min(counts.values()) <= 3
    assert (age.knots[0], age.knots[-1]) == (there.min(), there.max())


def test_few_values_have_a_piece_from_each_to_the_next() -> None:
    values = np.array([3.0, 1.0, 7.0, 3.0, np.nan, 1.0, 3.0])
    assert find_number("n", values, 5, 128).knots == (1.0, 3.0, 7.0)
    assert find_number("n", np.array([0.0, 1.0, 1.0]), 5, 128).pieces == 1
    assert find_number("n", np.array([2.0, 2.0]), 5, 128).pieces == 0


@pytest.mark.parametrize("different", [1, 2, 7, 52, 128, 129, 130, 1000])
def test_there_are_as_many_pieces_as_the_form_tells(different: int) -> None:
    """Before a run, the portal knows of a column only how many values differ."""
    values = np.random.default_rng(different).permutation(np.arange(different) ** 2.0)
    found = find_number("n", values, 20, 128)
    assert found.pieces == max(0, min(128, different - 1))


def test_values_that_many_rows_share_make_fewer_buckets_but_knots_go_on(tmp_path: Path) -> None:
    rows = [row | {"gain": 0 if n % 10 else 1000 + n} for n, row in enumerate(people(300))]
    gain = features_of(table_dataset(tmp_path, rows)).numbers[1]
    assert gain.name == "gain"
    assert gain.rows == 2 + len(gain.boundaries)
    assert len(gain.boundaries) <= 1
    assert gain.pieces == 4
    assert all(knot >= 1000 for knot in gain.knots[1:])


def test_a_column_of_nothing_is_nothing_to_learn_from() -> None:
    empty = NumberFeature("gone", 0.0, 1.0, (), ())
    values = np.full(3, np.nan, np.float32)
    assert empty.encoded(values).tolist() == [[0, 1]] * 3
    assert empty.buckets(values).tolist() == [MISSING] * 3


def test_a_cross_lists_the_combinations_of_the_training_rows(dataset: Path) -> None:
    features = features_of(dataset, ["job", "town"], least=3)
    train = split(dataset, "train")
    jobs, towns = (train.categories[:, place].tolist() for place in (0, 1))
    counts = Counter(zip(jobs, towns, strict=True))
    (cross,) = features.crosses
    assert cross.columns == ("job", "town")
    assert set(cross.combinations) == {pair for pair, count in counts.items() if count >= 3}
    sizes = [counts[pair] for pair in cross.combinations]
    assert sizes == sorted(sizes, reverse=True)
    known = {pair: code for code, pair in enumerate(cross.combinations, start=1)}
    told = features.of(train).crosses[:, 0].tolist()
    assert told == [known.get(pair, OTHER) for pair in zip(jobs, towns, strict=True)]


def test_only_the_most_frequent_have_a_code_of_their_own() -> None:
    parts = np.array([[1, 1]] * 3 + [[2, 2]] * 2 + [[3, 3]], np.int32)
    cross = find_cross(("a", "b"), parts, most=2, least=1)
    assert cross.combinations == ((1, 1), (2, 2))
    assert cross.codes(np.array([[3, 3], [2, 2], [9, 9]], np.int32)).tolist() == [OTHER, 2, OTHER]


def test_codes_larger_than_any_that_is_listed_are_none_of_them() -> None:
    cross = Cross(("a", "b"), ((1, 0), (0, 2)))
    # Keys made with the listed codes' sizes alone would take 0 × 3 + 3 for 1 × 3 + 0.
    assert cross.codes(np.array([[0, 3], [1, 0], [0, 2]], np.int32)).tolist() == [OTHER, 1, 2]


def test_a_number_takes_part_in_a_cross_by_its_bucket(dataset: Path) -> None:
    features = features_of(dataset, ["age", "town"])
    (cross,) = features.crosses
    assert {pair[0] for pair in cross.combinations} == {0, 1, 2, 3, 4, 5}


def test_it_comes_back_from_its_file(dataset: Path, tmp_path: Path) -> None:
    features = features_of(dataset, ["job", "town"])
    features.write(tmp_path)
    assert read_features(tmp_path) == features
    told = json.loads((tmp_path / "table.json").read_text())
    assert told["classes"] == list(features.classes)
    assert told["target"] == "rich"


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"version": 2}'])
def test_without_its_file_a_checkpoint_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "table.json").write_text(content)
    with pytest.raises(TrainingError) as caught:
        read_features(tmp_path)
    assert caught.value.code == "checkpoint_without_table"


def test_a_column_that_cannot_be_crossed_is_named(dataset: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        features_of(dataset, ["job", "town"], ["job", "rich"])
    assert caught.value.code == "cross_column_unknown"
    assert caught.value.field == "features.crosses.1"
    assert caught.value.params == {"column": "rich", "known": "age, job, town"}


def test_another_table_s_columns_are_found_by_name(dataset: Path, tmp_path: Path) -> None:
    features = features_of(dataset, ["job", "town"])
    turned = [dict(reversed(row.items())) for row in people(200, seed=5, jobs=("clerk", "monk"))]
    other = split(table_dataset(tmp_path, turned), "train")
    assert [one.name for one in other.category_columns] == ["town", "job"]
    codes = features.of(other).codes
    known = {name: code for code, name in enumerate(features.categories[0].categories, start=2)}
    for row, code in zip(other.rows.tolist(), codes[:, 0].tolist(), strict=True):
        job = turned[row]["job"]
        assert code == (MISSING if not job else known.get(job, UNSEEN))
    monks = codes[:, 0] == UNSEEN
    assert monks.any()
    assert (features.of(other).crosses[monks, 0] == OTHER).all()


def test_what_a_source_does_not_have_gets_rows_behind_its_own(
    dataset: Path, tmp_path: Path
) -> None:
    features = features_of(dataset, ["job", "town"])
    other = split(table_dataset(tmp_path, people(200, jobs=("clerk", "monk"))), "train")
    more = features.extended(other, most=100, least=1)
    assert more.numbers == features.numbers
    before, after = features.categories[0], more.categories[0]
    assert after.categories == (*before.categories, "monk")
    assert more.categories[1] == features.categories[1]
    old, new = features.crosses[0].combinations, more.crosses[0].combinations
    assert new[: len(old)] == old
    assert {pair[0] for pair in new[len(old) :]} == {after.rows - 1}


def without(rows: list[Row], name: str) -> list[Row]:
    return [{key: value for key, value in row.items() if key != name} for row in rows]


@pytest.mark.parametrize(
    ("rows", "code", "columns"),
    [
        (without(people(), "town"), "table_columns_missing", "town"),
        (
            [row | {"town": n % 37} for n, row in enumerate(people())],
            "table_columns_missing",
            "town",
        ),
        (
            [row | {"pet": "cat" if n % 3 else "dog"} for n, row in enumerate(people())],
            "table_columns_new",
            "pet",
        ),
    ],
)
def test_other_columns_than_the_source_s_are_refused_by_name(
    rows: list[Row], code: str, columns: str, dataset: Path, tmp_path: Path
) -> None:
    other = split(table_dataset(tmp_path, rows), "train")
    with pytest.raises(TrainingError) as caught:
        features_of(dataset).extended(other, most=10, least=1)
    assert (caught.value.code, caught.value.params["columns"]) == (code, columns)
