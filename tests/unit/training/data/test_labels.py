"""Labelled texts: read from their column, checked, and split so that every class is everywhere."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.labels import stratify
from training.errors import TrainingError


def rows(**classes: int) -> str:
    """JSON Lines of so many texts of each class."""
    return "".join(
        json.dumps({"text": f"{name} number {n}", "label": name}) + "\n"
        for name, count in classes.items()
        for n in range(count)
    )


def read(folder) -> dict[str, list[dict]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }


def as_csv(text: str) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["kind", "words"])
    for line in text.splitlines():
        row = json.loads(line)
        writer.writerow([row["label"], row["text"]])
    return table.getvalue().encode()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_each_class_has_its_share_of_every_split(prepared, form) -> None:
    content = rows(good=60, bad=40, rare=3)
    if form == "csv":
        about = prepared(as_csv(content), "a.csv", label_field="kind", test_percent=10)
    else:
        about = prepared(content, label_field="label", test_percent=10)
    assert about["labels"]["classes"] == [
        {"name": "good", "train": 51, "validation": 3, "test": 6},
        {"name": "bad", "train": 34, "validation": 2, "test": 4},
        {"name": "rare", "train": 1, "validation": 1, "test": 1},
    ]
    for name, found in read(prepared.out / "dataset").items():
        counted = {one["name"]: one[name] for one in about["labels"]["classes"]}
        assert {k: sum(r["label"] == k for r in found) for k in counted} == counted
        assert all(row["text"].startswith(row["label"]) for row in found)
    preview = json.loads((prepared.out / "dataset" / "preview.json").read_text())
    assert all(one["text"].startswith(one["label"]) for one in preview["documents"])
    assert "warning_imbalance" in [warning["code"] for warning in about["warnings"]]


def test_without_a_label_column_nothing_changes(prepared) -> None:
    about = prepared(rows(good=20, bad=20))
    assert about["labels"] is None
    assert all("label" not in row for row in read(prepared.out / "dataset")["train"])


@given(
    counts=st.lists(st.integers(3, 60), min_size=1, max_size=5),
    validation=st.floats(0.1, 50),
    test=st.sampled_from([0.0, 5.0, 49.0]),
    seed=st.integers(0, 99),
)
def test_shares_are_those_asked_for_up_to_rounding(counts, validation, test, seed) -> None:
    classes = np.repeat(np.arange(len(counts)), counts)
    drawn = np.random.default_rng(seed).permutation(len(classes)).astype(np.uint64)
    splits = stratify(drawn, classes, validation, test)
    for place, count in enumerate(counts):
        found = np.bincount(splits[classes == place], minlength=3)
        assert found[0] >= 1
        assert found[1] >= 1
        assert (found[2] >= 1) == (test > 0)
        assert abs(found[2] - count * test / 100) <= 1
        assert found[1] <= max(1, count * validation / 100 + 1)


def test_the_split_depends_on_texts_and_seed_and_not_on_their_order(prepared) -> None:
    lines = rows(good=30, bad=30).splitlines(keepends=True)

    def splits(lines: list[str], **settings: int) -> dict[str, str]:
        prepared("".join(lines), label_field="label", **settings)
        found = read(prepared.out / "dataset")
        return {row["text"]: split for split in found for row in found[split]}

    first = splits(lines)
    assert splits(lines[::-1]) == first
    assert splits(lines, seed=1) != first


def test_copies_go_together_even_with_different_labels(prepared) -> None:
    content = rows(good=20, bad=20)
    content += "".join(
        json.dumps({"text": f"good number {n}", "label": "bad"}) + "\n" for n in range(10)
    )
    about = prepared(content, label_field="label", remove_duplicates=False)
    assert about["labels"]["conflicts"] == 10
    assert "warning_conflicts" in [warning["code"] for warning in about["warnings"]]
    where: dict[str, set[str]] = {}
    for split, found in read(prepared.out / "dataset").items():
        for row in found:
            where.setdefault(row["text"], set()).add(split)
    assert len(where) == 40
    assert all(len(splits) == 1 for splits in where.values())
    about = prepared(content, label_field="label")
    assert sum(one["train"] for one in about["labels"]["classes"]) == 36


def test_rows_without_a_label_are_counted_and_left_out(prepared) -> None:
    content = rows(good=20, bad=20) + '{"text": "who knows"}\n{"text": "nor I", "label": null}\n'
    content += '{"text": "nobody", "label": "  "}\n'
    about = prepared(content, label_field="label")
    assert about["labels"]["unlabelled"] == 3
    assert about["counts"]["documents"] == 40
    (said,) = [w for w in about["warnings"] if w["code"] == "warning_unlabelled"]
    assert said["message"].startswith("3 examples have no label")


def test_numbers_and_truths_are_labels_as_json_writes_them(prepared) -> None:
    values = [True, False, 3, 0.5]
    content = "".join(
        json.dumps({"text": f"text {n}", "label": values[n % 4]}) + "\n" for n in range(40)
    )
    about = prepared(content, label_field="label")
    assert {one["name"] for one in about["labels"]["classes"]} == {"true", "false", "3", "0.5"}


def test_rare_classes_are_refused_or_left_out_as_chosen(prepared) -> None:
    content = rows(good=20, bad=20, once=1, twice=2)
    with pytest.raises(TrainingError) as caught:
        prepared(content, label_field="label")
    assert caught.value.code == "label_rare"
    assert caught.value.params | {"label": "once", "examples": 1, "needed": 3, "others": 1} == (
        caught.value.params
    )
    about = prepared(content, label_field="label", leave_out_rare=True)
    assert [one["name"] for one in about["labels"]["classes"]] == ["bad", "good"]
    assert about["labels"]["left_out"] == [
        {"name": "once", "examples": 1},
        {"name": "twice", "examples": 2},
    ]
    labels = {r["label"] for found in read(prepared.out / "dataset").values() for r in found}
    assert labels == {"good", "bad"}


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (rows(good=20), "a.jsonl", "labels_one_class"),
        (rows(good=20, once=1), "a.jsonl", "labels_one_class"),
        (rows(**{f"c{n}": 1 for n in range(30)}), "a.jsonl", "labels_too_many"),
        ('{"text": "a", "other": 1}\n' * 9, "a.jsonl", "label_column_missing"),
        ('{"text": "a b", "label": null}\n{"text": "b c"}\n', "a.jsonl", "labels_none"),
        ('{"text": "a", "label": ["x"]}\n' * 9, "a.jsonl", "json_label_not_simple"),
        ("Only text.\n\nAnd more of it.\n\nAnd more.", "a.txt", "label_column_missing"),
        ("text,kind\na b c,x\n", "a.csv", "label_column_missing"),
    ],
)
def test_what_cannot_be_learned_is_refused(prepared, content: str, name: str, code: str) -> None:
    with pytest.raises(TrainingError) as caught:
        prepared(content, name, label_field="label", leave_out_rare=True)
    assert caught.value.code == code
    assert not (prepared.out / "dataset").exists()


def test_the_text_s_own_column_is_no_label(prepared) -> None:
    with pytest.raises(TrainingError) as caught:
        prepared(rows(good=9, bad=9), text_field="text", label_field="text")
    assert caught.value.code == "label_column_is_text"
