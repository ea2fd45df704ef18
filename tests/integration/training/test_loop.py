"""The loop in this process: what accumulation, padding and replicas may not change."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.integration.training import reference
from tests.integration.training.tiny import tiny_spec
from training import stopping
from training.engine import state
from training.engine.loop import PROGRESS_S, Loop
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.methods.self_supervised.causal_lm import LoadedText
from training.spec import RunSpec


@pytest.fixture
def make_loop(tiny_dataset, tmp_path):
    """Builds a loop from parts of a spec."""
    logs = []

    def make(**parts):
        out = tmp_path / f"run-{len(logs)}"
        out.mkdir()
        logs.append(EventLog(out / "events.jsonl"))
        spec = RunSpec.model_validate(tiny_spec(tiny_dataset, **parts))
        strategy = tf.distribute.get_strategy()
        loaded = LoadedText(spec, out, logs[-1])
        task = loaded.build(
            compute_dtype="float32", fused=False, strategy=strategy, events=logs[-1]
        )
        position = state.Position(0, 0, spec.seed, "digest", 0.0, (2, 2))
        return Loop(spec, task, strategy, position, logs[-1], out / "state")

    yield make
    for log in logs:
        log.close()


def weights_after(loop, steps):
    for step in range(1, steps + 1):
        loop._update(step, 0.01)
    return {name: variable.numpy() for name, variable in loop.trained.items()}


@pytest.mark.parametrize("packing", [True, False])
def test_accumulated_batches_equal_one_large_batch(make_loop, packing):
    """Also where rows are padded differently: a mean of means would weigh them wrongly."""
    whole = make_loop(training={"batch_size": 8, "packing": packing})
    parts = make_loop(training={"batch_size": 2, "accumulation": 4, "packing": packing})
    a, b = weights_after(whole, 4), weights_after(parts, 4)
    assert max(np.abs(a[name] - b[name]).max() for name in a) < 2e-5


def test_the_reported_loss_is_that_of_a_plain_loop_padding_included(make_loop):
    loop = make_loop(training={"packing": False, "batch_size": 5})
    total = count = padded = 0
    for inputs, targets, mask in loop.task.evaluation_batches("validation", 100):
        logits = loop.task.model(inputs).numpy()
        nll, tokens = reference.negative_log_likelihood(logits, targets, mask)
        total, count = total + nll, count + tokens
        padded += mask.size - mask.sum()
    assert padded, "no batch has padding: the test would show nothing"
    scores = loop.evaluate("validation", 100)
    assert scores["tokens"] == count
    assert scores["loss"] == pytest.approx(total / count, rel=1e-6)
    assert scores["perplexity"] == pytest.approx(np.exp(total / count), rel=1e-5)


def test_the_step_reports_the_mean_over_its_real_tokens(make_loop):
    loop = make_loop(training={"packing": False, "batch_size": 3, "accumulation": 2})
    total = count = 0
    for index in range(2):
        inputs, targets, mask = loop.task.batch(index)
        nll, tokens = reference.negative_log_likelihood(
            loop.task.model(inputs).numpy(), targets, mask
        )
        total, count = total + nll, count + tokens
    loss, _norm, tokens = loop._update(1, 0.01)
    assert tokens == count
    assert loss == pytest.approx(total / count, rel=1e-6)


def test_a_loss_that_is_not_finite_ends_the_run_with_the_step_that_was_kept(make_loop):
    loop = make_loop(training={"learning_rate": 1.0, "clip_norm": None, "warmup_steps": 0})
    loop.trained["transformer.ln_f.weight"].assign(tf.fill([16], 1e30))
    loop.position.before, loop.saved_step = {}, 0
    with pytest.raises(TrainingError) as caught:
        loop.run()
    assert caught.value.code == "nan_loss"
    assert caught.value.params["kept_step"] == 0


def test_asked_to_stop_during_a_look_it_keeps_the_step_it_is_at(make_loop, monkeypatch):
    loop = make_loop(evaluation={"every": 3, "checkpoint_every": 100})
    scores, asked = loop._scorer._of_batch, []

    def ask_at_step_three(batch):
        if loop.position.step == 3:
            asked.append(True)
        return scores(batch)

    loop._scorer._of_batch = ask_at_step_three
    monkeypatch.setattr(stopping, "requested", lambda: bool(asked))
    with pytest.raises(stopping.Stopped) as stopped:
        loop.run()
    assert len(asked) == 2, "the look went on to its end"
    assert stopped.value.step == loop.saved_step == 3
    told = read_events(loop.root.parent / "events.jsonl")[0]
    looks = [e["step"] for e in told if e["kind"] == "metric" and "validation_loss" in e["values"]]
    assert looks == [0, 3]
    assert [event["step"] for event in told if event["kind"] == "checkpoint"] == [0, 3]


def test_asked_to_stop_before_the_first_step_it_does_not_evaluate_to_the_end(
    make_loop, monkeypatch
):
    loop = make_loop()
    monkeypatch.setattr(stopping, "requested", lambda: True)
    with pytest.raises(stopping.Stopped):
        loop.run()
    assert loop.saved_step == -1


def test_progress_is_told_often_but_not_at_every_step(make_loop):
    loop = make_loop(training={"steps": 60}, evaluation={"every": 100, "sample_every": 100})
    loop.run()
    told = [e for e in read_events(loop.root.parent / "events.jsonl")[0] if e["kind"] == "progress"]
    assert told[-1]["step"] == 60
    # Counted and not measured one by one: an event may be written late, and the next in time.
    assert len(told) <= 3 + (told[-1]["t"] - told[0]["t"]) / PROGRESS_S


def test_lora_trains_its_factors_only(make_loop):
    loop = make_loop(training={"lora": {"rank": 2}})
    before = loop.task.model.named()
    weights_after(loop, 2)
    after = loop.task.model.named()
    for name, value in after.items():
        assert np.array_equal(value, before[name]) == (".lora_" not in name), name


SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from training.engine import state
from training.engine.devices import configure
from training.events import EventLog
from training.methods.self_supervised.causal_lm import LoadedText
from training.spec import RunSpec

specs = [RunSpec.model_validate(one) for one in json.loads(sys.argv[1])]
devices = configure(specs[0].devices, (1, 2))
assert len(devices.names) == specs[0].devices.count
from training.engine.loop import Loop

for spec in specs:
    out = Path(sys.argv[2]) / str(spec.training.accumulation)
    out.mkdir(parents=True)
    events = EventLog(out / "events.jsonl")
    loaded = LoadedText(spec, out, events)
    task = loaded.build(
        compute_dtype="float32", fused=False, strategy=devices.strategy, events=events
    )
    loop = Loop(spec, task, devices.strategy, state.Position(0, 0, 3, "", 0.0, (1, 2)), events, out)
    losses = [loop._update(step, 0.01)[0] for step in range(1, 7)]
    np.savez(out / "weights.npz", losses=losses, **loop.task.model.named())
"""


@pytest.mark.slow
def test_two_virtual_devices_equal_one(tiny_dataset, tmp_path):
    """Five rows on two devices: one gets a row that does not count."""
    processes = []
    for count in (1, 2):
        specs = [
            tiny_spec(
                tiny_dataset,
                devices={"kind": "cpu", "count": count},
                training={"batch_size": 5, "accumulation": accumulation, "packing": False},
            )
            for accumulation in (1, 2)
        ]
        arguments = [json.dumps(specs), str(tmp_path / str(count))]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, *arguments],
                env={**os.environ, "GRAFT_VIRTUAL_CPUS": str(count)},
                cwd=Path(__file__).parents[3],
            )
        )
    try:
        assert [process.wait(300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    for accumulation in ("1", "2"):
        one, two = (
            dict(np.load(tmp_path / count / accumulation / "weights.npz")) for count in ("1", "2")
        )
        for name, value in one.items():
            assert np.abs(value - two[name]).max() < 1e-5, name
        assert np.abs(one["losses"] - two["losses"]).max() < 2e-6
