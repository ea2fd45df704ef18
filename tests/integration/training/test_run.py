"""Whole runs as processes: what they leave behind, and what a disturbance may not change."""

import json
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.integration.training.tiny import (
    curve,
    events_of,
    finish,
    samples,
    start,
    tiny_spec,
    write_dataset,
)
from training.data.tokenizer import Tokenizer
from training.engine.run import thin
from training.errors import EXIT_DONE, EXIT_REFUSED, EXIT_STOPPED
from training.methods.self_supervised.causal_lm import scratch_twin
from training.spec import RunSpec
from training.weights.checkpoint import read_checkpoint


def tensors(out):
    return dict(read_checkpoint(out / "checkpoint", verify=True).tensors())


def wait_for(out, kind, timeout=300):
    """The first event of a kind, once there is one."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for event in events_of(out) if out.exists() else []:
            if event["kind"] == kind:
                return event
        time.sleep(0.1)
    raise AssertionError(f"no {kind} within {timeout} s")


def assert_same_end(out, undisturbed):
    assert curve(out) == curve(undisturbed)
    assert samples(out) == samples(undisturbed)
    ours, theirs = tensors(out), tensors(undisturbed)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    ours, theirs = (json.loads((run / "report.json").read_text()) for run in (out, undisturbed))
    for name in ("before", "after", "best", "curves", "samples", "steps", "tokens"):
        assert ours[name] == theirs[name], name


def test_it_learns_and_tells_of_it(finished_run):
    values = curve(finished_run)
    assert values["loss", 12] < values["loss", 1]
    assert {step for name, step in values if name == "validation_loss"} == {0, 3, 6, 9, 12}
    assert {step for step, _prompt in samples(finished_run)} == {0, 6, 12}
    kinds = [event["kind"] for event in events_of(finished_run)]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert {"phase", "progress", "checkpoint", "metric", "sample"} <= set(kinds)
    sequence = [event["seq"] for event in events_of(finished_run)]
    assert sequence == list(range(1, len(sequence) + 1))


def test_the_second_started_event_says_what_the_run_is(finished_run):
    first, second = (e for e in events_of(finished_run) if e["kind"] == "started")
    assert first["pid"] == second["pid"]
    assert second["devices"] == ["CPU:0"]
    assert second["precision"] == "float32"
    assert second["parameters"]["total"] == second["parameters"]["trainable"] > 0
    assert second["total_steps"] == 12


def test_the_report_has_what_the_formats_page_says(finished_run):
    report = json.loads((finished_run / "report.json").read_text())
    assert report["version"] == 1
    assert report["steps"] == 12
    assert 12 * 4 * 16 - 16 < report["tokens"] <= 12 * 4 * 16  # the last block is not full
    for moment in ("before", "after"):
        assert report[moment]["validation"].keys() == {"loss", "perplexity", "accuracy", "tokens"}
        assert report[moment]["test"]["tokens"] > 0
    assert report["after"]["validation"]["loss"] < report["before"]["validation"]["loss"]
    assert report["curves"]["loss"][0][0] == 1
    assert report["weights"] is None
    assert [s["prompt"] for s in report["samples"]["before"]] == (
        [s["prompt"] for s in report["samples"]["after"]]
    )
    assert report["environment"]["threads"]


def test_the_checkpoint_holds_the_best_weights_and_their_tokenizer(finished_run):
    report = json.loads((finished_run / "report.json").read_text())
    checkpoint = read_checkpoint(finished_run / "checkpoint", verify=True)
    assert checkpoint.card["scores"]["validation_loss"] == report["after"]["validation"]["loss"]
    assert checkpoint.card["made_by"]["seed"] == 3
    assert Tokenizer.load(checkpoint.tokenizer_folder).size == checkpoint.config.vocab_size


def test_two_states_are_kept_and_share_the_best_weights(finished_run):
    kept = sorted(folder.name for folder in (finished_run / "state").iterdir())
    assert kept == ["step-00000008", "step-00000012"]


def test_running_it_again_changes_nothing(finished_run, tiny_dataset, tmp_path):
    before = (finished_run / "events.jsonl").read_bytes()
    code, _errors = finish(start(tiny_spec(tiny_dataset), finished_run))
    assert code == EXIT_DONE
    assert (finished_run / "events.jsonl").read_bytes() == before


#: Where one and the same run is killed, time after time, and the step from which it then goes on.
#: Numbers count from each start; states are of the steps 0, 4, 8 and 12. Two runs, side by side:
#: one is killed on its way, one at its end.
FAULTS = [
    {
        "state.write:1": -1,  # the very first state: nothing is kept, and step 0 comes again
        "loop.step:1": 0,
        "state.weights.tensor:2": 0,
        "state.sync:1": 0,
        "state.rename:1": 4,  # just after it has its name
        "state.prune:1": 8,  # three states are there
        "loop.step:2": 8,
    },
    {
        "finish.checkpoint:1": 12,
        "checkpoint.rename:1": 12,
        "finish.report:1": 12,
        "report.rename:1": 12,
    },
]


def killed_at(faults, spec, out):
    """Start a run again and again, killed at each of the faults and then no more."""
    for fault in faults:
        code, errors = finish(start(spec, out, GRAFT_FAULT=fault))
        assert code == -signal.SIGKILL, (fault, errors)
    code, errors = finish(start(spec, out))
    assert code == EXIT_DONE, errors


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_every_durable_step_it_goes_on_to_the_same_end(
    tiny_dataset, finished_run, tmp_path
):
    spec, outs = tiny_spec(tiny_dataset), [tmp_path / "on the way", tmp_path / "at the end"]
    with ThreadPoolExecutor(len(FAULTS)) as side_by_side:
        list(side_by_side.map(killed_at, FAULTS, [spec] * len(FAULTS), outs))
    for faults, out in zip(FAULTS, outs, strict=True):
        went_on = [event["step"] for event in events_of(out) if event["kind"] == "resumed"]
        assert went_on == list(faults.values())
        assert_same_end(out, finished_run)
        assert not list(out.rglob(".tmp-*"))


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_to_the_same_end(tiny_dataset, tmp_path):
    spec = tiny_spec(tiny_dataset, training={"steps": 40, "dropout": 0.1, "accumulation": 2})
    calm, out = tmp_path / "calm", tmp_path / "run"
    started = time.monotonic()
    assert finish(start(spec, calm))[0] == EXIT_DONE
    took = time.monotonic() - started
    moments = random.Random(7)
    for _kill in range(2):  # many more: make experiments ARGS=kills
        process = start(spec, out)
        time.sleep(moments.uniform(0.3, 1.0) * took)
        process.kill()
        finish(process)
    assert finish(start(spec, out))[0] == EXIT_DONE
    assert_same_end(out, calm)


@pytest.mark.slow
def test_stopped_on_request_it_saves_and_resumes(tiny_dataset, tmp_path):
    spec = tiny_spec(tiny_dataset, training={"steps": 3000}, evaluation={"every": 1000})
    out = tmp_path / "run"
    process = start(spec, out)
    wait_for(out, "progress")
    process.terminate()
    code, errors = finish(process)
    assert code == EXIT_STOPPED, errors
    last = events_of(out)[-1]
    assert last["kind"] == "stopped"
    assert (out / "state" / f"step-{last['step']:08d}" / "state.json").exists()
    process = start(spec, out)
    assert wait_for(out, "resumed")["step"] == last["step"]
    process.terminate()
    code, errors = finish(process)
    assert code == EXIT_STOPPED, errors


@pytest.mark.slow
def test_a_damaged_newest_state_falls_back_to_the_older_one(tiny_dataset, finished_run, tmp_path):
    out, spec = tmp_path / "run", tiny_spec(tiny_dataset)
    finish(start(spec, out, GRAFT_FAULT="loop.step:10"))
    newest = out / "state" / "step-00000008" / "weights.safetensors"
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    assert finish(start(spec, out))[0] == EXIT_DONE
    told = events_of(out)
    assert [event["step"] for event in told if event["kind"] == "resumed"] == [4]
    assert any("step-00000008" in e["text"] for e in told if e["kind"] == "log")
    assert_same_end(out, finished_run)


@pytest.mark.slow
def test_a_full_disk_is_told_and_what_was_kept_stays(tiny_dataset, finished_run, tmp_path):
    out, spec = tmp_path / "run", tiny_spec(tiny_dataset)
    for point in ("state.write:2", "checkpoint.tokenizer:1", "report.write:1"):
        code, errors = finish(start(spec, out, GRAFT_FAULT=f"{point}:enospc"))
        assert code == EXIT_REFUSED, (point, errors)
        last = events_of(out)[-1]
        assert (last["kind"], last["code"]) == ("error", "disk_full"), point
        assert list((out / "state").glob("step-*"))
    assert finish(start(spec, out))[0] == EXIT_DONE
    assert_same_end(out, finished_run)


def test_another_specs_folder_is_refused(finished_run, tiny_dataset, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished_run / "state", out / "state")
    code, _errors = finish(start(tiny_spec(tiny_dataset, seed=4), out))
    assert code == EXIT_REFUSED
    assert events_of(out)[-1]["code"] == "state_of_another_run"


def test_a_model_that_will_not_fit_is_refused_before_it_is_built(tiny_dataset, tmp_path):
    huge = {"n_embd": 16_384, "n_layer": 100, "n_head": 16, "n_positions": 32}
    code, _errors = finish(start(tiny_spec(tiny_dataset, model=huge), tmp_path / "run"))
    assert code == EXIT_REFUSED
    last = events_of(tmp_path / "run")[-1]
    assert last["code"] == "out_of_memory"
    assert "GB" in last["params"]["needed"]


@pytest.mark.slow
def test_a_transfer_starts_from_its_source_and_its_twin_does_not(finished_run, tmp_path):
    dataset = write_dataset(tmp_path / "target", seed=9)
    spec = tiny_spec(dataset, source={"checkpoint": str(finished_run / "checkpoint")}, model=None)
    spec["tokenizer"] = {"kind": "source"}
    source = read_checkpoint(finished_run / "checkpoint")
    twin = scratch_twin(RunSpec.model_validate(spec), source.config).model_dump(mode="json")
    both = start(spec, tmp_path / "transfer"), start(twin, tmp_path / "twin")
    assert [finish(process)[0] for process in both] == [EXIT_DONE, EXIT_DONE]
    weights = next(e for e in events_of(tmp_path / "transfer") if e["kind"] == "weights")
    assert weights["verified"] is True
    assert weights["parameters_copied"] == weights["parameters_total"]
    assert (
        curve(tmp_path / "transfer")["validation_loss", 0]
        < (curve(tmp_path / "twin")["validation_loss", 0])
    )
    card = read_checkpoint(tmp_path / "transfer" / "checkpoint").card
    assert card["parents"] == [source.weights_sha256]


@pytest.mark.slow
def test_lora_leaves_merged_weights_and_an_adapter(finished_run, tiny_dataset, tmp_path):
    spec = tiny_spec(
        tiny_dataset,
        model=None,
        source={"checkpoint": str(finished_run / "checkpoint")},
        tokenizer={"kind": "source", "vocabulary_size": 300},
        training={"lora": {"rank": 2}},
    )
    out = tmp_path / "run"
    assert finish(start(spec, out, GRAFT_FAULT="loop.step:7"))[0] == -signal.SIGKILL
    assert finish(start(spec, out))[0] == EXIT_DONE
    adapter = json.loads((out / "checkpoint/adapter/adapter_config.json").read_text())
    assert (adapter["r"], adapter["fan_in_fan_out"]) == (2, True)
    from safetensors.numpy import load_file

    factors = load_file(out / "checkpoint/adapter/adapter_model.safetensors")
    name = "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"
    assert factors[name].shape == (2, 16)
    base, merged = tensors(finished_run), tensors(out)
    changed = {name for name in base if not np.array_equal(base[name], merged[name])}
    assert all(name.endswith(("c_attn.weight", "attn.c_proj.weight")) for name in changed)
    a, b = (factors[name.replace("lora_A", f"lora_{letter}")] for letter in "AB")
    matrix = "transformer.h.0.attn.c_attn.weight"
    assert np.allclose(merged[matrix], base[matrix] + 8 * (b @ a).T, atol=1e-6)

    # What is kept apart, added to the base on demand, is the trained model again.
    for scale, expected in ((1.0, merged), (0.0, base)):
        spec = {"method": "lora", "base": str(finished_run / "checkpoint"), "scale": scale}
        spec |= {"checkpoints": [str(out / "checkpoint")]}
        assert finish(start(spec, tmp_path / f"added-{scale}", "merge"))[0] == EXIT_DONE
        added = tensors(tmp_path / f"added-{scale}")
        assert all(np.allclose(added[name], expected[name], atol=1e-6) for name in expected)


def test_long_curves_keep_their_ends():
    points = [[step, float(step)] for step in range(5001)]
    thinned = thin(points)
    assert len(thinned) == 2000
    assert (thinned[0], thinned[-1]) == (points[0], points[-1])
    assert thin(points[:5]) == points[:5]


@pytest.mark.slow
def test_on_two_virtual_devices_it_resumes_to_the_same_end(tiny_dataset, tmp_path):
    spec = tiny_spec(tiny_dataset, devices={"kind": "cpu", "count": 2}, training={"dropout": 0.1})
    calm, out, two = tmp_path / "calm", tmp_path / "run", {"GRAFT_VIRTUAL_CPUS": "2"}
    both = start(spec, calm, **two), start(spec, out, GRAFT_FAULT="loop.step:6", **two)
    assert [finish(process)[0] for process in both] == [EXIT_DONE, -signal.SIGKILL]
    assert finish(start(spec, out, **two))[0] == EXIT_DONE
    assert_same_end(out, calm)
