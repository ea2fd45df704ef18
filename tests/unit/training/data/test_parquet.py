"""Parquet: its texts and labels, and what is said of one that cannot be used."""

import datetime
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.readers import detect_format, open_reader
from training.errors import TrainingError


def table(**columns) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=7)
    return file.getvalue()


@pytest.fixture
def put(tmp_path):
    def put(content, name="upload.parquet"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return put


def refusal(path, **settings) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        list(open_reader(path, "parquet", **settings))
    return caught.value


DAY = datetime.date(2026, 1, 2)
TAGGED = {"text": ["a text"], "tags": [["x"]]}
TEXTS = [f"Text number {number}, long enough to be one." for number in range(40)]


def test_texts_come_in_order_with_their_place(put) -> None:
    path = put(table(number=list(range(40)), text=TEXTS))
    reader = open_reader(path)
    assert reader.format == "parquet"
    assert (reader.text_field, reader.columns) == ("text", ["number", "text"])
    assert [(one.id, one.text, one.label) for one in reader] == [
        (place, text, None) for place, text in enumerate(TEXTS)
    ]
    assert reader.bytes_read == path.stat().st_size


def test_it_is_known_by_its_content_whatever_it_is_called(put) -> None:
    assert detect_format(put(table(text=TEXTS), "table.csv"), "table.csv") == "parquet"


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_kind_of_string_is_text(put, kind) -> None:
    path = put(table(words=pa.array(TEXTS, pa.string()).cast(kind)))
    assert [one.text for one in open_reader(path)] == TEXTS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", " b ", "", None], ["a", "b", None, None]),
        ([1, 2, None, 3], ["1", "2", None, "3"]),
        ([True, False, True, None], ["true", "false", "true", None]),
        ([DAY, None, DAY, DAY], ["2026-01-02", None, "2026-01-02", "2026-01-02"]),
    ],
    ids=["text", "numbers", "truths", "dates"],
)  # fmt: skip
def test_labels_are_as_json_writes_them(put, values, expected) -> None:
    path = put(table(text=TEXTS[:4], kind=values))
    assert [one.label for one in open_reader(path, label_field="kind")] == expected


def test_a_missing_text_is_an_empty_one(put) -> None:
    path = put(table(text=["One text.", None, "Another text."]))
    assert [one.text for one in open_reader(path)] == ["One text.", "", "Another text."]


@pytest.mark.parametrize(
    ("columns", "asked", "code"),
    [
        ({"number": [1, 2, 3]}, {}, "text_column_not_found"),
        ({"number": [1], "text": ["a text"]}, {"text_field": "number"}, "parquet_text_not_string"),
        ({"text": ["a text"]}, {"text_field": "body"}, "text_column_missing"),
        ({"text": ["a text"]}, {"label_field": "kind"}, "label_column_missing"),
        ({"text": ["a text"]}, {"label_field": "text"}, "label_column_is_text"),
        (TAGGED, {"label_field": "tags"}, "parquet_label_not_simple"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_named(put, columns, asked, code) -> None:
    assert refusal(put(table(**columns)), **asked).code == code


@pytest.mark.parametrize("keep", [5, 60, 300, -1])
def test_a_damaged_file_is_refused(put, keep) -> None:
    whole = table(text=TEXTS)
    assert refusal(put(whole[:keep])).code == "parquet_broken"


def test_damaged_pages_are_refused(put) -> None:
    content = bytearray(table(text=TEXTS))
    content[4:60] = b"\xff" * 56
    assert refusal(put(bytes(content))).code == "parquet_broken"


def test_it_gives_the_same_data_as_the_same_texts_elsewhere(prepared) -> None:
    labels = [("good", "bad")[number % 2] for number in range(40)]
    lines = [json.dumps({"text": t, "label": n}) for t, n in zip(TEXTS, labels, strict=True)]
    other = prepared("\n".join(lines), label_field="label")
    mine = prepared(table(text=TEXTS, label=labels), "a.parquet", label_field="label")
    assert mine["format"] == "parquet"
    assert mine["sha256"] == other["sha256"]
    assert mine["labels"]["classes"] == other["labels"]["classes"]
