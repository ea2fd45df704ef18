"""WordPiece and framed byte-level BPE: there and back, as transformers does it, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parity.fixtures import TEXTS
from tests.parity.text import SPECIAL_TEXTS, framed, tokenizers, word_pieces
from training.data import text_tokenizer
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizer import Tokenizer
from training.data.tokenizers import read_byte_level, read_tokenizer
from training.data.tokenizers.framed import FramedTokenizer
from training.data.tokenizers.wordpiece import WordPieceTokenizer
from training.errors import TrainingError

ALL_TEXTS = [*TEXTS, *SPECIAL_TEXTS]
ARCHITECTURES = {
    "wordpiece": "bert",
    "wordpiece-cased": "distilbert",
    "wordpiece-no-accents": "bert",
    "roberta": "roberta",
    "opt": "opt",
}
KNOWN = tokenizers()

Change = Callable[[dict[str, Any]], Any]


def saved(name: str, folder: Path) -> Path:
    KNOWN[name].save(folder, 64)
    (folder / "config.json").write_text(json.dumps({"model_type": ARCHITECTURES[name]}))
    return folder


def edit(folder: Path, change: Change, file: str = "tokenizer.json") -> Path:
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))
    return folder


def same_ids(one: TextTokenizer, other: TextTokenizer) -> bool:
    return all(one.encode_input(text) == other.encode_input(text) for text in ALL_TEXTS)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_read_and_written_again_the_files_have_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = saved(name, tmp_path / "first")
    again = read_tokenizer(first, ARCHITECTURES[name])
    again.save(tmp_path / "second", 64)
    assert again.sha256 == KNOWN[name].sha256
    for path in first.glob("[!c]*"):
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_transformers_reads_and_writes_the_same_tokenizer(name: str, tmp_path: Path) -> None:
    import transformers

    theirs = transformers.AutoTokenizer.from_pretrained(saved(name, tmp_path / "ours"))
    for text in ALL_TEXTS:
        ids = theirs(text, split_special_tokens=True)["input_ids"]
        assert ids == KNOWN[name].encode_input(text)
    assert theirs.model_max_length == 64
    special = KNOWN[name].special_ids
    assert {
        f"{key}_id": getattr(theirs, f"{key}_id") for key in theirs.special_tokens_map
    }.items() >= special.items()

    theirs.save_pretrained(tmp_path / "theirs")
    back = read_tokenizer(tmp_path / "theirs", ARCHITECTURES[name])
    assert back.sha256 == KNOWN[name].sha256


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("wordpiece", ("vocab.txt",)),
        ("wordpiece-cased", ("vocab.txt", "tokenizer_config.json")),
        ("wordpiece-no-accents", ("vocab.txt", "tokenizer_config.json")),
        ("roberta", ("vocab.json", "merges.txt")),
        ("opt", ("vocab.json", "merges.txt", "tokenizer_config.json")),
    ],
)
def test_the_older_files_give_the_same_ids(
    name: str, files: tuple[str, ...], tmp_path: Path
) -> None:
    for path in saved(name, tmp_path).iterdir():
        if path.name not in files:
            path.unlink()
    assert same_ids(read_tokenizer(tmp_path, ARCHITECTURES[name]), KNOWN[name])


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("wordpiece", "[CLS]", "[SEP]"), ("roberta", "<s>", "</s>"), ("opt", "</s>", None)],
)
def test_the_model_reads_special_tokens_around_a_text(
    name: str, before: str, after: str | None
) -> None:
    tokenizer = KNOWN[name]
    ids = tokenizer.encode_input("a whale")
    assert tokenizer.token_string(ids[0]) == before
    assert (tokenizer.token_string(ids[-1]) == after) == (after is not None)
    around = 1 + (after is not None)
    assert ids[1 : len(ids) - around + 1] == tokenizer.encode("a whale")
    # Cut to fit, the frame stays whole.
    short = tokenizer.encode_input("a whale and many more of them", 4)
    assert len(short) == 4
    assert (short[0], short[-1] == ids[-1]) == (ids[0], after is not None)


@pytest.mark.parametrize(
    ("name", "text"),
    [("wordpiece", "a [SEP] b [MASK]"), ("roberta", "a </s> b <mask>"), ("opt", "a </s> <pad>")],
)
def test_a_special_token_quoted_in_a_text_is_text(name: str, text: str) -> None:
    tokenizer = KNOWN[name]
    special = set(tokenizer.before) | set(tokenizer.after) | set(tokenizer.special_ids.values())
    assert not special & set(tokenizer.encode(text))


def test_only_byte_level_texts_come_back_as_they_were() -> None:
    for text in ALL_TEXTS:
        for name in ("roberta", "opt"):
            assert KNOWN[name].decode(KNOWN[name].encode(text)) == text
    assert KNOWN["wordpiece"].decode(KNOWN["wordpiece"].encode("Café")) == "cafe"


@settings(deadline=None, max_examples=60)
@given(text=st.text(st.sampled_from("ab é\u4e00\u0301\n\t.,\u200b\x07W[]"), max_size=80))
def test_cutting_a_long_text_into_pieces_changes_no_token(text: str) -> None:
    tokenizer = KNOWN["wordpiece"]
    whole = tokenizer.encode(text)
    pieces = list(text_tokenizer.pieces_of(text, _cut(), 3, 10**6))
    assert "".join(pieces) == text
    assert [number for piece in pieces for number in tokenizer.encode(piece)] == whole


def _cut() -> Any:
    from training.data.tokenizers import wordpiece

    return wordpiece._CUT


@pytest.mark.parametrize(
    ("item", "change"),
    [
        ("model.unk_token", lambda c: c["model"].update(unk_token="?")),
        (
            "model.continuing_subword_prefix",
            _set := lambda c: c["model"].update(continuing_subword_prefix="@@"),
        ),
        (
            "model.max_input_chars_per_word",
            lambda c: c["model"].update(max_input_chars_per_word=50),
        ),
        ("normalizer", lambda c: c["normalizer"].update(type="NFC")),
        ("normalizer.clean_text", lambda c: c["normalizer"].update(clean_text=False)),
        ("pre_tokenizer", lambda c: c.update(pre_tokenizer={"type": "Whitespace"})),
        ("post_processor", lambda c: c.update(post_processor=None)),
        ("post_processor", lambda c: c["post_processor"]["single"].pop()),
        # transformers would lower-case by the other file, so the two must agree.
        ("do_lower_case", lambda c: c["normalizer"].update(lowercase=False)),
    ],
)
def test_another_word_piece_is_refused_by_name(item: str, change: Change, tmp_path: Path) -> None:
    folder = edit(saved("wordpiece", tmp_path), change)
    with pytest.raises(TrainingError) as caught:
        read_tokenizer(folder, "bert")
    assert (caught.value.code, caught.value.params["item"]) == ("tokenizer_unsupported", item)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(model=None),
        lambda c: c.update(normalizer=None),
        lambda c: c["model"].pop("vocab"),
        lambda c: c["model"].update(vocab=[]),
        lambda c: c["model"]["vocab"].update(a=-1),
        lambda c: c["model"]["vocab"].update(a=10**12),
        lambda c: c["added_tokens"].append({"content": "[NEW]"}),
        lambda c: c["added_tokens"].append({"id": 0, "content": "[NEW]"}),
        lambda c: c.update(post_processor={"type": "TemplateProcessing"}),
    ],
)
def test_a_damaged_word_piece_is_refused(change: Change, tmp_path: Path) -> None:
    folder = edit(saved("wordpiece", tmp_path), change)
    with pytest.raises(TrainingError) as caught:
        read_tokenizer(folder, "bert")
    assert caught.value.code == "tokenizer_damaged"


def _surrogate_added(content: dict[str, Any]) -> None:
    content["added_tokens"].append({"id": len(content["model"]["vocab"]) + 9, "content": "\ud800"})


def _surrogate_in_vocabulary(content: dict[str, Any]) -> None:
    content["model"]["vocab"]["\udc00"] = len(content["model"]["vocab"]) + 9


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("wordpiece", _surrogate_added),
        ("wordpiece", _surrogate_in_vocabulary),
        ("roberta", _surrogate_added),
        ("roberta", lambda c: c["model"].update(merges=[[["a"], "b"]])),
        ("roberta", lambda c: c["model"].update(merges=[[1, 2]])),
        ("roberta", lambda c: c["post_processor"].update(cls=[])),
        ("opt", lambda c: c["model"].update(merges=[[None, None]])),
    ],
)
def test_what_the_backend_would_choke_on_is_damaged(
    name: str, change: Change, tmp_path: Path
) -> None:
    folder = edit(saved(name, tmp_path), change)
    with pytest.raises(TrainingError) as refused:
        read_tokenizer(folder, ARCHITECTURES[name])
    assert refused.value.code == "tokenizer_damaged"


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"model": ' + "1" * 5000 + "}"], ids=["deep", "digits"]
)
@pytest.mark.parametrize("name", ["wordpiece", "roberta"])
def test_json_that_python_refuses_is_damaged(name: str, text: str, tmp_path: Path) -> None:
    folder = saved(name, tmp_path)
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(TrainingError) as refused:
        read_tokenizer(folder, ARCHITECTURES[name])
    assert refused.value.code == "tokenizer_damaged"


def test_a_vocabulary_with_a_line_twice_or_without_special_tokens_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n")
    with pytest.raises(TrainingError, match="a line twice"):
        read_tokenizer(tmp_path, "bert")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\na\n")
    with pytest.raises(TrainingError, match="sep_token"):
        read_tokenizer(tmp_path, "bert")


@pytest.mark.parametrize(
    ("name", "post_processor"),
    [
        ("roberta", None),
        ("roberta", {"type": "RobertaProcessing", "cls": ["</s>", 2], "sep": ["<s>", 0]}),
        ("opt", {"type": "RobertaProcessing", "cls": ["</s>", 1], "sep": ["</s>", 1]}),
    ],
)
def test_another_frame_is_refused(name: str, post_processor: Any, tmp_path: Path) -> None:
    folder = edit(saved(name, tmp_path), lambda c: c.update(post_processor=post_processor))
    edit(folder, lambda c: c.pop("add_bos_token", None), "tokenizer_config.json")
    with pytest.raises(TrainingError) as caught:
        read_tokenizer(folder, name)
    assert caught.value.params["item"] == "post_processor"


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("said", [None, True, False])
@pytest.mark.parametrize("template", [True, False])
def test_whether_opt_has_a_frame_is_read_as_transformers_does(
    template: bool, said: bool | None, older: bool, tmp_path: Path
) -> None:
    import transformers

    folder = saved("opt", tmp_path)
    edit(folder, lambda c: c.pop("add_bos_token"), "tokenizer_config.json")
    if said is not None:
        edit(folder, lambda c: c.update(add_bos_token=said), "tokenizer_config.json")
    if not template:
        edit(folder, lambda c: c.update(post_processor=c["pre_tokenizer"]))
    if older:
        (folder / "tokenizer.json").unlink()

    tokenizer = read_tokenizer(folder, "opt")

    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.encode_input("a whale") == theirs("a whale")["input_ids"]
    framed_alike = tokenizer.before == KNOWN["opt"].before
    assert (tokenizer.sha256 == KNOWN["opt"].sha256) == framed_alike
    tokenizer.save(tmp_path / "again")
    assert read_tokenizer(tmp_path / "again", "opt").sha256 == tokenizer.sha256


def test_a_space_in_front_is_honoured(tmp_path: Path) -> None:
    import transformers

    folder = saved("roberta", tmp_path)
    edit(folder, lambda c: c["pre_tokenizer"].update(add_prefix_space=True))
    edit(folder, lambda c: c.update(add_prefix_space=True), "tokenizer_config.json")
    tokenizer = read_tokenizer(folder, "roberta")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in ("whale", "a whale"):
        assert tokenizer.encode_input(text) == theirs(text)["input_ids"]
    assert not same_ids(tokenizer, KNOWN["roberta"])
    tokenizer.save(tmp_path / "again")
    assert read_tokenizer(tmp_path / "again", "roberta").sha256 == tokenizer.sha256


def test_a_missing_special_token_is_named() -> None:
    learned = framed("roberta")
    vocabulary = {key: place for key, place in learned.vocabulary.items() if key != "<s>"}
    with pytest.raises(TrainingError, match=r"(bos|cls)_token"):
        FramedTokenizer(
            vocabulary, learned.merges, [], style=learned.style, names=learned.style.specials
        )


def test_a_gpt2_keeps_a_frame_that_it_has_from_an_opt(tmp_path: Path) -> None:
    KNOWN["opt"].save(tmp_path)
    tokenizer = read_tokenizer(tmp_path, "gpt2")
    assert tokenizer.sha256 == KNOWN["opt"].sha256
    assert same_ids(tokenizer, KNOWN["opt"])


def test_kinds_are_told_apart_by_their_files(tmp_path: Path) -> None:
    Tokenizer.train([], 257).save(tmp_path / "gpt2")
    assert type(read_tokenizer(tmp_path / "gpt2", "gpt2")) is Tokenizer
    word_pieces(lowercase=True).save(tmp_path / "bert")
    assert isinstance(read_tokenizer(tmp_path / "bert", "roberta"), WordPieceTokenizer)
    # What writes text needs tokens that stand for bytes.
    for read in (read_tokenizer, read_byte_level):
        with pytest.raises(TrainingError) as caught:
            read(tmp_path / "bert", "gpt2")
        assert caught.value.params["item"] == "model.type"


def test_tokenizers_that_give_other_ids_have_another_identity() -> None:
    assert len({tokenizer.sha256 for tokenizer in KNOWN.values()}) == len(KNOWN)
    one, other = word_pieces(lowercase=False), word_pieces(lowercase=False, strip_accents=False)
    assert one.vocabulary == other.vocabulary


def test_control_tokens_keep_the_frame_and_transformers_knows_them(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    plain = KNOWN["opt"]
    assert isinstance(plain, FramedTokenizer)
    labelled = plain.with_control(["news", "verse"])
    assert labelled.before == plain.before
    assert same_ids(labelled, plain)
    labelled.save(tmp_path, 64)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "opt"}))
    again = read_byte_level(tmp_path, "opt")
    assert again.control == labelled.control == {"news": plain.size, "verse": plain.size + 1}
    assert again.sha256 == labelled.sha256
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    found = theirs("<|control:verse|>a", add_special_tokens=False)["input_ids"]
    assert found == [labelled.control["verse"], *plain.encode("a")]
