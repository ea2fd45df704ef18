"""Tables: types found and corrected, splits, refusals, and what a method reads of it all."""

import csv
import io
import json
import random
import shutil
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data.column_types import MISSING as MISSING_WORDS
from training.data.labelled import read_about
from training.data.packing import documents, load_blocks
from training.data.readers import tables as readers
from training.data.tables import (
    FIRST,
    MISSING,
    NO_CLASS,
    UNSEEN,
    UNSEEN_CLASS,
    read_columns,
    read_table,
)
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError

NAMES = ("id", "age", "colour", "member", "city", "note", "grade")


def people(count: int = 200, seed: int = 0) -> list[dict]:
    """Rows with a running number, numbers, categories, a constant, free text, and a target."""
    draw = random.Random(seed)
    return [
        {
            "id": number,
            "age": round(draw.uniform(18, 90), 4),
            "colour": draw.choice(["red", "green", "blue"]),
            "member": draw.random() < 0.5,
            "city": "Ulm",
            "note": f"what number {number} said about {draw.random()} of all",
            "grade": draw.choice(["good", "good", "bad"]),
        }
        for number in range(count)
    ]


def written(rows: list[dict], form: str = "csv", delimiter: str = ",") -> bytes:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if form == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if form == "parquet":
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(_schema(rows, columns))), out)
        return out.getvalue()
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows([[_cell(row.get(key)) for key in columns] for row in rows])
    return text.getvalue().encode()


def _cell(value):
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


def _schema(rows, columns):
    for column in columns:
        values = [row.get(column) for row in rows if row.get(column) is not None]
        yield column, pa.infer_type(values or [""])


def table(prepared, rows, name: str = "people.csv", **chosen):
    content = rows if isinstance(rows, bytes) else written(rows, name.rsplit(".", 1)[1])
    return prepared(content, name, **{"format": "table"} | chosen)


def refusal(prepared, rows, **chosen) -> TrainingError:
    shutil.rmtree(prepared.out, ignore_errors=True)
    with pytest.raises(TrainingError) as caught:
        table(prepared, rows, **chosen)
    assert not (prepared.out / "dataset").exists()
    assert not list(prepared.out.glob(".tmp-*"))
    str(caught.value)  # the sentence takes the params it is given
    return caught.value


def by_name(about) -> dict:
    return {column["name"]: column for column in about["columns"]}


def warned(about) -> dict:
    return {warning["code"]: warning["params"] for warning in about["warnings"]}


# --- what comes out -------------------------------------------------------------------------------


def test_columns_types_are_found_with_reasons(prepared) -> None:
    about = table(prepared, people(), targets=["grade"])
    columns = by_name(about)
    assert tuple(columns) == NAMES
    assert {name: (one["type"], one["reason"]) for name, one in columns.items()} == {
        "id": ("ignored", "running"),
        "age": ("number", ""),
        "colour": ("category", ""),
        "member": ("category", ""),
        "city": ("ignored", "constant"),
        "note": ("ignored", "text"),
        "grade": ("category", ""),
    }
    assert about["kind"] == "table"
    assert about["labels"] is None
    assert about["counts"] == {
        "rows": 200,
        "columns": 7,
        "used": 4,
        "bytes": about["source"]["size"],
        "missing": 0,
        "duplicates": 0,
        "alike": 0,
        "unlabelled": 0,
        "overlap": 0,
        "conflicts": 0,
    }
    assert sum(split["rows"] for split in about["splits"].values()) == 200
    assert columns["colour"]["categories"] == 3
    assert sum(columns["age"]["histogram"]["counts"]) == about["splits"]["train"]["rows"]
    assert set(warned(about)) == {"warning_few_rows", "warning_columns_ignored"}


def test_the_same_rows_in_any_format_are_the_same_data(prepared) -> None:
    hashes = {
        table(prepared, written(people(), form), f"people.{form}", targets=["grade"])["sha256"]
        for form in ("csv", "jsonl", "parquet")
    }
    hashes |= {
        table(prepared, written(people(), "csv", mark), "people.txt", targets=["grade"])["sha256"]
        for mark in ("\t", ";", "|")
    }
    assert len(hashes) == 1


def test_another_target_or_type_is_another_version(prepared) -> None:
    chosen = [
        {},
        {"targets": ["grade"]},
        {"targets": ["colour"]},
        {"targets": ["grade"], "columns": {"member": "ignored"}},
        {"targets": ["grade"], "seed": 1},
    ]
    assert len({table(prepared, people(), **one)["sha256"] for one in chosen}) == len(chosen)


def test_a_split_stays_when_the_table_grows_and_when_a_type_is_corrected(prepared) -> None:
    def split_of() -> dict[int, str]:
        return {
            int(row): split
            for split in ("train", "validation", "test")
            for row in read_table(prepared.out / "dataset", split).rows
        }

    table(prepared, people())
    before = split_of()
    table(prepared, people() + [row | {"id": 900 + row["id"]} for row in people(50, seed=4)])
    assert {row: split for row, split in split_of().items() if row < 200} == before
    table(prepared, people(), columns={"age": "category", "city": "category"})
    assert split_of() == before


def test_splits_are_stratified_by_the_first_target_with_classes(prepared) -> None:
    about = table(
        prepared,
        people(400),
        targets=["age", "grade"],
        validation_percent=10,
        test_percent=20,
    )
    grade = about["targets"][1]["classes"]
    for one in grade:
        total = one["train"] + one["validation"] + one["test"]
        assert one["validation"] == pytest.approx(0.1 * total, abs=0.51)
        assert one["test"] == pytest.approx(0.2 * total, abs=0.51)
    assert [target["type"] for target in about["targets"]] == ["number", "category"]


def test_a_label_column_is_the_target_of_a_table(prepared) -> None:
    assert table(prepared, people(), label_field="grade")["targets"][0]["name"] == "grade"


def test_a_preview_shows_rows_as_they_were_uploaded(prepared) -> None:
    rows = people()
    rows[0]["colour"] = None
    table(prepared, rows)
    preview = json.loads((prepared.out / "dataset/preview.json").read_text())
    assert preview["columns"] == list(NAMES)
    assert len(preview["rows"]) == 12
    first = preview["rows"][0]
    assert first["id"] == 0
    assert first["values"][:3] == ["0", str(rows[0]["age"]), None]
    assert {row["split"] for row in preview["rows"]} <= {"train", "validation", "test"}


def test_the_files_are_described_and_the_copy_is_gone(prepared) -> None:
    about = table(prepared, people())
    names = {path.name for path in (prepared.out / "dataset").iterdir()}
    parquet = {f"{split}.parquet" for split in about["splits"]}
    assert names == {*parquet, "columns.json", "preview.json", "dataset.json"}
    assert set(about["files"]) == names - {"dataset.json"}


def test_any_program_reads_the_splits(prepared) -> None:
    rows = people()
    table(prepared, rows)
    found = pq.read_table(prepared.out / "dataset/train.parquet").to_pylist()
    for row in found:
        original = rows[row.pop("__row__")]
        assert row == {
            "age": original["age"],
            "colour": original["colour"],
            "member": str(original["member"]).lower(),
            "grade": original["grade"],
        }


# --- what a person chooses ------------------------------------------------------------------------


def test_types_can_be_corrected(prepared) -> None:
    chosen = {"id": "number", "age": "category", "city": "category", "member": "ignored"}
    columns = by_name(table(prepared, people(60), columns=chosen))
    assert {name: columns[name]["type"] for name in chosen} == chosen
    assert {name: columns[name]["found"] for name in chosen} == {
        "id": "ignored",
        "age": "number",
        "city": "ignored",
        "member": "category",
    }


def test_a_target_that_would_be_left_out_is_used_all_the_same(prepared) -> None:
    about = table(prepared, people(), targets=["id"])
    assert by_name(about)["id"]["type"] == "number"


def test_a_column_of_digits_can_be_classes(prepared) -> None:
    rows = [{"x": n * 1.5, "digit": n % 12} for n in range(240)]
    assert table(prepared, rows, targets=["digit"])["targets"][0]["type"] == "number"
    about = table(prepared, rows, targets=["digit"], columns={"digit": "category"})
    assert len(about["targets"][0]["classes"]) == 12


@pytest.mark.parametrize(
    ("chosen", "code", "field"),
    [
        ({"targets": ["price"]}, "table_column_unknown", "targets"),
        ({"columns": {"price": "number"}}, "table_column_unknown", "columns"),
        ({"columns": {"colour": "number"}}, "table_column_not_number", "columns"),
        ({"targets": ["city"]}, "table_target_one_class", "targets"),
        ({"targets": ["nothing"]}, "table_target_empty", "targets"),
        ({"targets": ["note"]}, "table_target_too_many", "targets"),
        ({"targets": ["one"], "columns": {"one": "number"}}, "table_target_constant", "targets"),
        ({"targets": ["age"], "columns": {"age": "ignored"}}, "table_target_ignored", "targets"),
        (
            {"targets": ["age", "colour", "member", "grade"]},
            "table_no_inputs",
            "columns",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field(prepared, chosen, code, field) -> None:
    rows = [row | {"nothing": None, "one": 1} for row in people(60)]
    error = refusal(prepared, rows, **chosen)
    assert (error.code, error.field) == (code, field)


# --- missing values -------------------------------------------------------------------------------


def test_missing_values_are_counted_and_kept(prepared) -> None:
    rows = people()
    for number, word in enumerate(MISSING_WORDS):
        rows[number]["colour"] = word
        rows[number]["age"] = word
    about = table(prepared, rows, remove_duplicates=False)
    columns = by_name(about)
    assert columns["colour"]["missing"] == columns["age"]["missing"] == len(MISSING_WORDS)
    assert about["counts"]["missing"] == 2 * len(MISSING_WORDS)
    splits = [read_table(prepared.out / "dataset", split) for split in about["splits"]]
    assert sum(int(np.isnan(one.numbers).sum()) for one in splits) == len(MISSING_WORDS)
    assert sum(int((one.categories == MISSING).sum()) for one in splits) == len(MISSING_WORDS)


def test_values_among_numbers_that_are_none_count_as_missing_and_are_told(prepared) -> None:
    rows = people()
    for number in range(4):
        rows[number]["age"] = ("old", "old", "young", "1e999")[number]
    about = table(prepared, rows)
    assert by_name(about)["age"]["slips"] == 4
    assert warned(about)["warning_not_numbers"] == {"column": "age", "rows": 4, "value": "old"}


def test_rows_without_any_target_are_left_out_or_kept(prepared) -> None:
    rows = people()
    for number in range(30):
        rows[number]["grade"] = "?"
    for number in range(20):
        rows[number]["age"] = None
    for number, row in enumerate(rows):
        row["weight"] = number / 7
    about = table(prepared, rows, targets=["grade", "age"])
    assert about["counts"]["unlabelled"] == 20
    assert sum(split["rows"] for split in about["splits"].values()) == 180
    assert {one["name"]: one["missing"] for one in about["targets"]} == {"grade": 10, "age": 0}
    assert warned(about)["warning_table_unlabelled"] == {"rows": 20}
    assert warned(about)["warning_target_missing"] == {"column": "grade", "rows": 10}
    about = table(prepared, rows, targets=["grade", "age"], leave_out_unlabelled=False)
    assert about["counts"]["unlabelled"] == 0
    assert sum(split["rows"] for split in about["splits"].values()) == 200
    splits = [read_table(prepared.out / "dataset", split) for split in about["splits"]]
    grade = np.concatenate([one.targets[-1].values for one in splits])
    assert int((grade == NO_CLASS).sum()) == 30


def test_a_column_that_is_half_empty_is_told(prepared) -> None:
    rows = [row | ({"extra": row["age"]} if n % 3 == 0 else {}) for n, row in enumerate(people())]
    about = table(prepared, written(rows, "jsonl"), "people.jsonl")
    assert warned(about)["warning_much_missing"] == {"columns": 1, "names": "extra"}


# --- classes --------------------------------------------------------------------------------------


def test_a_class_with_one_row_is_refused_or_left_out(prepared) -> None:
    rows = people()
    rows[7]["grade"] = "odd <one>"
    error = refusal(prepared, rows, targets=["grade"])
    assert (error.code, error.field) == ("label_rare", "leave_out_rare")
    assert error.params["label"] == "odd <one>"
    about = table(prepared, rows, targets=["grade"], leave_out_rare=True)
    assert about["left_out"] == [{"name": "odd <one>", "rows": 1}]
    assert sum(split["rows"] for split in about["splits"].values()) == 199


def test_one_class_besides_those_left_out_is_refused(prepared) -> None:
    rows = [row | {"grade": "good"} for row in people()]
    rows[0]["grade"] = "bad"
    assert refusal(prepared, rows, targets=["grade"], leave_out_rare=True).code == (
        "labels_one_class"
    )


def test_a_class_of_a_second_target_that_training_lacks_is_unseen(prepared) -> None:
    shares = {"targets": ["grade", "colour"], "validation_percent": 40, "test_percent": 40}
    rows = people(100)
    for name in ("violet", "pink", "grey", "white", "black"):
        # Its split follows from the row's content; four of five are outside training.
        rows[5]["colour"] = name
        about = table(prepared, rows, **shares)
        if len(by_name(about)["colour"]["largest"]) == 1 + by_name(about)["colour"]["categories"]:
            break
    assert warned(about)["warning_target_unseen"] == {
        "column": "colour",
        "classes": 1,
        "name": name,
    }
    for split in about["splits"]:
        one = read_table(prepared.out / "dataset", split)
        [colour] = [target for target in one.targets if target.column.name == "colour"]
        where = one.rows == 5
        assert (colour.values[where] == UNSEEN_CLASS).all()
        assert not colour.present[where].any()
        assert colour.present[~where].all()


def test_imbalance_is_told(prepared) -> None:
    rows = [row | {"grade": "good" if n % 20 else "bad"} for n, row in enumerate(people(400))]
    told = warned(table(prepared, rows, targets=["grade"]))["warning_imbalance"]
    assert (told["largest"], told["smallest"]) == ("good", "bad")


def test_a_column_that_tells_the_answer_is_told(prepared) -> None:
    rows = [row | {"verdict": {"good": "y", "bad": "n"}[row["grade"]]} for row in people()]
    told = warned(table(prepared, rows, targets=["grade"]))["warning_gives_away"]
    assert told == {"column": "verdict", "target": "grade"}


# --- copies ---------------------------------------------------------------------------------------


def test_rows_with_a_number_of_their_own_are_kept_on_one_side(prepared) -> None:
    rows = people(100)
    rows += [row | {"id": 100 + row["id"], "note": f"again {row['id']}"} for row in rows[:30]]
    about = table(prepared, rows, targets=["grade"])
    assert (about["counts"]["duplicates"], about["counts"]["alike"]) == (0, 30)
    assert sum(split["rows"] for split in about["splits"].values()) == 130
    assert warned(about)["warning_rows_alike"] == {"alike": 30, "rows": 130, "percent": 23}
    seen: dict[int, str] = {}
    for split in about["splits"]:
        for row in read_table(prepared.out / "dataset", split).rows.tolist():
            assert seen.setdefault(row % 100, split) == split


@pytest.mark.parametrize(("form", "copies"), [("jsonl", 40), ("parquet", 0)])
def test_rows_that_differ_in_lists_are_no_copies(prepared, form, copies) -> None:
    rows = [row | {"tags": [1, 2]} for row in people(40)]
    again = [dict(row) for row in rows]
    other = [row | {"tags": [3]} for row in rows]
    about = table(prepared, written(rows + again + other, form), f"a.{form}")
    # Lists in Parquet are not read, so that nobody knows.
    assert about["counts"]["duplicates"] == copies
    assert about["counts"]["alike"] == 80 - copies


def test_copies_are_removed_or_kept_on_one_side(prepared) -> None:
    rows = [{name: row[name] for name in row if name != "id"} for row in people(100)]
    twice = rows + rows[:30]
    about = table(prepared, twice, targets=["grade"])
    assert about["counts"]["duplicates"] == 30
    assert sum(split["rows"] for split in about["splits"].values()) == 100
    assert warned(about)["warning_row_duplicates"]["percent"] == 23
    about = table(prepared, twice, targets=["grade"], remove_duplicates=False)
    assert sum(split["rows"] for split in about["splits"].values()) == 130
    seen: dict[int, str] = {}
    for split in about["splits"]:
        for row in read_table(prepared.out / "dataset", split).rows.tolist():
            assert seen.setdefault(row % 100, split) == split


def test_equal_inputs_with_other_targets_are_counted_where_they_straddle(prepared) -> None:
    rows = [{"a": n % 50, "b": n % 50 / 7, "y": n} for n in range(200)]
    about = table(prepared, rows, targets=["y"], validation_percent=20, test_percent=0)
    held_out = about["splits"]["validation"]["rows"]
    assert about["counts"]["conflicts"] == 200
    assert 0 < about["counts"]["overlap"] <= held_out
    assert warned(about)["warning_row_overlap"]["held_out"] == held_out


def test_numbers_are_equal_however_they_are_written(prepared) -> None:
    content = "a,b\n1,x\n1.0,x\n1e0,x\n2,y\n3,y\n4,x\n-0,y\n0,y\n" + "".join(
        f"{n}.5,x\n" for n in range(30)
    )
    assert table(prepared, content.encode())["counts"]["duplicates"] == 3


# --- bad input ------------------------------------------------------------------------------------


def test_too_many_columns_are_refused_at_once_with_their_number(prepared) -> None:
    wide = ",".join(f"column_{n}" for n in range(100_000)) + "\n"
    content = (wide + ",".join(["1"] * 100_000) + "\n").encode()
    for form in ("table", "auto"):
        started = time.monotonic()
        error = refusal(prepared, content, format=form)
        assert time.monotonic() - started < 5
        assert error.code == "table_columns_too_many"
        assert error.params == {"columns": 100_000, "most": 1000}
    narrow = "\n".join(json.dumps({f"key_{n}_{m}": 1 for m in range(10)}) for n in range(10_000))
    error = refusal(prepared, narrow.encode(), name="a.jsonl")
    assert (error.code, error.params["columns"]) == ("table_columns_too_many", 1010)


def test_too_many_columns_of_parquet_are_refused_by_its_footer(prepared) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({f"c{n}": [1] for n in range(3000)}), out)
    error = refusal(prepared, out.getvalue(), name="a.parquet")
    assert (error.code, error.params["columns"]) == ("table_columns_too_many", 3000)


def test_the_most_columns_are_taken(prepared) -> None:
    draw = np.random.default_rng(0).normal(size=(12, readers.MOST_COLUMNS)).round(3)
    lines = [",".join(f"x{n}" for n in range(readers.MOST_COLUMNS))]
    lines += [",".join(map(str, row)) for row in draw]
    about = table(prepared, "\n".join(lines).encode())
    assert about["counts"]["used"] == 1000
    assert len((prepared.out / "dataset/dataset.json").read_bytes()) < 2_000_000


def test_too_many_rows_are_refused_while_reading(prepared, monkeypatch) -> None:
    monkeypatch.setattr(readers, "MOST_CELLS", 500)
    for form in ("csv", "jsonl", "parquet"):
        error = refusal(prepared, written(people(), form), name=f"a.{form}")
        assert error.code == "table_rows_too_many"
        assert error.params == {"columns": 7, "most": 500 // 7}


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"a,b\n", "a.csv", "table_no_rows"),
        (b"\n\n", "a.csv", "table_no_rows"),
        (b"{}\n{}\n", "a.jsonl", "table_no_rows"),
        (b"a,b\n1,2\n", "a.csv", "table_no_inputs"),
        (b"a,b\n1.5,2\n1.7,3\n", "a.csv", "table_rows_too_few"),
        (b"a,b\n1,2\n1,2,3\n", "a.csv", "csv_fields"),
        (b'a,b\n1,"2\n', "a.csv", "csv_quote_open"),
        (b'[{"a": 1}]\n', "a.jsonl", "json_list"),
        (b'{"a": 1}\n{"a": \n', "a.jsonl", "json_row_invalid"),
        (b"", "a.csv", "file_empty"),
        (b"PAR1" + bytes(100), "a.parquet", "parquet_broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a.csv", "content_image"),
        (b"a,b\n\xff\xfe\xfd,1\n" * 3, "a.csv", "text_not_utf8"),
        (b"PK\x03\x04" + bytes(60), "a.csv", "content_archive"),
    ],
)
def test_files_that_are_no_tables_are_refused(prepared, content, name, code) -> None:
    assert refusal(prepared, content, name=name).code == code


def test_all_columns_missing_is_nothing_to_learn_from(prepared) -> None:
    error = refusal(prepared, b"a,b\n" + b"?,NA\n" * 50)
    assert (error.code, error.params) == ("table_no_inputs", {"columns": 2})


def test_lists_in_cells_are_left_out_and_cannot_be_chosen(prepared) -> None:
    rows = [row | {"tags": ["a", "b"], "more": {"x": 1}} for row in people(60)]
    for form in ("jsonl", "parquet"):
        about = table(prepared, written(rows, form), f"a.{form}")
        columns = by_name(about)
        assert columns["tags"]["reason"] == columns["more"]["reason"] == "nested"
        error = refusal(prepared, written(rows, form), name=f"a.{form}", targets=["tags"])
        assert (error.code, error.field) == ("table_column_nested", "targets")


def test_names_are_made_writable_and_distinct(prepared) -> None:
    content = "a,a,,x\ty,__row__," + "n" * 500 + "\n"
    content += "".join(f"{n}.5,{n % 3},{n}.25,{n % 2},{n % 2},{n % 7}.5\n" for n in range(60))
    about = table(prepared, content.encode())
    names = [column["name"] for column in about["columns"]]
    assert names[:4] == ["a", "a #2", "#3", "x\ty"]
    assert names[4:] == ["__row___", "n" * 200]
    assert len(set(names)) == 6
    assert read_table(prepared.out / "dataset", "train").numbers.shape[1] >= 3


def test_names_of_parquet_that_stand_there_twice_are_refused(prepared) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table([[1, 2], [3, 4]], names=["a", "a"]), out)
    error = refusal(prepared, out.getvalue(), name="a.parquet")
    assert (error.code, error.params) == ("table_names_twice", {"column": "a"})


def test_keys_may_come_late(prepared) -> None:
    rows = [{"a": n / 3} for n in range(600)] + [{"a": n / 7, "b": n % 2} for n in range(600)]
    about = table(prepared, written(rows, "jsonl"), "a.jsonl")
    assert by_name(about)["b"]["missing"] == 600


def test_what_json_can_hold_and_a_database_cannot_is_replaced(prepared) -> None:
    lines = [json.dumps({"a": n / 7, "b": ("x\0y", "\ud800z")[n % 2]}) for n in range(60)]
    about = table(prepared, "\n".join(lines).encode(), "a.jsonl")
    told = [one["name"] for one in by_name(about)["b"]["largest"]]
    assert sorted(told) == ["x\ufffdy", "\ufffdz"]


def test_a_first_row_of_data_is_told(prepared) -> None:
    content = "".join(f"{n / 10},{n / 3},{'ab'[n % 2]}\n" for n in range(1, 60))
    assert "warning_header_numbers" in warned(table(prepared, content.encode()))
    for counted in ("0,1,2\n", "4,5,6\n"):
        assert "warning_header_numbers" not in warned(table(prepared, (counted + content).encode()))


def test_decimal_commas_are_numbers_where_semicolons_part_the_columns(prepared) -> None:
    content = "a;b\n" + "".join(f"{n},5;{'xy'[n % 2]}\n" for n in range(60))
    assert by_name(table(prepared, content.encode()))["a"]["statistics"]["maximum"] == 59.5


# --- found by itself ------------------------------------------------------------------------------


def test_a_table_with_names_in_it_is_one(prepared) -> None:
    rows = [
        {"name": f"Braund, Mr. Owen {n}", "age": n % 70, "fare": n / 3, "sex": "mf"[n % 2]}
        for n in range(100)
    ]
    about = table(prepared, rows, format="auto")
    assert about["kind"] == "table"
    assert by_name(about)["name"]["reason"] == "different"


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table_of_values_is_found_to_be_one(prepared, form) -> None:
    rows = [{key: row[key] for key in ("age", "colour", "member", "grade")} for row in people()]
    assert table(prepared, written(rows, form), f"a.{form}", format="auto")["kind"] == "table"


@pytest.mark.parametrize(
    "rows",
    [
        [{"text": "a b c", "label": "x"}] * 3 + [{"text": f"d{n} e f", "label": "y"} for n in "12"],
        [{"was": f"A sentence of some length, the {n}th.", "n": n} for n in range(20)],
        [{"q": f"Who is number {n}?", "a": f"It is nobody {n}."} for n in range(20)],
        [
            {"n": n, "m": n, "en": f"This one is number {n} of them.", "de": f"Nummer {n}."}
            for n in range(20)
        ],
        [{"一": "这是一个比较长的中文句子。" * 2 + str(n), "类": "好"} for n in range(20)],
    ],
)
def test_a_table_of_texts_is_read_as_texts(prepared, rows) -> None:
    assert table(prepared, rows, format="auto")["kind"] == "text"


def test_a_file_of_one_of_the_older_formats_is_texts_as_before(prepared) -> None:
    rows = people(60)
    assert table(prepared, rows, format="csv")["text_field"] == "note"


# --- what a method reads --------------------------------------------------------------------------


def test_codes_say_missing_unseen_and_known(prepared) -> None:
    draw = random.Random(3)
    rows = [{"x": draw.random(), "c": draw.choice("aaab"), "y": n % 2} for n in range(400)]
    rows[7]["c"] = None
    for name in "cdefghijk":
        # Its split follows from the row's content; four of five are outside training.
        rows[5]["c"] = name
        about = table(prepared, rows, targets=["y"], validation_percent=40, test_percent=40)
        if by_name(about)["c"]["categories"] == 2:
            break
    columns = {column.name: column for column in read_columns(prepared.out / "dataset")}
    assert columns["c"].categories == ("a", "b")
    assert columns["c"].codes == 4
    assert by_name(about)["c"]["unseen"] == {"categories": 1, "rows": 1}
    assert warned(about)["warning_categories_unseen"]["names"] == "c"
    found = {}
    for split in about["splits"]:
        one = read_table(prepared.out / "dataset", split)
        found |= dict(zip(one.rows.tolist(), one.categories[:, 0].tolist(), strict=True))
    assert (found.pop(7), found.pop(5)) == (MISSING, UNSEEN)
    for row, code in found.items():
        assert code == FIRST + "ab".index(rows[row]["c"])


def test_a_missing_split_is_none_and_other_data_is_refused(prepared) -> None:
    table(prepared, people(), test_percent=0)
    assert read_table(prepared.out / "dataset", "test") is None
    with pytest.raises(TrainingError) as caught:
        read_table(prepared.out, "train")
    assert caught.value.code == "dataset_not_table"


def test_methods_of_texts_and_labels_refuse_a_table_by_name(prepared, tmp_path) -> None:
    table(prepared, people(), targets=["grade"])
    dataset = prepared.out / "dataset"
    with pytest.raises(TrainingError) as caught:
        read_about(dataset)
    assert caught.value.code == "dataset_is_table"
    with pytest.raises(TrainingError) as caught:
        next(documents(dataset / "train.jsonl"))
    assert caught.value.code == "dataset_not_text"
    with pytest.raises(TrainingError) as caught:
        load_blocks(dataset, "train", Tokenizer.gpt2(), 16, True, tmp_path)
    assert caught.value.code == "dataset_not_text"


cells = st.one_of(
    st.none(),
    st.sampled_from(["a", "b", " b ", "?", "NA", "yes", "01", "x.y", "é", "e\u0301"]),
    st.floats(allow_nan=True),
    st.integers(-(10**20), 10**20),
    st.booleans(),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "replace").decode()),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.fixed_dictionaries({"a": cells, "b": cells, "c.d": cells}), min_size=1, max_size=40)
)
def test_the_loader_gives_back_what_was_prepared_or_the_table_is_refused(prepared, rows) -> None:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    try:
        about = table(
            prepared,
            content,
            "a.jsonl",
            columns={"a": "category", "b": "number"},
            remove_duplicates=False,
            test_percent=0,
        )
    except TrainingError as error:
        if not error.code.startswith("table_"):
            raise
        return
    seen = []
    columns = {column.name: column for column in read_columns(prepared.out / "dataset")}
    for split in about["splits"]:
        one = read_table(prepared.out / "dataset", split)
        raw = pq.read_table(prepared.out / f"dataset/{split}.parquet").to_pylist()
        assert len(one) == len(raw) == about["splits"][split]["rows"]
        for place, row in enumerate(raw):
            seen.append(row["__row__"])
            original = rows[row["__row__"]]
            for number, column in enumerate(one.number_columns):
                value = row[column.name]
                assert (value is None) == bool(np.isnan(one.numbers[place, number]))
                if value is not None and isinstance(original[column.name], int | float):
                    assert value == float(original[column.name])
            for number, column in enumerate(one.category_columns):
                code, value = one.categories[place, number], row[column.name]
                if value is None:
                    assert code == MISSING
                elif value in columns[column.name].categories:
                    assert columns[column.name].categories[code - FIRST] == value
                else:
                    assert (code, split) == (UNSEEN, "validation")
    assert sorted(seen) == list(range(len(rows)))


def test_fifty_thousand_rows_are_read_in_a_second(prepared) -> None:
    draw = np.random.default_rng(0)
    numbers = {f"n{k}": draw.normal(size=50_000).round(4) for k in range(7)}
    sorted_in = {f"c{k}": draw.choice(list("abcdefgh"), 50_000) for k in range(7)}
    out = io.BytesIO()
    pq.write_table(pa.table(numbers | sorted_in | {"y": draw.choice(["p", "q"], 50_000)}), out)
    table(prepared, out.getvalue(), "a.parquet", targets=["y"])
    started = time.monotonic()
    found = read_table(prepared.out / "dataset", "train")
    assert time.monotonic() - started < 1
    assert found.numbers.shape == (45_000, 7)
    assert found.categories.shape == (45_000, 7)
