"""Ids and text: there and back, as transformers does it, and what is refused."""

import json
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import tokenizer as module
from training.data.published import PUBLISHED_FOLDER
from training.data.text_tokenizer import special_token
from training.data.tokenizer import END_OF_TEXT, StreamDecoder, Tokenizer
from training.errors import TrainingError

ENGLISH = [
    "Call me Ishmael. Some years ago - never mind how long precisely - having little money",
    "It was the best of times, it was the worst of times; I can't say it's  not.\n\nThe end.",
]
CHINESE = ["床前明月光，疑是地上霜。举头望明月，低头思故乡。"] * 3
EMOJI = "naïve 🙂 👩‍👩‍👧 𠮷野家\tTab\r\n "
texts = st.text(max_size=200)


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return Tokenizer.train(ENGLISH * 3 + CHINESE, 400)


@pytest.fixture(scope="module")
def published() -> Tokenizer:
    return Tokenizer.gpt2()


def edited(tmp_path, trained, change):
    """A saved tokenizer whose tokenizer.json was changed by hand."""
    trained.save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    return tmp_path


def test_training_gives_end_of_text_the_last_id(trained):
    assert trained.token_string(trained.end_of_text) == END_OF_TEXT
    assert trained.end_of_text == trained.size - 1


def test_training_gives_exactly_the_size_asked_for_when_the_corpus_can(trained):
    assert Tokenizer.train(ENGLISH * 3, 300).size == 300


def test_a_small_corpus_gives_a_smaller_vocabulary_and_says_so():
    assert Tokenizer.train(["ab ab"], 5000).size == 258


def test_an_empty_corpus_gives_the_bytes_and_end_of_text():
    assert Tokenizer.train([], 1000).size == 257


def test_training_is_deterministic_across_processes():
    # Hash seeds differ between processes, so an order that leaks from a hash map would show.
    code = (
        "from training.data.tokenizer import Tokenizer\n"
        f"print(Tokenizer.train({ENGLISH + CHINESE!r} * 3, 350).sha256)"
    )
    run = [sys.executable, "-c", code]
    found = {subprocess.check_output(run, text=True).strip() for _ in range(3)}
    assert found == {Tokenizer.train((ENGLISH + CHINESE) * 3, 350).sha256}


def test_training_looks_at_so_many_characters_only(monkeypatch):
    monkeypatch.setattr(module, "TRAINING_CHARACTERS", 6)
    assert Tokenizer.train(["ab ab ", "cd cd cd cd"], 300).size == 258


@pytest.mark.parametrize("word", ["a" * 300_000, "7" * 300_000, "_-" * 150_000, "床" * 300_000])
def test_a_word_of_any_length_is_learned_from_in_time(word):
    start = time.monotonic()
    assert 260 < Tokenizer.train([word], 300).size <= 300
    assert time.monotonic() - start < 10


@settings(max_examples=200, deadline=None)
@given(texts)
def test_every_text_comes_back(trained, text):
    assert trained.decode(trained.encode(text)) == text


@pytest.mark.parametrize("text", ["", *ENGLISH, *CHINESE, EMOJI, END_OF_TEXT, "\x00\x1f \u2028"])
def test_the_published_vocabulary_gives_every_text_back(published, text):
    assert published.decode(published.encode(text)) == text


def test_the_published_vocabulary_gives_known_ids(published):
    assert published.size == 50_257
    assert published.end_of_text == 50_256
    assert published.encode("Hello world") == [15496, 995]
    assert published.encode(" Hello world") == [18435, 995]


def test_quoting_the_end_of_text_token_is_ordinary_text(trained, published):
    for tokenizer in (trained, published):
        ids = tokenizer.encode(f"a{END_OF_TEXT}b")
        assert tokenizer.end_of_text not in ids
        assert tokenizer.decode(ids) == f"a{END_OF_TEXT}b"


def test_a_lone_surrogate_counts_as_the_replacement_character(trained):
    assert trained.encode("a\ud800b") == trained.encode("a\ufffdb")


def test_a_batch_gives_what_one_at_a_time_gives(trained):
    batch = ["", *ENGLISH, *CHINESE, EMOJI]
    assert trained.encode_batch(batch) == [trained.encode(text) for text in batch]
    assert trained.count_batch(batch) == [len(trained.encode(text)) for text in batch]
    assert trained.encode_batch([]) == []


@pytest.mark.parametrize(
    "text",
    [
        "It isn't 42  spaces,   or is it?\n\nNew line\n 3.5 'quoted' words. " * 40,
        "床前明月光，疑是地上霜。\n举头望明月，\n\n低头思故乡。" * 60,
        "a" * 3000,
        " \n" * 1500,
    ],
)
def test_cutting_a_long_text_into_pieces_changes_no_token(monkeypatch, published, text):
    whole = published.encode(text)
    monkeypatch.setattr(module, "PIECE_CHARACTERS", 100)
    assert published.encode(text) == whole
    assert "".join(published._pieces(text)) == text


def test_a_word_longer_than_any_is_cut_and_still_comes_back(monkeypatch, trained):
    monkeypatch.setattr(module, "PIECE_CHARACTERS", 100)
    monkeypatch.setattr(module, "WORD_CHARACTERS", 200)
    pieces = list(trained._pieces("é" * 1001))
    assert max(map(len, pieces)) <= 200
    assert trained.decode(trained.encode("é" * 1001)) == "é" * 1001


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=420), max_size=60))
def test_a_stream_of_any_ids_gives_what_decoding_them_at_once_gives(trained, ids):
    stream = StreamDecoder(trained)
    assert "".join(map(stream.feed, ids)) + stream.flush() == trained.decode(ids)


def test_a_stream_never_gives_half_a_character():
    tokenizer = Tokenizer.train([], 257)
    stream = StreamDecoder(tokenizer)
    parts = [stream.feed(number) for number in tokenizer.encode("é🙂")]
    assert parts == ["", "é", "", "", "", "🙂"]
    assert stream.flush() == ""
    stream.feed(tokenizer.encode("🙂")[0])
    assert stream.flush() == "\ufffd"


def test_saved_and_loaded_it_is_the_same(tmp_path, trained):
    trained.save(tmp_path)
    assert Tokenizer.load(tmp_path).sha256 == trained.sha256
    (tmp_path / "tokenizer.json").unlink()
    assert Tokenizer.load(tmp_path).sha256 == trained.sha256


def test_another_corpus_gives_another_identity(trained):
    assert Tokenizer.train(ENGLISH, 300).sha256 != trained.sha256


@pytest.mark.parametrize("loader", ["AutoTokenizer", "GPT2TokenizerFast"])
@pytest.mark.parametrize("which", ["trained", "published"])
@pytest.mark.parametrize("files", ["all", "vocab.json and merges.txt"])
def test_transformers_gives_the_same_ids(tmp_path, request, loader, which, files):
    transformers = pytest.importorskip("transformers")
    ours = request.getfixturevalue(which)
    ours.save(tmp_path, context=128)
    if files != "all":
        (tmp_path / "tokenizer.json").unlink()
    theirs = getattr(transformers, loader).from_pretrained(tmp_path)
    for text in ["", *ENGLISH, *CHINESE, EMOJI, "  two\n\n\nthree   "]:
        ids = ours.encode(text)
        assert theirs(text)["input_ids"] == ids
        assert theirs.decode(ids) == ours.decode(ids)
    assert theirs.eos_token_id == ours.end_of_text
    assert len(theirs) == ours.size
    assert theirs.model_max_length == 128


def test_what_transformers_saved_is_read(tmp_path, published):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2TokenizerFast.from_pretrained(PUBLISHED_FOLDER)
    theirs.save_pretrained(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.encode(EMOJI) == published.encode(EMOJI)
    assert loaded.end_of_text == published.end_of_text
    assert loaded.size == published.size


def test_added_tokens_of_a_foreign_folder_keep_their_ids(tmp_path, trained):
    def change(content):
        extra = dict(content["added_tokens"][0], id=trained.size, content="<pad here>")
        content["added_tokens"].append(extra)

    loaded = Tokenizer.load(edited(tmp_path, trained, change))
    assert loaded.size == trained.size + 1
    assert loaded.decode([trained.size]) == "<pad here>"
    assert loaded.end_of_text == trained.end_of_text


@pytest.mark.parametrize(
    ("item", "change"),
    [
        ("model.type", lambda c: c["model"].update(type="WordPiece")),
        ("model.dropout", lambda c: c["model"].update(dropout=0.1)),
        ("model.ignore_merges", lambda c: c["model"].update(ignore_merges=True)),
        ("model.byte_fallback", lambda c: c["model"].update(byte_fallback=True)),
        ("normalizer", lambda c: c.update(normalizer={"type": "NFC"})),
        ("pre_tokenizer", lambda c: c.update(pre_tokenizer={"type": "Metaspace"})),
        (
            "pre_tokenizer.add_prefix_space",
            lambda c: c["pre_tokenizer"].update(add_prefix_space=True),
        ),
        ("post_processor", lambda c: c.update(post_processor={"type": "RobertaProcessing"})),
        (
            "post_processor",
            lambda c: c.update(
                post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {}}]}
            ),
        ),
        ("model.vocab", lambda c: c["model"]["vocab"].update({"床": 9999})),
    ],
)
def test_another_kind_of_tokenizer_is_refused_by_name(tmp_path, trained, item, change):
    with pytest.raises(TrainingError) as caught:
        Tokenizer.load(edited(tmp_path, trained, change))
    assert caught.value.code == "tokenizer_unsupported"
    assert caught.value.params["item"] == item


def test_a_vocabulary_without_all_bytes_is_refused(tmp_path, trained):
    # Without every byte some texts could not be written: such a tokenizer is not GPT-2's kind.
    def change(content):
        del content["model"]["vocab"]["!"]

    with pytest.raises(TrainingError, match="255 bytes instead of 256 bytes"):
        Tokenizer.load(edited(tmp_path, trained, change))


def test_a_vocabulary_without_an_end_is_refused(tmp_path, trained):
    def change(content):
        content["added_tokens"] = []
        content["model"]["vocab"].pop(END_OF_TEXT)

    with pytest.raises(TrainingError, match="eos_token"):
        Tokenizer.load(edited(tmp_path, trained, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["model"].update(vocab=[]),
        lambda c: c["model"]["vocab"].update({"!": "seven"}),
        lambda c: c["model"]["vocab"].update({"!": 5}),
        lambda c: c["model"]["vocab"].update({"!": -1}),
        lambda c: c["model"]["vocab"].update({"!": 10**12}),
        lambda c: c["model"]["merges"].append(["!", "nowhere"]),
        lambda c: c["model"]["merges"].append(["a", "b", "c"]),
        lambda c: c["model"].pop("merges"),
        lambda c: c.update(model=None),
        lambda c: c["added_tokens"].append({"id": 0, "content": "<pad>"}),
        lambda c: c["added_tokens"].append({"content": "<pad>"}),
    ],
)
def test_a_damaged_tokenizer_is_refused(tmp_path, trained, change):
    with pytest.raises(TrainingError) as caught:
        Tokenizer.load(edited(tmp_path, trained, change))
    assert caught.value.code == "tokenizer_damaged"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.code == "tokenizer_damaged"


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(TrainingError) as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.code == "tokenizer_missing"


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(10 * 2**30)  # sparse
    with pytest.raises(TrainingError) as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.code == "tokenizer_too_large"


def test_merges_with_a_bad_line_are_refused_by_number(tmp_path, trained):
    trained.save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "merges.txt").write_text("#version: 0.2\nt h\nbroken\n")
    with pytest.raises(TrainingError, match=re.escape("line 3")):
        Tokenizer.load(tmp_path)


# --- control tokens -----------------------------------------------------------------------------


def test_control_tokens_stand_behind_all_others_and_change_no_text(trained):
    labelled = trained.with_control(["news", "苏轼", "two words"])
    assert labelled.control == {
        "news": trained.size,
        "苏轼": trained.size + 1,
        "two words": trained.size + 2,
    }
    assert labelled.size == trained.size + 3
    for text in (*ENGLISH, *CHINESE, EMOJI):
        assert labelled.encode(text) == trained.encode(text)
    assert labelled.sha256 != trained.sha256
    assert trained.control == {}


@pytest.mark.parametrize("name", ["news", "a|>b", "<|endoftext|>", "line\nbreak", "苏轼"])
def test_no_text_is_encoded_as_a_control_token(trained, name):
    labelled = trained.with_control([name])
    quoted = f"<|control:{name}|>"
    for text in (quoted, f"so {quoted} it", quoted * 3):
        ids = labelled.encode(text)
        assert labelled.control[name] not in ids
        assert labelled.end_of_text not in ids
        assert labelled.decode(ids) == text


def test_known_classes_keep_their_tokens_and_new_ones_come_behind(trained):
    first = trained.with_control(["a", "b"])
    second = first.with_control(["b", "c"])
    assert second.control == first.control | {"c": first.size}
    assert second.with_control(["c", "a"]).sha256 == second.sha256


def test_control_tokens_are_saved_and_read_and_transformers_knows_them(trained, tmp_path):
    from transformers import AutoTokenizer

    labelled = trained.with_control(["news", "two words"])
    labelled.save(tmp_path, 128)
    again = Tokenizer.load(tmp_path)
    assert again.control == labelled.control
    assert again.sha256 == labelled.sha256
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for name, number in labelled.control.items():
        prompt = theirs(f"<|control:{name}|>Call me")["input_ids"]
        assert prompt == [number, *labelled.encode("Call me")]
        assert theirs.decode(prompt, skip_special_tokens=True) == "Call me"


def test_a_token_of_that_name_that_text_may_contain_is_refused(trained):
    added = [special_token("<|control:news|>", trained.size) | {"special": False}]
    taken = Tokenizer(trained.vocabulary, trained.merges, added)
    assert taken.control == {}
    with pytest.raises(TrainingError) as refused:
        taken.with_control(["news"])
    assert refused.value.code == "control_token_taken"
    assert "<|control:news|>" in str(refused.value)
    assert taken.with_control(["other"]).control == {"other": taken.size}


def test_an_end_of_text_that_text_may_contain_is_refused_with_labels(trained):
    number = trained.vocabulary[END_OF_TEXT]
    added = [special_token(END_OF_TEXT, number) | {"special": False}]
    with pytest.raises(TrainingError) as refused:
        Tokenizer(trained.vocabulary, trained.merges, added).with_control(["news"])
    assert refused.value.code == "tokenizer_unsupported"
