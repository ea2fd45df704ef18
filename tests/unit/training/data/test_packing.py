"""Blocks, orders and batches: every token a target once, and the same batches after a resume."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import packing as module
from training.data.order import order
from training.data.packing import Blocks, batch, load_blocks, sequential_batches
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError

BYTES = Tokenizer.train([], 257)
END = BYTES.end_of_text


def write_split(folder, texts, split="train"):
    lines = [json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)]
    (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def load(folder, texts, length, packing=True, split="train"):
    write_split(folder, texts, split)
    return load_blocks(folder, split, BYTES, length, packing, folder / "cache")


def some_blocks(count, length=4):
    tokens = np.arange(count * (length + 1), dtype=np.int32).reshape(count, length + 1)
    return Blocks(tokens, np.full(count, length, np.int32), count * length, "0")


def contexts_and_targets(blocks):
    """(previous token, target) of every real target, in order."""
    inputs, targets, mask = blocks.take(np.arange(blocks.count))
    real = mask.astype(bool)
    return list(zip(inputs[real].tolist(), targets[real].tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("abcé ", max_size=30), min_size=1, max_size=12),
    st.integers(1, 20),
    st.booleans(),
)
def test_every_token_is_a_target_exactly_once(tmp_path_factory, texts, length, packing):
    blocks = load(tmp_path_factory.mktemp("d"), texts, length, packing, "validation")
    stream = [END]
    for text in texts:
        stream += [*BYTES.encode(text), END]
    assert contexts_and_targets(blocks) == list(itertools.pairwise(stream))
    assert blocks.target_count == len(stream) - 1
    assert blocks.lengths.min() >= 1


def test_packed_blocks_share_one_token(tmp_path):
    blocks = load(tmp_path, ["abcdef", "gh"], 4)
    assert blocks.tokens[0, -1] == blocks.tokens[1, 0]
    assert blocks.lengths.tolist() == [4, 4, 2]
    assert blocks.tokens[2, 3:].tolist() == [END, END]


def test_unpacked_documents_never_share_a_block(tmp_path):
    blocks = load(tmp_path, ["abcdef", "gh"], 4, packing=False)
    assert blocks.lengths.tolist() == [4, 3, 3]
    assert [row[0] for row in blocks.tokens.tolist()] == [END, BYTES.encode("d")[0], END]


def test_shapes_and_types_are_what_the_engine_expects(tmp_path):
    blocks = load(tmp_path, ["abcdefghij"] * 3, 8)
    inputs, targets, mask = batch(blocks, 0, 0, 2)
    assert (inputs.shape, targets.shape, mask.shape) == ((2, 8), (2, 8), (2, 8))
    assert (inputs.dtype, targets.dtype, mask.dtype) == (np.int32, np.int32, np.float32)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])


@given(st.integers(0, 2**31 - 1), st.integers(0, 1000), st.integers(1, 300))
def test_an_order_is_a_permutation_and_the_same_each_time(seed, epoch, n):
    found = order(seed, epoch, n)
    assert sorted(found.tolist()) == list(range(n))
    order.cache_clear()
    assert np.array_equal(order(seed, epoch, n), found)


def test_epochs_and_seeds_give_different_orders():
    orders = {tuple(order(seed, epoch, 50)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_orders_are_the_ones_that_old_runs_saw():
    # A changed order would break the promise that a run resumes on the same curve.
    assert order(1, 2, 8).tolist() == [7, 0, 5, 4, 6, 2, 3, 1]


@settings(deadline=None)
@given(st.integers(1, 23), st.integers(1, 9), st.integers(0, 99))
def test_epochs_follow_each_other_without_a_seam(count, batch_size, seed):
    blocks = some_blocks(count)
    steps = -(-3 * count // batch_size)
    rows = [row for s in range(steps) for row in batch(blocks, seed, s, batch_size)[0][:, 0]]
    for epoch in range(3):
        seen = Counter(rows[epoch * count : (epoch + 1) * count])
        assert seen == Counter(blocks.tokens[:, 0].tolist())


@settings(deadline=None)
@given(st.integers(1, 23), st.integers(1, 40), st.integers(0, 60))
def test_resuming_at_any_step_gives_the_same_batches(count, batch_size, step):
    blocks = some_blocks(count)
    straight = [batch(blocks, 7, index, batch_size) for index in range(step + 1)][-1]
    order.cache_clear()
    resumed = batch(blocks, 7, step, batch_size)
    assert all(np.array_equal(a, b) for a, b in zip(straight, resumed, strict=True))


@given(st.integers(0, 23), st.integers(1, 9))
def test_evaluation_sees_every_block_once_in_batches_of_one_shape(count, batch_size):
    blocks = some_blocks(count)
    batches = list(sequential_batches(blocks, batch_size))
    assert all(inputs.shape == (batch_size, 4) for inputs, _, _ in batches)
    real = [row for inputs, _, mask in batches for row in inputs[mask[:, 0] > 0][:, 0].tolist()]
    assert real == blocks.tokens[:, 0].tolist()


def test_a_limited_evaluation_looks_at_the_whole_split():
    blocks = some_blocks(100)
    batches = list(sequential_batches(blocks, 5, limit=2))
    assert len(batches) == 2
    rows = [row // 5 for inputs, _, _ in batches for row in inputs[:, 0].tolist()]
    assert rows == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_a_corpus_shorter_than_one_sequence_is_refused_with_numbers(tmp_path):
    with pytest.raises(TrainingError) as caught:
        load(tmp_path, ["ab", "c"], 8)
    assert caught.value.code == "corpus_too_short"
    assert caught.value.params == {"split": "train", "tokens": 5, "sequence_length": 8}
    assert str(caught.value).startswith("The train text has 5 tokens, fewer than one sequence of 8")


def test_validation_may_be_shorter_than_one_sequence(tmp_path):
    assert load(tmp_path, ["ab"], 8, split="validation").lengths.tolist() == [3]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_missing_split_is_refused(tmp_path, split):
    with pytest.raises(TrainingError) as caught:
        load_blocks(tmp_path, split, BYTES, 8, True, tmp_path / "cache")
    assert caught.value.code == "split_missing"


def test_no_test_split_gives_no_blocks(tmp_path):
    blocks = load_blocks(tmp_path, "test", BYTES, 8, True, tmp_path / "cache")
    assert blocks.count == 0
    assert list(sequential_batches(blocks, 4)) == []


def test_blocks_are_encoded_once_and_mapped_afterwards(tmp_path, monkeypatch):
    first = load(tmp_path, ["abcdefghij"] * 3, 8)
    monkeypatch.setattr(Tokenizer, "encode_batch", None)
    second = load_blocks(tmp_path, "train", BYTES, 8, True, tmp_path / "cache")
    assert np.array_equal(first.tokens, second.tokens)
    assert isinstance(second.tokens, np.memmap)
    assert second.sha256 == first.sha256


def test_other_text_length_tokenizer_or_packing_is_encoded_anew(tmp_path):
    other = Tokenizer.train(["abab"] * 3, 258)
    write_split(tmp_path, ["abababab"] * 3)
    cache = tmp_path / "cache"
    found = {
        load_blocks(tmp_path, "train", BYTES, 8, True, cache).sha256,
        load_blocks(tmp_path, "train", BYTES, 4, True, cache).sha256,
        load_blocks(tmp_path, "train", BYTES, 8, False, cache).sha256,
        load_blocks(tmp_path, "train", other, 8, True, cache).sha256,
        load(tmp_path, ["cdcdcdcd"] * 3, 8).sha256,
    }
    assert len(found) == 5


@pytest.mark.parametrize("damage", ["blocks.json", "tokens.i32", "lengths.i32"])
def test_a_damaged_cache_is_written_anew(tmp_path, damage):
    first = load(tmp_path, ["abcdefghij"] * 3, 8)
    expected = first.tokens.tolist()
    [folder] = (tmp_path / "cache").iterdir()
    (folder / damage).write_bytes(b"")
    again = load_blocks(tmp_path, "train", BYTES, 8, True, tmp_path / "cache")
    assert again.tokens.tolist() == expected


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module._Cutter, "_put", full)
    with pytest.raises(TrainingError) as caught:
        load(tmp_path, ["abcdefghij"] * 3, 8)
    assert caught.value.code == "disk_full_writing"
    assert list((tmp_path / "cache").iterdir()) == []


def test_progress_ends_at_one(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 10)
    write_split(tmp_path, ["abcdefghij"] * 5)
    seen = []
    load_blocks(tmp_path, "train", BYTES, 8, True, tmp_path / "cache", seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) >= 5
