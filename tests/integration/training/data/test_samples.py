"""The sample corpora, from the file to batches."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.data.packing import batch, documents, load_blocks, sequential_batches
from training.data.prepare import run
from training.data.prepare_spec import PrepareSpec
from training.data.tokenizer import Tokenizer
from training.events import EventLog

SAMPLES = Path(__file__).parents[4] / "samples"


@pytest.fixture
def prepared(tmp_path):
    def make(name):
        log = EventLog(tmp_path / "events.jsonl")
        run(PrepareSpec(path=str(SAMPLES / name)), tmp_path, log)
        log.close()
        return tmp_path / "dataset"

    return make


@pytest.mark.parametrize(
    ("name", "count", "tokens", "han"),
    [
        ("brown.jsonl", 500, 1_300_941, False),
        ("moby_dick.jsonl", 136, 285_874, False),
        ("song_ci.jsonl", 9_043, 1_862_107, True),
    ],
)
def test_a_sample_is_prepared_as_it_is(prepared, name, count, tokens, han):
    about = json.loads((prepared(name) / "dataset.json").read_text())
    assert about["counts"]["documents"] == count
    assert about["counts"]["tokens"] == tokens
    assert about["counts"]["empty"] == about["counts"]["duplicates"] == 0
    assert (about["script"] > 0.5) == han
    assert about["warnings"] == []


def test_a_vocabulary_of_its_own_makes_chinese_shorter_and_comes_back_whole(prepared):
    folder = prepared("song_ci.jsonl")
    texts = [text for text, _ in documents(folder / "train.jsonl")]
    own = Tokenizer.train(texts, 4096)
    assert own.size == 4096
    blocks = load_blocks(folder, "validation", own, 128, True, folder.parent / "cache")
    published = load_blocks(
        folder, "validation", Tokenizer.gpt2(), 128, True, folder.parent / "cache"
    )
    assert blocks.target_count < 0.6 * published.target_count
    shown = [text for text, _ in documents(folder / "validation.jsonl")]
    stream = [
        number
        for _, targets, mask in sequential_batches(blocks, 16)
        for number in targets[mask > 0].tolist()
    ]
    assert own.decode(stream).split("<|endoftext|>")[:-1] == shown


def test_batches_of_a_sample_are_full_and_the_same_again(prepared):
    folder = prepared("moby_dick.jsonl")
    tokenizer = Tokenizer.gpt2()
    blocks = load_blocks(folder, "train", tokenizer, 128, True, folder.parent / "cache")
    inputs, targets, mask = batch(blocks, 0, 1000, 16)
    assert inputs.shape == (16, 128)
    assert targets.max() < tokenizer.size
    assert mask.mean() > 0.9
    again = load_blocks(folder, "train", tokenizer, 128, True, folder.parent / "cache")
    assert all(
        np.array_equal(a, b)
        for a, b in zip((inputs, targets, mask), batch(again, 0, 1000, 16), strict=True)
    )
