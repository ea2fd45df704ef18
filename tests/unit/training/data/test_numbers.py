"""Numbers as labels: told from classes, checked, and split so that low and high are everywhere."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import archive, encoded, picture
from training.data.labelled import (
    class_names,
    labelled_split,
    number_name,
    numbered_split,
    read_about,
)
from training.data.labels import Labels
from training.data.numbers import as_numbers, divide, few_numbers, strata
from training.errors import TrainingError


def labels_of(*values: str) -> Labels:
    labels = Labels("score")
    for value in values:
        labels.add(value)
    return labels


def rows(values: Any) -> str:
    """JSON Lines of a text for each value."""
    return "".join(
        json.dumps({"text": f"text number {n}", "score": value}) + "\n"
        for n, value in enumerate(values)
    )


def read(folder) -> dict[str, list[dict]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }


def refused(prepared, content, **settings) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        prepared(content, label_field="score", **settings)
    assert not (prepared.out / "dataset").exists()
    return caught.value


@pytest.mark.parametrize(
    ("values", "are_numbers"),
    [
        (["1.5", "2", "-3e1"] * 20, True),  # a fraction is no name
        ([str(n) for n in range(80)], True),  # nor is one of so many
        ([str(n % 10) for n in range(80)], False),  # digits
        (["0.5", "1.5"] * 20, False),  # two thresholds are two names
        (["1.5", "2.5", "good"] * 20, False),
        (["1.5", "2.5", "3", "n/a", "?"] * 20, True),
        (["3,5", "4,25", "1,234"] * 20, True),  # one of them tells how all are written
        ([f"{n},234" for n in range(1, 80)], False),
        ([f"0{n}067" for n in range(1000, 1080)], False),  # postal codes
        (["1_000", "2_000", "3.5"] * 20, False),  # Python's own spelling
    ],
)
def test_what_could_be_no_class_is_a_number(values: list[str], are_numbers: bool) -> None:
    found = as_numbers(labels_of(*values), "auto")
    assert (found is not None) == are_numbers
    assert as_numbers(labels_of(*values), "classes") is None


def test_what_is_asked_for_is_what_they_are() -> None:
    found = as_numbers(labels_of("1", "2", "NA", "1", ".5", "+2.", "1e3"), "number")
    assert found is not None
    assert found.tolist()[:2] + found.tolist()[3:] == [1, 2, 1, 0.5, 2, 1000]
    assert np.isnan(found[2])
    german = as_numbers(labels_of("3,5", "1,234", "-2"), "number")
    assert german is not None
    assert german.tolist() == [3.5, 1.234, -2]


@pytest.mark.parametrize(
    ("values", "code", "count", "value"),
    [
        (["1", "two", "3", "two"], "labels_no_numbers", 2, "two"),
        (["1", "nan", "3", "-inf", "Infinity"], "numbers_not_finite", 3, "nan"),
        (["1", "1e400", "3"], "numbers_not_finite", 1, "1e400"),
        (["1", "-2e30", "3"], "numbers_not_finite", 1, "-2e30"),
    ],
)
def test_what_is_no_number_is_refused_and_counted(
    values: list[str], code: str, count: int, value: str
) -> None:
    with pytest.raises(TrainingError) as caught:
        as_numbers(labels_of(*values), "number")
    assert caught.value.code == code
    assert caught.value.params == {"examples": count, "value": value}


def test_numbers_come_with_their_figures_and_stand_in_the_splits(prepared) -> None:
    values = [round(-4 + 8 * n / 199, 2) for n in range(200)]
    about = prepared(rows(values), label_field="score", validation_percent=10, test_percent=20)
    labels = about["labels"]
    assert (labels["field"], labels["type"], labels["different"]) == ("score", "number", 200)
    assert "classes" not in labels
    found = read(prepared.out / "dataset")
    for split, share in {"train": 140, "validation": 20, "test": 40}.items():
        assert len(found[split]) == share
        assert all(row["label"] == values[row["id"]] for row in found[split])
    train = [row["label"] for row in found["train"]]
    assert labels["statistics"]["minimum"] == min(train)
    assert labels["statistics"]["mean"] == pytest.approx(np.mean(train))
    assert sum(labels["histogram"]["counts"]) == 140
    assert [one["code"] for one in about["warnings"]][-1] == "warning_labels_are_numbers"
    preview = json.loads((prepared.out / "dataset" / "preview.json").read_text())
    assert all(one["label"] == values[one["id"]] for one in preview["documents"])


def test_each_tenth_of_the_range_is_in_every_split(prepared) -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 400).tolist()
    prepared(rows(values), label_field="score", validation_percent=10, test_percent=20)
    edges = np.quantile(values, np.linspace(0, 1, 11))
    for split, wanted in {"train": 28, "validation": 4, "test": 8}.items():
        found = [row["label"] for row in read(prepared.out / "dataset")[split]]
        for low, high in pairwise(edges):
            assert abs(sum(low <= one <= high for one in found) - wanted) <= 1


def test_copies_go_together_and_contradictions_are_counted(prepared) -> None:
    lines = rows([n / 7 for n in range(100)])
    copies = [json.loads(line) for line in lines.splitlines()[:30]]
    for number, copy in enumerate(copies):
        # A third says another number; the others write the same one otherwise.
        copy["score"] = copy["score"] + 5 if number < 10 else f"{copy['score']!r}e0"
    content = lines + "".join(json.dumps(copy) + "\n" for copy in copies)
    about = prepared(content, label_field="score", remove_duplicates=False)
    assert about["labels"]["conflicts"] == 10
    where: dict[str, set[str]] = {}
    for split, found in read(prepared.out / "dataset").items():
        for row in found:
            where.setdefault(row["text"], set()).add(split)
    assert len(where) == 100
    assert all(len(splits) == 1 for splits in where.values())
    about = prepared(content, label_field="score")
    assert about["counts"]["duplicates"] == 30
    kept = [row for found in read(prepared.out / "dataset").values() for row in found]
    assert sorted(row["label"] for row in kept) == [n / 7 for n in range(100)]


def test_examples_without_a_number_are_counted_and_left_out(prepared) -> None:
    about = prepared(rows([None, "n/a", *[n / 3 for n in range(60)]]), label_field="score")
    assert about["labels"]["unlabelled"] == 2
    assert sum(len(found) for found in read(prepared.out / "dataset").values()) == 60
    assert "warning_unlabelled" in [one["code"] for one in about["warnings"]]


def test_what_cannot_be_learned_is_refused(prepared) -> None:
    constant = refused(prepared, rows([2.5] * 50), label_type="number")
    assert (constant.code, constant.params) == ("numbers_constant", {"value": "2.5"})
    few = refused(prepared, rows([1.5, 2.5, *["na"] * 30]), label_type="number")
    assert (few.code, few.params) == ("numbers_too_few", {"examples": 2, "needed": 3})
    text = refused(prepared, rows(["good", "bad"] * 20), label_type="number")
    assert (text.code, text.field) == ("labels_no_numbers", "label_type")


def test_classes_that_may_be_amounts_are_pointed_out(prepared) -> None:
    about = prepared(rows([str(20 + n % 40) for n in range(400)]), label_field="score")
    assert len(about["labels"]["classes"]) == 40
    assert "warning_classes_are_numbers" in [one["code"] for one in about["warnings"]]
    about = prepared(
        rows([str(20 + n % 40) for n in range(400)]), label_field="score", label_type="number"
    )
    assert about["labels"]["different"] == 40
    assert "warning_labels_are_numbers" not in [one["code"] for one in about["warnings"]]


def test_pairs_have_numbers_too(prepared) -> None:
    content = "".join(
        json.dumps({"text": "the same", "reply": f"reply {n}", "score": n / 8}) + "\n"
        for n in range(60)
    )
    prepared(content, label_field="score", pair_field="reply")
    for found in read(prepared.out / "dataset").values():
        assert all(row["label"] == int(row["text_pair"].split()[1]) / 8 for row in found)


def test_a_list_gives_images_their_numbers(prepared) -> None:
    files = {f"{n}.png": encoded(picture(n)) for n in range(40)}
    listed = "file,value\n" + "".join(f"{n}.png,{n / 4}\n" for n in range(40))
    about = prepared(archive({**files, "labels.csv": listed}), "upload.zip", test_percent=20)
    assert (about["labels"]["field"], about["labels"]["type"]) == ("value", "number")
    for found in read(prepared.out / "dataset").values():
        assert all(row["label"] == int(row["name"][:-4]) / 4 for row in found)


def test_who_wants_classes_or_numbers_gets_these_or_is_told(prepared) -> None:
    prepared(rows([n / 3 for n in range(60)]), label_field="score")
    folder = prepared.out / "dataset"
    about = read_about(folder)
    assert number_name(about) == "score"
    split = numbered_split(folder, "validation", about)
    assert split is not None
    assert split.labels.dtype == np.float64
    for ask in (lambda: class_names(about), lambda: labelled_split(folder, "train", about)):
        with pytest.raises(TrainingError) as caught:
            ask()
        assert caught.value.code in ("labels_are_numbers", "dataset_without_labels")
    prepared(rows(["good", "bad"] * 30), label_field="score")
    with pytest.raises(TrainingError, match="classes") as caught:
        numbered_split(folder, "train", read_about(folder))
    assert caught.value.code == "labels_are_classes"


@given(
    count=st.integers(3, 300),
    validation=st.floats(0.1, 50),
    test=st.sampled_from([0.0, 5.0, 25.0, 49.0]),
    seed=st.integers(0, 99),
)
def test_the_whole_has_the_shares_asked_for(
    count: int, validation: float, test: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    numbers, drawn = random.normal(size=count), random.permutation(count).astype(np.uint64)
    shares = [share for share in (validation, test, 100 - validation - test) if share]
    parts = strata(numbers, drawn, int(np.ceil(100 / min(shares))))
    found = np.bincount(divide(drawn, parts, validation, test), minlength=3)
    assert found[0] >= 1
    assert found[1] >= 1
    assert (found[2] >= 1) == (test > 0)
    for held_out, share in ((found[1], validation), (found[2], test)):
        assert abs(held_out - count * share / 100) <= 1


@given(
    count=st.integers(2, 200),
    wanted=st.integers(1, 250),
    seed=st.integers(0, 99),
)
def test_few_numbers_are_spread_over_all(count: int, wanted: int, seed: int) -> None:
    numbers = np.random.default_rng(seed).integers(0, 20, count).astype(np.float64)
    places = few_numbers(numbers, wanted, seed)
    assert len(set(places.tolist())) == min(count, wanted)
    # One of each of as many parts: a half of them, up to one, lies below the median.
    if wanted < count:
        order = np.sort(numbers)
        chosen = np.sort(numbers[places])
        starts = np.arange(wanted + 1) * count // wanted
        for place, (low, high) in enumerate(pairwise(starts)):
            assert order[low] <= chosen[place] <= order[high - 1]


def test_equal_numbers_are_spread_by_chance_and_parts_have_one_size() -> None:
    drawn = np.random.default_rng(0).permutation(100)
    parts = strata(np.zeros(100), drawn, 10)
    assert np.bincount(parts).tolist() == [10] * 10
    assert (np.argsort(drawn)[:10] == np.sort(np.argsort(drawn)[:10])).sum() < 10
    assert set(parts[np.argsort(drawn)[:10]]) == {0}
    assert strata(np.arange(12.0), np.arange(12), 20).max() == 0
