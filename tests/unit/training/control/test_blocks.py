"""Sequences of texts of classes: the label at each head, no text beside another, nothing twice."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.control.blocks import LabelledBlocks
from training.data.packing import load_blocks
from training.data.tokenizer import Tokenizer

BYTES = Tokenizer.train([], 257).with_control(["prose", "verse"])
END = BYTES.end_of_text
PROSE, VERSE = BYTES.control["prose"], BYTES.control["verse"]
HEADS = np.array([PROSE, VERSE], np.int32)


def labelled(folder: Path, texts: list[str], labels: list[int], length: int) -> LabelledBlocks:
    lines = [json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(texts)]
    (folder / "validation.jsonl").write_text("".join(lines), encoding="utf-8")
    blocks = load_blocks(folder, "validation", BYTES, length - 1, False, folder / "cache")
    return LabelledBlocks.of(blocks, END, np.array(labels, np.int64))


texts_of_classes = st.lists(
    st.tuples(st.text("abcé ", max_size=40), st.integers(0, 1)), min_size=1, max_size=10
)


@settings(max_examples=60, deadline=None)
@given(texts_of_classes, st.integers(3, 20), st.booleans())
def test_every_sequence_is_of_one_text_begins_with_its_label_and_every_token_counts_once(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[tuple[str, int]],
    length: int,
    given_labels: bool,
) -> None:
    folder = tmp_path_factory.mktemp("d")
    blocks = labelled(folder, [text for text, _l in drawn], [label for _t, label in drawn], length)
    rows = np.arange(blocks.count)
    heads = HEADS[blocks.labels] if given_labels else np.full(blocks.count, END, np.int32)
    inputs, targets, mask = blocks.take(rows, heads)
    assert inputs.shape == targets.shape == mask.shape == (blocks.count, length)
    assert (inputs[:, 0] == heads).all()
    assert not np.isin(targets[mask.astype(bool)], HEADS).any()
    assert not np.isin(inputs[:, 1:], HEADS).any()
    # Put together again, each text's targets are its tokens and end-of-text, each once.
    for number, (text, label) in enumerate(drawn):
        mine = blocks.texts == number
        assert (blocks.labels[mine] == label).all()
        real = mask[mine].astype(bool)
        wanted = [*BYTES.encode(text), END]
        assert targets[mine][real].tolist() == wanted
        # What a token is predicted from is the one before it; at the beginning, the label.
        before = [int(heads[np.flatnonzero(mine)[0]]), *wanted[:-1]]
        assert inputs[mine][real].tolist() == before
    assert mask.sum() == blocks.blocks.target_count


def test_a_later_piece_has_the_label_and_the_token_before_it(tmp_path: Path) -> None:
    blocks = labelled(tmp_path, ["abcdefgh"], [1], 4)
    letters = BYTES.encode("abcdefgh")
    inputs, targets, mask = blocks.take(np.arange(blocks.count), HEADS[blocks.labels])
    assert blocks.first.tolist() == [True, False, False]
    assert inputs[0].tolist() == [VERSE, *letters[:3]]
    assert targets[0, :3].tolist() == letters[:3]
    assert mask[0].tolist() == [1, 1, 1, 0]
    assert inputs[1].tolist() == [VERSE, *letters[2:5]]
    assert targets[1].tolist() == letters[2:6]
    assert mask[1].tolist() == [0, 1, 1, 1]  # its first token was predicted by the piece before
    assert targets[2, 1:].tolist() == [*letters[6:], END]


def test_without_labels_every_sequence_is_the_same_but_for_its_head(tmp_path: Path) -> None:
    blocks = labelled(tmp_path, ["one two three", "four", ""], [0, 1, 0], 6)
    rows = np.arange(blocks.count)
    with_labels = blocks.take(rows, HEADS[blocks.labels])
    without = blocks.take(rows, np.full(blocks.count, END, np.int32))
    assert (with_labels[0][:, 1:] == without[0][:, 1:]).all()
    for one, other in itertools.pairwise([with_labels[1:], without[1:]]):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_text_that_quotes_a_control_token_stays_of_its_class(tmp_path: Path) -> None:
    text = "a <|control:verse|> b <|endoftext|> c"
    blocks = labelled(tmp_path, [text, "d"], [0, 1], 16)
    inputs, targets, mask = blocks.take(np.arange(blocks.count), HEADS[blocks.labels])
    mine = blocks.texts == 0
    assert (inputs[mine, 0] == PROSE).all()
    assert VERSE not in inputs[mine]
    real = targets[mine][mask[mine].astype(bool)]
    assert BYTES.decode(real[:-1].tolist()) == text
    assert real.tolist().count(END) == 1


def test_labels_that_are_not_one_for_each_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 texts in blocks, and 3 labels"):
        labelled(tmp_path, ["a", "b"], [0, 1, 0], 4)
