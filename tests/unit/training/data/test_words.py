"""Sentences given word by word: each word's first piece, as transformers tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.parity.fixtures import TEXTS
from tests.parity.text import SPECIAL_TEXTS, tokenizers
from training.data.inputs import WordInputs
from training.data.labelled import Labelled

KNOWN = tokenizers()
ARCHITECTURES = {"wordpiece": "bert", "wordpiece-cased": "distilbert", "roberta": "roberta"}
SENTENCES = [
    words for text in [*TEXTS, *SPECIAL_TEXTS] if (words := text.split()) and len(words) < 200
]
#: With a space inside, without a piece, of marks alone.
ODD = [["New York", "\x7f", "...", "it"], ["so", "it's", "", "goes", "\u200b"]]


def theirs(name: str, folder: Path) -> Any:
    """The fast tokenizer that reads our files, made for words as its home asks."""
    import transformers

    KNOWN[name].save(folder, 512)
    (folder / "config.json").write_text(json.dumps({"model_type": ARCHITECTURES[name]}))
    options: dict[str, Any] = {"add_prefix_space": True} if name == "roberta" else {}
    # Else a quoted [SEP] would be that token: documents are data.
    return transformers.AutoTokenizer.from_pretrained(folder, split_special_tokens=True, **options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_ids_and_first_pieces_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    other = theirs(name, tmp_path)
    compared = 0
    for words in [*SENTENCES, *ODD]:
        found = other(words, is_split_into_words=True)
        owners = found.word_ids()
        first = [owners.index(word) if word in owners else None for word in range(len(words))]
        ids, starts = KNOWN[name].encode_words(words)
        assert ids == found["input_ids"]
        assert starts == first
        compared += len(words)
    assert compared > 60


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("most", [4, 9])
def test_cut_sentences_are_cut_as_by_transformers(name: str, most: int, tmp_path: Path) -> None:
    other = theirs(name, tmp_path)
    for words in SENTENCES:
        found = other(words, is_split_into_words=True, truncation=True, max_length=most)
        owners = found.word_ids()
        first = [owners.index(word) if word in owners else None for word in range(len(words))]
        assert KNOWN[name].encode_words(words, most) == (found["input_ids"], first)


def test_every_word_of_roberta_is_cut_as_after_a_space() -> None:
    ids, starts = KNOWN["roberta"].encode_words(["goes", "so", "goes"])
    spaced = KNOWN["roberta"].encode(" goes")
    assert starts[0] == 1
    assert ids[1 : 1 + len(spaced)] == spaced
    assert ids[starts[2] : -1] == spaced
    assert KNOWN["roberta"].encode("goes") != spaced


def inputs(most: int = 32) -> tuple[WordInputs, Labelled]:
    sentences = [["so", "it", "goes"], ["xyz", "\x7f", "so"], ["it"] * 12]
    rows = [{"id": place, "words": words} for place, words in enumerate(sentences)]
    labels = np.empty(3, object)
    labels[:] = [np.arange(len(words), dtype=np.int32) + 1 for words in sentences]
    return WordInputs(KNOWN["wordpiece"], rows, most), Labelled(rows, labels, Path())


def test_labels_stand_at_first_pieces_and_nowhere_else() -> None:
    shown, examples = inputs()
    tokens, mask, types, labels, counted = shown.aligned(examples, [1, 0])
    for place, row in enumerate((1, 0)):
        ids, starts = KNOWN["wordpiece"].encode_words(examples.rows[row]["words"])
        assert tokens[place, : len(ids)].tolist() == ids
        assert mask[place].sum() == len(ids)
        assert np.flatnonzero(counted[place]).tolist() == [s for s in starts if s is not None]
        for label, start in zip(examples.labels[row], starts, strict=True):
            if start is not None:
                assert labels[place, start] == label
    # As -100 elsewhere in transformers: what is not counted has no label.
    assert not labels[counted == 0].any()
    assert not types.any()
    assert [
        np.array_equal(a, b)
        for a, b in zip(shown.take(examples, [1, 0]), (tokens, mask, types), strict=True)
    ] == [True] * 3


def test_words_beyond_the_limit_are_told_from_those_without_a_piece() -> None:
    shown, examples = inputs(most=8)
    assert shown.length == 8
    cut = [shown.cut_off(row, shown.starts(row)) for row in examples.rows]
    assert cut == [0, 0, 6]
    assert shown.starts(examples.rows[1])[1] is None
