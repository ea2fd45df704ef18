"""Pairs of texts: read, counted, split, and as a model is shown them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from tests.parity.text import tokenizers as known
from tests.small import TOKENIZER
from training.data.inputs import encoded
from training.data.labelled import labelled_split
from training.data.packing import documents
from training.data.readers import open_reader
from training.data.text_tokenizer import shortened
from training.errors import TrainingError

FIELDS = {"text_field": "premise", "pair_field": "hypothesis", "label_field": "label"}
ROWS: list[dict[str, Any]] = [
    {"premise": f"a man {n} walks", "hypothesis": f"somebody {n} moves", "label": "yes"}
    if n % 2
    else {"premise": f"a dog {n} sleeps", "hypothesis": f"it {n} runs far away", "label": "no"}
    for n in range(40)
]


def as_csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["premise", "hypothesis", "label"])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


FORMATS = [(as_csv, "pairs.csv"), (as_jsonl, "pairs.jsonl"), (as_parquet, "pairs.parquet")]


@pytest.mark.parametrize(("write", "name"), FORMATS, ids=["csv", "jsonl", "parquet"])
def test_both_texts_of_a_pair_are_kept(prepared: Any, write: Any, name: str) -> None:
    about = prepared(write(ROWS), name, **FIELDS)
    assert (about["kind"], about["text_field"], about["pair_field"]) == (
        "text",
        "premise",
        "hypothesis",
    )
    assert about["counts"]["characters"] == sum(
        len(row["premise"]) + len(row["hypothesis"]) for row in ROWS
    )
    assert about["counts"]["unpaired"] == 0
    found = []
    for split in about["splits"]:
        examples = labelled_split(prepared.out / "dataset", split, about)
        assert examples is not None
        found += examples.rows
    assert len(found) == len(ROWS)
    for row in found:
        given = ROWS[row["id"]]
        assert (row["text"], row["text_pair"]) == (given["premise"], given["hypothesis"])
    preview = json.loads((prepared.out / "dataset" / "preview.json").read_text())
    assert all("text_pair" in one for one in preview["documents"])


def test_the_second_text_is_not_taken_for_the_first(prepared: Any) -> None:
    """It is the longer one, and would be found as the column with most text."""
    rows = [{"a": f"short {n}", "b": f"a much longer text {n}"} for n in range(30)]
    about = prepared(as_jsonl(rows), pair_field="b")
    assert (about["text_field"], about["pair_field"]) == ("a", "b")


def test_rows_without_a_second_text_are_left_out_and_counted(prepared: Any) -> None:
    rows = [*ROWS, ROWS[0] | {"hypothesis": ""}, ROWS[1] | {"hypothesis": "  "}]
    about = prepared(as_csv(rows), "pairs.csv", **FIELDS)
    assert about["counts"]["unpaired"] == 2
    assert about["counts"]["documents"] == len(ROWS)
    assert "2 rows without a second text were left out." in [
        one["message"] for one in about["warnings"]
    ]


def test_pairs_are_copies_only_when_both_texts_are(prepared: Any) -> None:
    again = [
        {"premise": row["premise"], "hypothesis": "another", "label": "no"} for row in ROWS[:5]
    ]
    about = prepared(as_jsonl([*ROWS, *again, ROWS[3]]), **FIELDS)
    assert about["counts"]["duplicates"] == 1


@pytest.mark.parametrize(
    ("fields", "code", "params"),
    [
        ({"pair_field": "guess"}, "pair_column_missing", {"column": "guess"}),
        ({"pair_field": "premise"}, "pair_column_taken", {"column": "premise"}),
        (
            {"pair_field": "label", "label_field": "label"},
            "pair_column_taken",
            {"column": "label"},
        ),
    ],
)
@pytest.mark.parametrize(("write", "name"), FORMATS, ids=["csv", "jsonl", "parquet"])
def test_a_column_that_cannot_be_the_second_text_is_refused(
    tmp_path: Path, write: Any, name: str, fields: dict[str, str], code: str, params: Any
) -> None:
    content = write(ROWS)
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TrainingError) as caught:
        open_reader(path, text_field="premise", **fields)
    assert (caught.value.code, caught.value.field) == (code, "pair_field")
    assert caught.value.params.items() >= params.items()


def test_a_second_text_that_is_a_number_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(as_jsonl([*ROWS[:2], ROWS[2] | {"hypothesis": 3}]))
    with pytest.raises(TrainingError) as caught:
        list(open_reader(path, text_field="premise", pair_field="hypothesis"))
    assert caught.value.code == "json_text_not_string"
    assert caught.value.params["line"] == 3


def test_a_column_without_any_second_text_is_refused(prepared: Any) -> None:
    with pytest.raises(TrainingError) as caught:
        prepared(as_csv([row | {"hypothesis": ""} for row in ROWS]), "pairs.csv", **FIELDS)
    assert (caught.value.code, caught.value.field) == ("pairs_none", "pair_field")


def test_a_column_that_looks_like_the_second_text_is_named_and_left_alone(prepared: Any) -> None:
    about = prepared(as_jsonl(ROWS), text_field="premise", label_field="label")
    assert about["pair_field"] == ""
    said = [one for one in about["warnings"] if one["code"] == "warning_maybe_pairs"]
    assert [one["params"] for one in said] == [{"column": "premise", "partner": "hypothesis"}]
    for fields in (FIELDS, {"text_field": "hypothesis"}):
        other = prepared(as_jsonl(ROWS), **fields)
        assert "warning_maybe_pairs" not in [one["code"] for one in other["warnings"]]


def test_a_language_model_reads_both(prepared: Any) -> None:
    prepared(as_jsonl(ROWS), **FIELDS)
    first, _offset = next(documents(prepared.out / "dataset" / "train.jsonl"))
    assert first.count("\n") == 1
    assert first in {f"{row['premise']}\n{row['hypothesis']}" for row in ROWS}


# --- as a model is shown them ---------------------------------------------------------------------

TEXTS = [
    ("so it goes", "a b"),
    ("a", "so it goes, and so it went on and on, and so it went"),
    ("so it goes, and so it went on and on, and so it went", "a b c"),
    ("so it goes, and so it went on and on", "and so it went on and on, and so it went"),
    ("and so it went on and on, and so it went", "so it goes, and so it went on and on"),
]


@pytest.mark.parametrize("name", ["wordpiece", "wordpiece-cased", "roberta"])
@pytest.mark.parametrize("most", [128, 16, 15, 11, 10])
def test_a_pair_has_the_ids_and_types_that_hugging_face_gives_it(
    name: str, most: int, tmp_path: Path
) -> None:
    tokenizer = known()[name]
    tokenizer.save(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    theirs.enable_truncation(most, strategy="longest_first")
    for first, second in TEXTS:
        expected = theirs.encode(first, second)
        ids, types = tokenizer.encode_pair(first, second, most)
        assert ids == expected.ids
        if tokenizer.types_differ:
            assert types == expected.type_ids
        else:
            # transformers gives RoBERTa, which has one type, zeros.
            assert not any(types)
        assert (ids, types) == encoded(tokenizer, {"text": first, "text_pair": second}, most)


def test_a_model_that_knows_no_pairs_sees_a_line_s_end_between() -> None:
    ids, types = TOKENIZER.encode_pair("so it goes", "a b")
    assert TOKENIZER.decode(ids) == "so it goes\na b"
    assert not any(types)


@pytest.mark.parametrize(
    ("first", "second", "most", "kept"),
    [
        (3, 4, 7, (3, 4)),
        (3, 9, 8, (3, 5)),
        (9, 3, 8, (5, 3)),
        (9, 8, 7, (4, 3)),
        (8, 9, 7, (3, 4)),
        (5, 5, 0, (0, 0)),
    ],
)
def test_the_longer_text_gives_first(
    first: int, second: int, most: int, kept: tuple[int, int]
) -> None:
    assert shortened(first, second, most) == kept
