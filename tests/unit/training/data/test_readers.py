"""Readers: what is read, and what is said about every fault."""

import json
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import training.data
from training.data.readers import READERS, detect_format, iter_documents, lines, open_reader
from training.data.readers.text import TextReader
from training.errors import MESSAGES, TrainingError

CHINESE = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
PARAGRAPH = "It was the best of times, it was the worst of times. " * 12


@pytest.fixture
def put(tmp_path):
    """Write a file to read; text goes as UTF-8."""

    def put(content, name="upload.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def read(path, format="auto", text_field=""):
    return [document.text for document in iter_documents(path, format, text_field)]


# --- lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1000])
def test_lines_are_the_same_in_any_encoding_and_however_the_file_is_cut(
    put, monkeypatch, end, codec, chunk
):
    monkeypatch.setattr(lines, "CHUNK_BYTES", chunk)
    path = put(end.join(["a", "", CHINESE, "🙂", "z"]).encode(codec))
    reader = lines.Lines(path)
    assert list(reader) == ["a", "", CHINESE, "🙂", "z"]
    assert reader.bytes_read == path.stat().st_size


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_broken_utf8_is_named_by_byte_and_line_however_the_file_is_cut(put, monkeypatch, chunk):
    monkeypatch.setattr(lines, "CHUNK_BYTES", chunk)
    path = put("é\r\nzwei\ndr".encode() + b"\xff\xfe\xfd" + b"ei\n")
    with pytest.raises(TrainingError) as caught:
        list(lines.Lines(path))
    assert caught.value.params["byte"] == 11
    assert caught.value.params["line"] == 3


def test_a_line_of_two_gigabytes_is_refused_before_it_takes_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_CHARACTERS", 2**20)
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.write(b"first line\n")
        for _ in range(32):
            file.write(b"x" * 2**20)
        file.truncate(2 * 2**30)  # the rest is sparse: never reached
    tracemalloc.start()
    with pytest.raises(TrainingError) as caught:
        list(lines.Lines(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == "line_too_long"
    assert caught.value.params == {"line": 2, "limit": 1}
    assert peak < 8 * 2**20


# --- text -------------------------------------------------------------------------------------


def test_paragraphs_are_gathered_into_documents_of_a_thousand_characters(put):
    path = put("\n\n".join([PARAGRAPH] * 5))
    assert [len(text) for text in read(path)] == [2 * len(PARAGRAPH) + 2] * 2 + [len(PARAGRAPH)]


def test_no_word_of_a_text_is_lost(put):
    text = "\n\n".join(f"{n} {PARAGRAPH}\n{CHINESE * n}" for n in range(60))
    assert "".join("".join(read(put(text))).split()) == "".join(text.split())


def test_a_text_without_blank_lines_is_cut_at_line_ends(put):
    path = put((PARAGRAPH + "\n") * 20)
    documents = read(path)
    assert len(documents) == 3
    assert all(len(text) <= 4_000 + len(PARAGRAPH) for text in documents)


@pytest.mark.parametrize("sentence", ["A sentence of some length, it is. ", CHINESE])
def test_a_text_on_one_line_is_cut_after_sentences(put, sentence):
    documents = read(put(sentence * 400))
    assert len(documents) > 5
    assert "".join(map(str.rstrip, documents)).replace(" ", "") == (sentence * 400).replace(" ", "")
    assert all(text.endswith((".", "。")) for text in documents)
    assert all(1_000 <= len(text) <= 1_300 for text in documents[:-1])


@given(st.text("ab.\n ", max_size=300), st.integers(2, 50))
def test_any_text_comes_through_whole(tmp_path_factory, text, enough):
    path = tmp_path_factory.mktemp("t") / "a.txt"
    path.write_text("x" + text)
    found = "".join(document.text for document in TextReader(path, enough=enough))
    assert "".join(found.split()) == "".join(("x" + text).split())


# --- tables -----------------------------------------------------------------------------------


def test_jsonl_gives_the_text_column_and_the_columns(put):
    rows = [{"id": n, "text": f"Text {n}", "tag": None} for n in range(300)]
    path = put("\n\n".join(map(json.dumps, rows)), "a.jsonl")
    reader = open_reader(path)
    assert reader.columns == ["id", "text", "tag"]
    assert reader.text_field == "text"
    assert [(d.id, d.text) for d in reader] == [(n, f"Text {n}") for n in range(300)]


def test_csv_fields_may_hold_line_breaks_quotes_and_separators(put):
    path = put('id,text\n1,"two\nlines"\n\n2,"a ""quoted"", word"\n3,plain\n', "a.csv")
    assert read(path) == ["two\nlines", 'a "quoted", word', "plain"]


@pytest.mark.parametrize("delimiter", list(",\t;|"))
def test_the_separator_is_found(put, delimiter):
    rows = [["id", "text", "x"], *[[str(n), "Words, and; more | words", "y"] for n in range(9)]]
    quoted = (delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    reader = open_reader(put("\n".join(quoted), "a.csv"))
    assert reader.columns == ["id", "text", "x"]
    assert [d.text for d in reader] == ["Words, and; more | words"] * 9


def test_a_table_of_one_column_needs_no_separator(put):
    assert read(put("text\nfirst one\nsecond one\n", "a.csv")) == ["first one", "second one"]


def test_a_long_article_fits_in_a_csv_field(put):
    assert read(put("text\n" + "word " * 100_000, "a.csv")) == ["word " * 100_000]


def test_nameless_and_repeated_columns_are_called_by_number(put):
    reader = open_reader(put("text,,text\nabc,d,e\nabc,d,e", "a.csv"))
    assert reader.columns == ["text", "#2", "text #3"]


@pytest.mark.parametrize(
    ("columns", "row", "expected"),
    [
        (["id", "Text"], ["1", "x"], "Text"),
        (["标题", "正文"], ["题", "内容很长的一段文字"], "正文"),
        (["id", "review", "text"], ["1", "much longer than the text", "abc"], "text"),
        (["code", "remarks"], ["A1", "a sentence about it"], "remarks"),
    ],
)
def test_the_text_column_is_found_by_name_then_by_content(put, columns, row, expected):
    as_csv = "\n".join(",".join(line) for line in (columns, row, row))
    assert open_reader(put(as_csv, "a.csv")).text_field == expected
    as_json = "\n".join([json.dumps(dict(zip(columns, row, strict=True)))] * 2)
    assert open_reader(put(as_json, "a.jsonl")).text_field == expected


def test_the_column_that_a_person_chose_is_used(put):
    path = put('{"text": "a", "other": "b"}', "a.jsonl")
    assert read(path, text_field="other") == ["b"]


def test_every_json_row_may_have_columns_of_its_own(put):
    rows = [{"text": "a"}, {"text": "b", "late": 1}]
    assert open_reader(put("\n".join(map(json.dumps, rows)), "a.jsonl")).columns == ["text", "late"]


# --- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.txt", "Plain words.", "text"),
        ("a.md", "# Title", "text"),
        ("a.jsonl", "not json", "jsonl"),
        ("a.txt", '{"text": "json all the same"}\n', "jsonl"),
        ("a.csv", '{"text": "json all the same"}\n', "jsonl"),
        ("a.csv", "text\nwords", "csv"),
        ("A.TSV", "text\tid\nwords\t1", "csv"),
        ("", "id,text\n1,abc\n2,def\n3,ghi\n", "csv"),
        ("", "Dear all, this is\na letter, not a table,\nand so on.", "text"),
        ("", "{curly} words\nin a text", "text"),
        ("unknown.suffix", "One line", "text"),
    ],
)
def test_the_format_is_told_by_content_then_by_name(put, name, content, format):
    path = put(content, "blob")
    assert detect_format(path, name) == format


def test_every_format_of_texts_in_the_spec_has_a_reader():
    from training.data.prepare_spec import PrepareSpec

    allowed = PrepareSpec.model_json_schema()["properties"]["format"]["enum"]
    assert set(allowed) == {"auto", "conll", "images", "sounds", "table", *READERS}


# --- faults -----------------------------------------------------------------------------------

GOOD = '{"text": "fine", "id": 1}\n'

#: name of the file, content, code, what the sentence must name
FAULTS = [
    ("a.txt", b"", "file_empty", {}),
    ("a.txt", b"\xef\xbb\xbf", "file_empty", {}),
    ("a.txt", b"PK\x03\x04rest", "content_archive", {"kind": "ZIP"}),
    ("a.jsonl", b"\x80\x04\x95\x00", "content_pickle", {"kind": "pickle"}),
    ("a.csv", b"\x89PNG\r\n\x1a\n", "content_image", {"kind": "PNG"}),
    ("a.txt", b"\x00\x01\x02", "content_binary", {}),
    ("a.txt", "ab".encode("utf-16-le") * 9, "content_utf16", {}),
    ("a.txt", b"fine\nbroken \xff\xfe\n", "text_not_utf8_like", {"byte": 12, "line": 2}),
    ("a.txt", b"\x01\xff" + b"\xff\x81" * 99, "text_not_utf8", {"byte": 1, "line": 1}),
    ("a.txt", (CHINESE * 9).encode("gbk"), "text_not_utf8_like", {"encoding": "GB18030"}),
    ("a.txt", "cut off".encode("utf-16")[:-1], "text_broken", {"byte": 14, "line": 1}),
    ("a.txt", b"x" * 5000 + b"\nsecond\0line", "text_nul", {"line": 2}),
    ("a.csv", b"text\n" + b"x\n" * 3000 + b"NUL \0 here\n", "text_nul", {"line": 3002}),
    ("a.jsonl", GOOD * 3 + '{"text": "cut', "json_row_invalid", {"line": 4, "good": 3}),
    ("a.jsonl", GOOD * 300 + "\n{]\n", "json_row_invalid", {"line": 302, "good": 300}),
    ("a.jsonl", GOOD + "[" * 100_000, "json_row_invalid", {"line": 2, "good": 1}),
    ("a.jsonl", GOOD + '{"text": "a", "id": ' + "9" * 5000 + "}", "json_row_invalid", {"line": 2}),
    ("a.jsonl", '{\n"text": "spread"\n}\n', "json_row_invalid", {"line": 1, "good": 0}),
    ("a.jsonl", GOOD + '"a string"', "json_row_not_object", {"line": 2, "type": "string"}),
    ("a.jsonl", GOOD + "null", "json_row_not_object", {"line": 2, "type": "null"}),
    ("a.json", '[{"text": "a"}]', "json_list", {}),
    ("a.json", '[\n{"text": "a"}\n]', "json_list", {}),
    ("a.jsonl", GOOD * 200 + '{"id": 7}', "json_text_missing", {"line": 201, "columns": "id"}),
    ("a.jsonl", GOOD * 2 + '{"text": null}', "json_text_null", {"line": 3, "column": "text"}),
    ("a.jsonl", GOOD + '{"text": 7}', "json_text_not_string", {"line": 2, "type": "number"}),
    ("a.jsonl", GOOD + '{"text": true}', "json_text_not_string", {"type": "boolean"}),
    ("a.jsonl", GOOD + '{"text": ["a"]}', "json_text_not_string", {"type": "array"}),
    ("a.jsonl", '{"a": 1, "b": 2}', "text_column_not_found", {"columns": "a, b"}),
    ("a.csv", "a,b\n1,2\n", "text_column_not_found", {"columns": "a, b"}),
    ("a.csv", "\n\n", "documents_all_empty", {}),
    ("a.csv", "id,text\n1,a\n2,b,c\n", "csv_fields", {"row": 2, "line": 3, "found": 3}),
    ("a.csv", 'id,text\n1,"a\nb"\n2\n', "csv_fields", {"row": 2, "line": 4, "expected": 2}),
    ("a.csv", 'id,text\n1,fine\n2,"open\n3,x\n', "csv_quote_open", {"row": 2, "line": 3}),
    ("a.csv", 'id,text\n1,"a" b\n', "csv_row_invalid", {"row": 1, "line": 2}),
]


@pytest.mark.parametrize(("name", "content", "code", "named"), FAULTS)
def test_every_fault_is_named_by_its_place(put, name, content, code, named):
    with pytest.raises(TrainingError) as caught:
        read(put(content, name))
    assert caught.value.code == code
    assert named.items() <= caught.value.params.items()
    for value in named.values():
        assert str(value) in str(caught.value)


def test_a_wrong_column_is_refused_with_those_that_there_are(put):
    with pytest.raises(TrainingError, match=r"no column body\. The columns are: id, text"):
        read(put("id,text\n1,a\n", "a.csv"), text_field="body")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TrainingError) as caught:
        read(tmp_path / "gone.txt")
    assert caught.value.code == "file_missing"


def test_an_open_quote_never_takes_the_whole_file_into_memory(put, monkeypatch):
    from training.data.readers import csv as csv_reader

    monkeypatch.setattr(csv_reader, "MAX_FIELD_CHARACTERS", 10_000)
    path = put('text\nfine\n"open\n' + "line\n" * 100_000, "a.csv")
    with pytest.raises(TrainingError) as caught:
        read(path)
    assert caught.value.code == "csv_quote_open"
    assert caught.value.params["row"] == 2


def test_long_names_do_not_fill_the_sentence(put):
    row = {f"{'n' * 500}{n}": 1 for n in range(500)}
    with pytest.raises(TrainingError) as caught:
        read(put(json.dumps(row), "a.jsonl"))
    assert len(str(caught.value)) < 3000


def test_every_code_of_the_readers_is_tested_here():
    folder = Path(training.data.__file__).parent
    source = "".join(path.read_text() for path in (folder / "readers").glob("*.py"))
    codes = {word for word in re.findall(r'"(\w+)"', source) if word in MESSAGES}
    elsewhere = {"text_column_missing", "file_missing", "line_too_long"}
    # By tests/unit/training/data/test_labels.py.
    elsewhere |= {"label_column_missing", "label_column_is_text", "json_label_not_simple"}
    # By tests/unit/training/data/test_pairs.py.
    elsewhere |= {"pair_column_missing", "pair_column_taken"}
    # By tests/unit/training/data/test_parquet.py.
    elsewhere |= {"parquet_broken", "parquet_text_not_string", "parquet_label_not_simple"}
    # By tests/unit/training/data/test_tables.py.
    elsewhere |= {"table_columns_too_many", "table_rows_too_many", "table_names_twice"}
    # By tests/unit/training/data/test_tagged.py.
    elsewhere |= {"words_not_list", "tags_not_list", "tags_lengths", "tag_missing"}
    elsewhere |= {"conll_no_columns", "conll_column", "conll_columns"}
    assert codes - elsewhere <= {code for _, _, code, _ in FAULTS}
    assert codes >= elsewhere
