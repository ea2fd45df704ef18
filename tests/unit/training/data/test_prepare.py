"""From an upload to a prepared data set: counts, splits, remarks, and nothing half-written."""

import csv
import hashlib
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import faults
from training.data import prepare_texts
from training.data.prepare_spec import PrepareSpec
from training.data.prepare_texts import normalise
from training.data.splits import assign, draws
from training.data.tokenizer import Tokenizer
from training.errors import MESSAGES, TrainingError
from training.events import read_events
from training.hashing import content_hash

CHINESE = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"


def split_of(out):
    """Text → split."""
    return {
        json.loads(line)["text"]: path.stem
        for path in out.glob("dataset/*.jsonl")
        for line in path.read_text().splitlines()
    }


def texts(count, seed=0):
    return [f"Document {seed} {n} says {n * n} things." for n in range(count)]


def codes(about):
    return [warning["code"] for warning in about["warnings"]]


def test_counts_are_those_of_a_plain_loop(prepared):
    documents = [*texts(50), CHINESE, "  ", "", *texts(5), "two  words", "two words"]
    about = prepared(documents)
    filled = [text.strip() for text in documents if text.strip()]
    tokens = [len(Tokenizer.gpt2().encode(text)) for text in filled]
    assert about["counts"] == {
        "documents": 58,
        "characters": sum(map(len, filled)),
        "bytes": (prepared.out.parent / "upload.jsonl").stat().st_size,
        "tokens": sum(tokens),
        "duplicates": 6,
        "empty": 2,
    }
    splits = about["splits"]
    assert list(splits) == ["train", "validation", "test"]
    assert sum(split["documents"] for split in splits.values()) == 52
    assert sum(bin["documents"] for bin in about["lengths"]) == 52
    assert all(bin["to"] == 2 * bin["from"] for bin in about["lengths"])
    assert about["columns"] == ["text"]
    assert about["text_field"] == "text"


def test_ids_are_places_in_the_upload(prepared):
    documents = [*texts(20), "", *texts(3), *texts(20, seed=1)]
    prepared(documents)
    for path in prepared.out.glob("dataset/*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            assert documents[row["id"]] == row["text"]


def test_files_are_described_by_size_and_hash(prepared):
    about = prepared(texts(30))
    folder = prepared.out / "dataset"
    assert {path.name for path in folder.iterdir()} == {*about["files"], "dataset.json"}
    for name, described in about["files"].items():
        data = (folder / name).read_bytes()
        assert described == {"blake3": content_hash(data), "size": len(data)}


def test_the_same_upload_gives_the_same_data_set(prepared):
    first, again = prepared(texts(30)), prepared(texts(30))
    assert first == again
    assert prepared(texts(30), seed=1)["sha256"] != first["sha256"]


def test_the_preview_shows_twenty_documents_with_their_splits(prepared):
    prepared([*texts(100), "long " * 1000])
    preview = json.loads((prepared.out / "dataset" / "preview.json").read_text())["documents"]
    assert len(preview) == 20
    assert {item["split"] for item in preview} <= {"train", "validation", "test"}
    assert preview[-1]["text"] == ("long " * 1000)[:600]
    assert preview[-1]["characters"] == 4999
    assert preview[-1]["tokens"] == len(Tokenizer.gpt2().encode(("long " * 1000).strip()))


def test_the_same_documents_in_any_format_are_the_same_data_set(prepared):
    documents = [f"{'word ' * 250}{n}" for n in range(20)]
    table = io.StringIO()
    csv.writer(table).writerows([["text"], *[[text] for text in documents]])
    hashes = {
        prepared(documents)["sha256"],
        prepared(table.getvalue(), "a.csv")["sha256"],
        prepared("\n\n".join(documents), "a.txt")["sha256"],
        prepared("\r\n\r\n".join(documents).encode("utf-16"), "b.txt")["sha256"],
    }
    assert len(hashes) == 1


def test_chinese_is_counted_as_such(prepared):
    about = prepared("\n\n".join(f"{CHINESE * 20}{n}" for n in range(10)), "诗.txt")
    assert about["script"] > 0.8
    assert about["counts"]["documents"] == 4
    assert "warning_mixed_languages" not in codes(about)


# --- splits -----------------------------------------------------------------------------------


def test_a_split_stays_when_the_data_set_grows(prepared):
    prepared(texts(200))
    before = split_of(prepared.out)
    prepared([*texts(100, seed=5), *texts(200)])
    after = split_of(prepared.out)
    assert {text: after[text] for text in before} == before


def test_shares_are_about_what_was_asked_for(prepared):
    about = prepared(texts(2000), validation_percent=10, test_percent=20)
    shares = [about["splits"][name]["documents"] / 2000 for name in ("validation", "test")]
    assert shares == pytest.approx([0.1, 0.2], abs=0.03)


def test_copies_never_straddle_splits_even_when_kept(prepared):
    documents = [f"{text} " + " " * n for text in texts(40) for n in range(5)]
    about = prepared(documents, remove_duplicates=False, validation_percent=30, test_percent=30)
    assert about["counts"]["duplicates"] == 160
    assert sum(split["documents"] for split in about["splits"].values()) == 200
    where = {}
    for path in prepared.out.glob("dataset/*.jsonl"):
        for line in path.read_text().splitlines():
            where.setdefault(normalise(json.loads(line)["text"]), set()).add(path.stem)
    assert all(len(splits) == 1 for splits in where.values())


def test_of_duplicates_the_first_is_kept(prepared):
    prepared([*texts(5), "a  b", "a b", *texts(5)])
    kept = [
        json.loads(line)
        for path in prepared.out.glob("dataset/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert sorted(row["id"] for row in kept) == [0, 1, 2, 3, 4, 5]
    assert "a  b" in {row["text"] for row in kept}


def test_no_test_share_gives_no_test_file(prepared):
    about = prepared(texts(2), test_percent=0)
    assert list(about["splits"]) == ["train", "validation"]
    assert not (prepared.out / "dataset" / "test.jsonl").exists()


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=40, unique=True),
    st.floats(0.001, 50),
    st.floats(0, 49.9),
)
def test_every_split_gets_a_document_whatever_the_shares(drawn, validation, test):
    splits = assign(np.array(drawn, np.uint64), validation, test)
    wanted = {0, 1, 2} if test else {0, 1}
    assert set(splits.tolist()) == wanted


@given(st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=30, unique=True))
def test_copies_are_assigned_alike(drawn):
    twice = np.array([*drawn, *drawn], np.uint64)
    splits = assign(twice, 5, 5)
    assert splits[: len(drawn)].tolist() == splits[len(drawn) :].tolist()


def test_draws_are_the_ones_that_old_data_sets_were_split_by():
    keys = np.array([b"0123456789abcdef", b"ends in NUL\0\0\0\0\0"], "S16")
    assert draws(keys, 7).tolist() == DRAWN
    for key, number in zip([b"0123456789abcdef", b"ends in NUL\0\0\0\0\0"], DRAWN, strict=True):
        plain = hashlib.sha256((7).to_bytes(8, "little") + key).digest()
        assert int.from_bytes(plain[:8], "little") == number


DRAWN = [16630654077264101484, 16217772997032421490]


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "code", "named"),
    [
        (["a", "b"], {}, "documents_too_few", {"documents": 2, "needed": 3}),
        (["a", "a", "a ", "b"], {}, "documents_too_few", {"documents": 2, "needed": 3}),
        (["a"], {"test_percent": 0}, "documents_too_few", {"documents": 1, "needed": 2}),
        (["", " \n", "\t"], {}, "documents_all_empty", {"empty": 3}),
        ("\n \n\t\n", {"format": "text"}, "documents_all_empty", {}),
        ("One short line.", {"format": "text"}, "documents_too_few", {"documents": 1}),
        ("", {}, "file_empty", {}),
        (b"\x80\x04\x95", {}, "content_pickle", {}),
        (["a", "b", "c"], {"text_field": "x"}, "text_column_missing", {"columns": "text"}),
    ],
)
def test_what_cannot_be_prepared_is_refused_and_leaves_nothing(
    prepared, content, options, code, named
):
    with pytest.raises(TrainingError) as caught:
        prepared(content, **options)
    assert caught.value.code == code
    assert named.items() <= caught.value.params.items()
    assert list(prepared.out.iterdir()) == []
    assert "finished" not in [event["kind"] for event in read_events(prepared.events)[0]]


def test_a_short_text_is_cut_finer_so_that_it_can_be_split(prepared):
    poem = "\n\n".join(f"Stanza {n}: a line or two,\nand not very much more." for n in range(6))
    about = prepared(poem, "poem.txt")
    assert about["counts"]["documents"] >= 3
    assert all(split["documents"] for split in about["splits"].values())


@pytest.mark.parametrize("point", ["dataset.write", "dataset.sync", "report.write"])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(prepared, monkeypatch, point):
    monkeypatch.setenv("GRAFT_FAULT", f"{point}:1:enospc")
    monkeypatch.setattr(faults, "_reached", {})
    with pytest.raises(TrainingError) as caught:
        prepared(texts(10))
    assert caught.value.code == "disk_full_writing"
    left = ["dataset"] if point == "report.write" else []
    assert [path.name for path in prepared.out.iterdir()] == left


def test_what_a_killed_process_left_is_replaced(prepared):
    (prepared.out / ".tmp-dataset-torn").mkdir(parents=True)
    (prepared.out / "dataset").mkdir()
    (prepared.out / "dataset" / "train.jsonl").write_text("old")
    prepared(texts(10))
    assert sorted(path.name for path in prepared.out.iterdir()) == ["dataset", "report.json"]
    assert "old" not in (prepared.out / "dataset" / "train.jsonl").read_text()


def test_characters_that_are_no_text_are_replaced_and_told(prepared):
    about = prepared(
        "".join(f'{{"text": "a\\ud800b\\u0000c {n} 🙂 \\ud83d\\ude42"}}\n' for n in range(5))
    )
    assert "warning_replaced" in codes(about)
    assert "a\ufffdb\ufffdc 0 🙂 🙂" in split_of(prepared.out)


# --- remarks, events, report --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        (texts(5), "warning_few_tokens"),
        (["hi", *texts(8)], "warning_short_documents"),
        ([*texts(5), "word " * 25_000], "warning_long_document"),
        ([*texts(10), *texts(2)], "warning_duplicates"),
        ([*texts(5), ""], "warning_empty"),
        ([*texts(5), *[CHINESE + str(n) for n in range(3)]], "warning_mixed_languages"),
    ],
)
def test_what_is_odd_is_remarked_on(prepared, documents, code):
    about = prepared(documents)
    [warning] = [warning for warning in about["warnings"] if warning["code"] == code]
    assert warning["message"] == MESSAGES[code] % warning["params"]
    assert code not in codes(prepared([f"{text} {'more words ' * 100}" for text in texts(300)]))


def test_progress_is_told_by_bytes_read_and_ends_with_finished(prepared, monkeypatch):
    monkeypatch.setattr(prepare_texts, "TELL_EVERY_S", 0)
    monkeypatch.setattr(prepare_texts, "BATCH_CHARACTERS", 1000)
    prepared(texts(20_000))
    events, _ = read_events(prepared.events)
    fractions = [event["fraction"] for event in events if event.get("name") == "reading"]
    assert fractions == sorted(fractions)
    assert len(fractions) > 10
    assert 0.9 < fractions[-1] <= 1
    assert [event.get("name") for event in events][-3:] == ["splitting", "saving", None]
    assert events[-1]["kind"] == "finished"
    assert (prepared.out / events[-1]["report"]).is_file()
    assert (prepared.out / events[-1]["result"] / "dataset.json").is_file()


def test_the_report_repeats_the_counts(prepared):
    about = prepared(texts(30))
    report = json.loads((prepared.out / "report.json").read_text())
    assert report["version"] == 3
    for key in ("sha256", "counts", "splits", "warnings"):
        assert report[key] == about[key]


def test_shares_that_leave_nothing_to_train_on_are_refused_at_their_field():
    from pydantic import ValidationError

    from training.settings import problems

    with pytest.raises(ValidationError) as caught:
        PrepareSpec(path="x", validation_percent=50, test_percent=50)
    assert [problem.field for problem in problems(caught.value)] == ["test_percent"]
