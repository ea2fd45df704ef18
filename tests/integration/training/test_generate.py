import json
import subprocess
import sys

import numpy as np
import pytest

from training.command_specs import GenerateSpec
from training.data.tokenizer import Tokenizer
from training.engine.generate import Generator, _HeldBack, choose
from training.engine.serve import Warm, open_generator
from training.weights.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def generator(finished_run):
    return open_generator(finished_run / "checkpoint")


def request(**fields):
    defaults = {"checkpoint": "", "prompt": "the whale", "max_tokens": 12, "temperature": 0}
    return GenerateSpec(**(defaults | fields))


def finished(generator, spec):
    ends = []
    text = "".join(generator.stream(spec, finished=ends.append))
    return text, ends[0]


def naive_greedy(generator, prompt, count):
    """Every token from a full pass over everything before it; no cache."""
    ids = generator.tokenizer.encode(prompt)
    for _ in range(count):
        logits = generator.model(np.array([ids], np.int32)).numpy()[0, -1]
        token = int(np.argmax(logits[: generator.tokenizer.size]))
        if token == generator.tokenizer.end_of_text:
            break
        ids.append(token)
    return ids


def test_greedy_text_is_that_of_full_passes_without_a_cache(generator):
    ids = naive_greedy(generator, "the whale", 20)
    start = len(generator.tokenizer.encode("the whale"))
    found = generator.complete(request(max_tokens=20))
    assert found == generator.tokenizer.decode(ids[start:])
    assert found


def test_past_the_context_it_goes_on_from_the_later_half(generator):
    assert generator.context == 32
    text, end = finished(generator, request(max_tokens=100, temperature=1.0, seed=1))
    assert end.tokens == 100 or end.reason == "end_of_text"
    long_prompt = "the whale sea " * 40
    text, end = finished(generator, request(prompt=long_prompt, max_tokens=5))
    assert end.tokens > 0 or end.reason == "end_of_text"
    assert isinstance(text, str)


def test_a_token_traces_no_new_graph(generator):
    generator.complete(request(max_tokens=20))
    traces = generator._extend.experimental_get_tracing_count()
    generator.complete(request(max_tokens=19, temperature=1.0))
    generator.complete(request(prompt="sea", max_tokens=20))
    assert generator._extend.experimental_get_tracing_count() == traces


def test_the_same_seed_gives_the_same_text_whatever_runs_beside_it(generator):
    spec, other = (request(temperature=1.0, seed=seed, max_tokens=15) for seed in (1, 2))
    alone = generator.complete(spec)
    a, b = generator.stream(spec), generator.stream(other)
    beside = ""
    for piece in a:
        beside += piece
        next(b, "")
    b.close()
    assert beside == alone
    assert generator.complete(other) != alone


def test_it_ends_before_a_stop_word(generator):
    whole = generator.complete(request(max_tokens=20))
    stop = whole[5:8]
    text, end = finished(generator, request(max_tokens=20, stop=[stop]))
    assert end.reason == "stop"
    assert text == whole[: whole.index(stop)]


def test_it_can_be_cancelled(generator):
    calls = iter([False, False, True])
    ends = []
    pieces = generator.stream(request(max_tokens=30), lambda: next(calls), ends.append)
    assert "".join(pieces) is not None
    assert (ends[0].reason, ends[0].tokens) == ("cancelled", 2)


def test_an_empty_prompt_writes_too(generator):
    assert isinstance(generator.complete(request(prompt="", temperature=1.0)), str)


@pytest.mark.parametrize(
    ("pieces", "stops", "expected", "stopped"),
    [
        (["ab", "cd"], [], "abcd", False),
        (["ab", "c", "d"], ["bc"], "a", True),
        (["a", "b", "x"], ["bc"], "abx", False),
        (["aab", "ab"], ["abab"], "a", True),
        (["ends wi"], ["with"], "ends wi", False),
        (["x stop y"], ["top", "stop"], "x ", True),
    ],
)
def test_what_may_become_a_stop_word_is_held_back(pieces, stops, expected, stopped):
    held = _HeldBack(stops)
    text = ""
    for piece in pieces:
        text += held.feed(piece)
        assert not any(stop in text for stop in stops)
        if held.stopped:
            break
    assert text + held.rest() == expected
    assert held.stopped is stopped


def drawn(logits, count=4000, **settings):
    random = np.random.Generator(np.random.Philox(key=0))
    options = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "random": random} | settings
    return np.bincount([choose(logits, **options) for _ in range(count)], minlength=len(logits))


def test_tokens_are_drawn_by_their_probability():
    p = np.array([0.1, 0.5, 0.15, 0.25])
    assert np.abs(drawn(np.log(p)) / 4000 - p).max() < 0.03
    hot = p**0.5 / (p**0.5).sum()
    assert np.abs(drawn(np.log(p), temperature=2.0) / 4000 - hot).max() < 0.03


def test_top_k_and_top_p_cut_the_tail():
    logits = np.log(np.array([0.1, 0.5, 0.15, 0.25]))
    assert (drawn(logits, 500, top_k=2) > 0).tolist() == [False, True, False, True]
    assert (drawn(logits, 500, top_p=0.5) > 0).tolist() == [False, True, False, False]
    assert (drawn(logits, 500, top_p=0.8) > 0).tolist() == [False, True, True, True]
    assert (drawn(logits, 500, top_p=1e-9) > 0).tolist() == [False, True, False, False]


def test_temperature_zero_takes_the_likeliest():
    assert choose(np.array([0.0, 3.0, 3.0]), temperature=0, top_k=0, top_p=1, random=None) == 1


def test_rows_beyond_the_tokenizer_are_never_written(finished_run):
    """A padded embedding has rows that mean no token."""
    from training.backbones.gpt2.model import GPT2

    checkpoint = read_checkpoint(finished_run / "checkpoint")
    config = checkpoint.config.model_copy(update={"vocab_size": checkpoint.config.vocab_size + 8})
    model = GPT2(config)
    tensors = dict(checkpoint.tensors())
    table = tensors["transformer.wte.weight"]
    tensors["transformer.wte.weight"] = np.concatenate([table, 50 * np.ones((8, 16), np.float32)])
    model.load_named(tensors)
    generator = Generator(model, Tokenizer.load(checkpoint.tokenizer_folder))
    assert isinstance(generator.complete(request(max_tokens=5)), str)


def test_few_checkpoints_stay_in_memory(finished_run):
    folder = str(finished_run / "checkpoint")
    warm = Warm(most_bytes=10**9)
    first = warm.generator(folder)
    assert warm.generator(folder) is first
    tight = Warm(most_bytes=1)
    assert tight.generator(folder) is not None
    assert len(tight._open) == 1


@pytest.mark.slow
def test_the_server_answers_two_at_a_time_cancels_and_survives_bad_requests(finished_run):
    folder = str(finished_run / "checkpoint")
    ask = {"op": "generate", "checkpoint": folder, "temperature": 1.0}
    lines = [
        {"id": "a", **ask, "prompt": "the whale", "max_tokens": 20},
        {"id": "b", **ask, "prompt": "the sea", "max_tokens": 20, "seed": 1},
        {"id": "wrong", "op": "generate", "checkpoint": folder, "temperature": 99},
        {"id": "none", **ask, "checkpoint": folder + "-none"},
        {"id": "c", **ask, "max_tokens": 4000},
        {"id": "c", "op": "cancel"},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "training", "serve"],
        input="".join(json.dumps(line) + "\n" for line in lines) + "not json\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0] == {"kind": "ready"}
    last = {a["id"]: a for a in answers[1:]}
    assert last["a"]["kind"] == last["b"]["kind"] == "done"
    assert last["c"]["reason"] == "cancelled"
    assert (last["wrong"]["code"], last["wrong"]["field"]) == ("spec_invalid", "temperature")
    assert last["none"]["code"] == "checkpoint_missing"
    assert last[""]["code"] == "spec_invalid"
    order = [a["id"] for a in answers[1:] if a["kind"] == "token" and a["id"] in "ab"]
    assert order != sorted(order), "they did not take turns"
    text = "".join(a["text"] for a in answers[1:] if a["id"] == "a" and a["kind"] == "token")
    spec = GenerateSpec(**{k: v for k, v in lines[0].items() if k not in ("id", "op")})
    assert text == open_generator(finished_run / "checkpoint").complete(spec)
