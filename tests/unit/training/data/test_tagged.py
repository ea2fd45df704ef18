"""Sentences whose words have tags: read, checked, counted, split."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from training.data.labelled import class_names, number_name, tag_names, tagged_split
from training.data.readers import detect_format, open_reader
from training.errors import TrainingError

SENTENCES = [
    [("Anna", "B-PER"), ("Blum", "I-PER"), ("met", "O"), (f"Ben{n}", "B-PER"), (".", "O")]
    if n % 2
    else [("In", "O"), ("Rome", "B-LOC"), (f"it{n}", "O"), ("rains", "O")]
    for n in range(40)
]
SHARES = {"validation_percent": 20, "test_percent": 20}


def as_conll(sentences: Any = SENTENCES, write: str = "{word} {tag}") -> str:
    return "".join(
        "".join(write.format(word=word, tag=tag) + "\n" for word, tag in sentence) + "\n"
        for sentence in sentences
    )


def row(sentence: Any, words: str = "tokens", tags: str = "ner_tags") -> dict[str, Any]:
    return {words: [word for word, _ in sentence], tags: [tag for _, tag in sentence]}


def as_jsonl(sentences: Any = SENTENCES, **names: str) -> str:
    return "".join(json.dumps(row(one, **names)) + "\n" for one in sentences)


def as_parquet(rows: list[dict[str, Any]], metadata: dict[str, str] | None = None) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), out)
    return out.getvalue()


def lines(dataset: Path, split: str) -> list[dict[str, Any]]:
    text = (dataset / f"{split}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


FORMATS = [
    (as_conll(), "upload.conll"),
    (as_conll(write="{word}\t{tag}"), "upload.tsv"),
    (as_conll(write="{word} NN {tag}"), "upload.txt"),
    (as_jsonl(), "upload.jsonl"),
    (as_jsonl(words="words", tags="labels"), "upload.json"),
    (as_parquet([row(one) for one in SENTENCES]), "upload.parquet"),
]


@pytest.mark.parametrize(("content", "name"), FORMATS, ids=[name for _, name in FORMATS])
def test_words_and_tags_are_found_and_kept(content: str | bytes, name: str, prepared: Any) -> None:
    about = prepared(content, name, **SHARES)
    labels = about["labels"]
    assert (about["kind"], labels["type"], labels["scheme"]) == ("text", "tags", "IOB2")
    assert tag_names(about)[0] == "O"
    assert sorted(tag_names(about)) == ["B-LOC", "B-PER", "I-PER", "O"]
    assert about["counts"]["words"] == sum(map(len, SENTENCES))
    assert about["warnings"] == []
    names, seen = tag_names(about), 0
    for split in about["splits"]:
        examples = tagged_split(prepared.out / "dataset", split, about, names)
        assert examples is not None
        for one, places in zip(examples.rows, examples.labels, strict=True):
            sentence = SENTENCES[one["id"]]
            assert one["words"] == [word for word, _ in sentence]
            assert one["text"] == " ".join(one["words"])
            assert [names[place] for place in places] == [tag for _, tag in sentence]
        seen += len(examples)
    assert seen == len(SENTENCES)


def test_words_with_each_tag_and_entities_are_counted_by_split(prepared: Any) -> None:
    about = prepared(as_conll(), "upload.conll", **SHARES)
    rows = {one["name"]: one for one in about["labels"]["tags"]}
    types = {one["name"]: one for one in about["labels"]["entities"]}
    for split in about["splits"]:
        tags = [tag for one in lines(prepared.out / "dataset", split) for tag in one["tags"]]
        assert {name: one[split] for name, one in rows.items()} == {
            name: tags.count(name) for name in rows
        }
        assert types["PER"][split] == tags.count("B-PER")
        assert about["splits"][split]["words"] == len(tags)
    trained = [one["train"] for one in about["labels"]["tags"]]
    assert trained == sorted(trained, reverse=True)
    # The histogram is of words: sentences have four or five.
    assert about["lengths"] == [{"from": 4, "to": 8, "documents": 40}]


def test_comments_documents_and_words_written_as_one_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    line = "{}\t{}\t_\t{}\t_\t_\t0\t_\t_\t_\n"
    path.write_text(
        "# sent_id = 1\n# text = don't # it\n"
        + line.format("1-2", "don't", "_")
        + line.format(1, "do", "AUX")
        + line.format(2, "n't", "PART")
        + line.format("2.1", "it", "PRON")
        + line.format(3, "#", "SYM")
        + "\n"
        + line.format(1, "Go", "VERB")
    )
    reader = open_reader(path)
    assert [(one.words, one.tags) for one in reader] == [
        (["do", "n't", "#"], ["AUX", "PART", "SYM"]),
        (["Go"], ["VERB"]),
    ]
    assert (reader.format, reader.text_field, reader.label_field) == ("conll", "2", "4")
    other = tmp_path / "b.txt"
    other.write_text("-DOCSTART- -X- O\n\n# X O\na Y O\n\n-DOCSTART- -X- O\nb X B\nc Y O\n")
    assert [one.words for one in open_reader(other, "conll")] == [["#", "a"], ["b", "c"]]


def test_columns_can_be_chosen_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1 Anna NNP B-PER\n2 runs VBZ O\n\n1 Ben NNP B-PER\n2 sits VBZ O\n")
    for field, expected in (("3", ["NNP", "VBZ"]), ("-1", ["B-PER", "O"])):
        reader = open_reader(path, "conll", text_field="2", label_field=field)
        first = next(iter(reader))
        assert (first.words, first.tags) == (["Anna", "runs"], expected)


def test_a_word_may_hold_other_space_and_many_characters(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("1\u00a0000 km\tNUM\n再见\tX\n\na\tX\nb\tNUM\n")
    assert next(iter(open_reader(path))).words == ["1\u00a0000 km", "再见"]


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("roses are\nviolets are\n\nsugar is\nand you\n", "a.txt", "text"),
        ("text,label\na b,c\nd e,f\n", "a.csv", "csv"),
        ("one\ttwo\nthree\tfour\n\nfive\tsix\nseven\teight\n", "a.tsv", "csv"),
    ],
)
def test_other_files_are_not_taken_for_it(
    content: str, name: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    assert detect_format(tmp_path / name, name) == expected


def test_a_text_column_is_still_read_as_texts_on_request(prepared: Any) -> None:
    rows = [row(one) | {"text": f"so it goes {n}"} for n, one in enumerate(SENTENCES)]
    content = "".join(json.dumps(one) + "\n" for one in rows)
    assert prepared(content, text_field="text", **SHARES)["labels"] is None


def test_numbers_have_the_names_that_the_file_tells(prepared: Any) -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    rows = [
        {"tokens": [word for word, _ in one], "ner_tags": [names.index(tag) for _, tag in one]}
        for one in SENTENCES
    ]
    told = {"info": {"features": {"ner_tags": {"feature": {"names": names}}}}}
    about = prepared(as_parquet(rows, {"huggingface": json.dumps(told)}), "a.parquet", **SHARES)
    assert set(tag_names(about)) == set(names)
    about = prepared(as_parquet(rows), "b.parquet", **SHARES)
    assert set(tag_names(about)) == {"0", "1", "2", "3"}


def test_another_column_with_tags_is_named(prepared: Any) -> None:
    rows = [row(one) | {"pos_tags": ["X"] * len(one)} for one in SENTENCES]
    about = prepared("".join(json.dumps(one) + "\n" for one in rows), **SHARES)
    assert about["labels"]["field"] == "ner_tags"
    (told,) = about["warnings"]
    assert told["params"] == {"column": "ner_tags", "others": "pos_tags"}


# --- what is worth knowing ------------------------------------------------------------------------


def codes(about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["code"]: one["params"] for one in about["warnings"]}


def test_what_is_odd_is_counted_and_nothing_is_changed(prepared: Any) -> None:
    odd = [("met", "O"), ("Anna", "I-PER"), ("\u2003", "X-RARE")]
    again = [(word, "O") for word, _ in SENTENCES[0]]
    content = as_jsonl([*SENTENCES, odd, [], SENTENCES[1], again])
    about = prepared(content, **SHARES)
    # A tag that is no entity's makes them all plain tags.
    assert about["labels"]["scheme"] is None
    told = codes(about)
    assert about["counts"]["empty"] == 1
    assert about["counts"]["duplicates"] == 2
    assert told["warning_tags_conflicts"] == {"sentences": 1}
    assert told["warning_words_blank"] == {"words": 1}
    alone = told.get("warning_tags_once") or told["warning_tags_untrained"]
    assert alone == {"tags": 1, "names": "X-RARE"}


def test_malformed_tags_are_counted_with_their_scheme(prepared: Any) -> None:
    odd = [[("met", "O"), (f"Anna{n}", "I-PER")] for n in range(3)]
    about = prepared(as_conll([*SENTENCES, *odd]), "a.conll", **SHARES)
    assert codes(about)["warning_tags_malformed"] == {"tags": 3, "scheme": "IOB2"}
    kept = [
        one["tags"] for split in about["splits"] for one in lines(prepared.out / "dataset", split)
    ]
    assert kept.count(["O", "I-PER"]) == 3
    # As entities they count all the same.
    (per,) = [one for one in about["labels"]["entities"] if one["name"] == "PER"]
    assert sum(per[split] for split in about["splits"]) == 2 * 20 + 3


def test_the_same_sentence_is_never_on_two_sides(prepared: Any) -> None:
    twice = [
        [(word.upper() if n else word, tag) for word, tag in one]
        for n in (0, 0)
        for one in SENTENCES
    ]
    about = prepared(as_jsonl(twice), remove_duplicates=False, **SHARES)
    sides: dict[str, set[str]] = {}
    for split in about["splits"]:
        for one in lines(prepared.out / "dataset", split):
            sides.setdefault(one["text"], set()).add(split)
    assert len(sides) == len(SENTENCES)
    assert all(len(splits) == 1 for splits in sides.values())
    assert sum(one["documents"] for one in about["splits"].values()) == 2 * len(SENTENCES)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "code", "params"),
    [
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "tags_lengths", {"words": 2, "tags": 1}),
        ({"tokens": "a b", "ner_tags": ["O", "O"]}, "words_not_list", {"column": "tokens"}),
        ({"tokens": ["a", 3], "ner_tags": ["O", "O"]}, "words_not_list", {"column": "tokens"}),
        ({"tokens": ["a"], "ner_tags": "O"}, "tags_not_list", {"column": "ner_tags"}),
        ({"tokens": ["a", "b"], "ner_tags": ["O", None]}, "tag_missing", {"word": "b"}),
        ({"tokens": ["a", "b"], "ner_tags": ["O", " "]}, "tag_missing", {"place": 2}),
        ({"tokens": ["a"], "ner_tags": [0.5]}, "tag_missing", {"word": "a"}),
    ],
)
def test_a_faulty_row_is_refused_with_its_line_and_nothing_is_kept(
    last: dict[str, Any], code: str, params: dict[str, Any], prepared: Any
) -> None:
    # Beyond the rows by which the columns are found.
    many = as_jsonl([one for one in SENTENCES for _ in range(3)])
    with pytest.raises(TrainingError) as caught:
        prepared(many + json.dumps(last) + "\n", **SHARES)
    assert caught.value.code == code
    assert caught.value.params.items() >= (params | {"line": 121}).items()
    assert "Nothing was taken in" in str(caught.value)
    assert not (prepared.out / "dataset").exists()


def test_a_fault_in_the_first_rows_does_not_hide_the_columns(prepared: Any) -> None:
    first = json.dumps({"tokens": ["a", 3], "ner_tags": ["O", None]}) + "\n"
    with pytest.raises(TrainingError) as caught:
        prepared(first + as_jsonl(), **SHARES)
    assert (caught.value.code, caught.value.params["line"]) == ("words_not_list", 1)


@pytest.mark.parametrize(
    ("content", "chosen", "code"),
    [
        (as_conll() + "Anna B-PER extra\n", {}, "conll_columns"),
        (as_conll(), {"label_field": "7"}, "conll_column"),
        (as_conll(), {"label_field": "tag"}, "conll_column"),
        (as_conll(), {"label_field": "1"}, "label_column_is_text"),
        ("word\nword\n\nword\n", {}, "conll_no_columns"),
        (as_conll([[(word, "O") for word, _ in one] for one in SENTENCES]), {}, "tags_one"),
        (
            as_conll(
                [
                    [(word, f"T{n}{k}") for k, (word, _) in enumerate(one)]
                    for n, one in enumerate(SENTENCES)
                ]
            ),
            {},
            "tags_too_many",
        ),
        (as_conll(SENTENCES[:2]), {}, "documents_too_few"),
    ],
    ids=["width", "number", "name", "same", "one_column", "one_tag", "many_tags", "few"],
)
def test_what_cannot_be_learned_is_refused(
    content: str, chosen: dict[str, str], code: str, prepared: Any
) -> None:
    with pytest.raises(TrainingError) as caught:
        prepared(content, "upload.conll", format="conll", **chosen, **SHARES)
    assert caught.value.code == code
    assert not (prepared.out / "dataset").exists()


def test_what_wants_classes_or_numbers_says_that_these_are_tags(prepared: Any) -> None:
    about = prepared(as_conll(), "upload.conll", **SHARES)
    for wanted in (class_names, number_name):
        with pytest.raises(TrainingError) as caught:
            wanted(about)
        assert caught.value.code == "labels_are_tags"
    with pytest.raises(TrainingError) as caught:
        tag_names({"labels": {"field": "l", "classes": []}})
    assert caught.value.code == "labels_are_not_tags"
