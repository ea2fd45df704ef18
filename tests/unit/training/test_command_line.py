import errno
import fcntl
import json
import os
import subprocess
import sys
import time

import pytest

from tests.parity.text import CASES
from training.__main__ import main, read_spec
from training.errors import EXIT_DONE, EXIT_REFUSED, TrainingError
from training.events import EventLog, read_events
from training.methods.registry import METHODS
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import initial_tensors


def test_methods_are_json(capsys):
    assert main(["methods"]) == EXIT_DONE
    assert [method["name"] for method in json.loads(capsys.readouterr().out)] == list(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_the_spec_it_prints_is_valid_and_complete(capsys, name):
    assert main(["spec", name]) == EXIT_DONE
    printed = json.loads(capsys.readouterr().out)
    assert METHODS[name].settings.model_validate(printed).model_dump(mode="json") == printed
    assert printed["method"] == name


def test_the_estimate_needs_no_tensorflow(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("data: {path: x}\nmodel: {n_embd: 64, n_head: 2, n_layer: 2}\n")
    code = (
        "import sys; from training.__main__ import main\n"
        f"code = main(['estimate', {str(spec)!r}])\n"
        "assert not {'tensorflow', 'keras', 'transformers'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["memory_bytes"] > 0


def test_the_estimate_of_a_source_that_is_not_trained_is_a_sentence(tmp_path, capsys):
    config = CASES["bert-pooler"]
    tensors = initial_tensors(config.tensors(), 1)
    write_checkpoint(tmp_path / "bert", config, tensors, None, {})
    spec = tmp_path / "spec.json"
    source = {"checkpoint": str(tmp_path / "bert")}
    spec.write_text(json.dumps({"data": {"path": "x"}, "source": source}))
    assert main(["estimate", str(spec)]) == EXIT_REFUSED
    assert "does not train bert models" in capsys.readouterr().err


def test_a_wrong_spec_is_refused_at_its_field(tmp_path, capsys):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"data": {"path": "x"}, "training": {"steps": 0}}))
    assert main(["run", str(spec), "--out", str(tmp_path / "out")]) == EXIT_REFUSED
    events, _offset = read_events(tmp_path / "out" / "events.jsonl")
    assert [event["kind"] for event in events] == ["started", "error"]
    assert events[1]["code"] == "spec_invalid"
    assert events[1]["field"] == "training.steps"


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}'])
def test_what_is_not_a_spec_is_refused_with_a_sentence(tmp_path, text):
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(TrainingError) as caught:
        read_spec(path, "run")
    assert caught.value.code == "spec_invalid"


@pytest.mark.parametrize(
    ("command", "content"),
    [
        ("run", {"data": {"path": "d"}, "source": {"checkpoint": "c"}}),
        ("transfer", {"source": {"checkpoint": "c"}}),
    ],
)
def test_another_checkpoint_s_tokenizer_needs_that_checkpoint(tmp_path, command, content):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(content | {"tokenizer": {"kind": "checkpoint"}}))
    with pytest.raises(TrainingError) as caught:
        read_spec(path, command)
    assert (caught.value.code, caught.value.field) == ("spec_invalid", "tokenizer.checkpoint")
    path.write_text(json.dumps(content | {"tokenizer": {"kind": "checkpoint", "checkpoint": "t"}}))
    assert read_spec(path, command).tokenizer.checkpoint == "t"


def test_yaml_that_does_not_parse_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("a: [")
    with pytest.raises(TrainingError):
        read_spec(path, "run")


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_a_full_disk_speaks_of_resuming_only_where_a_state_was_kept(
    tmp_path, monkeypatch, state, told
):
    from training.interop import exporting

    def full(spec, out, events):
        if told:
            raise TrainingError("disk_full_writing", what="model.keras")
        raise OSError(errno.ENOSPC, "No space left on device", "/x/model.keras")

    monkeypatch.setattr(exporting, "run", full)
    (tmp_path / "spec.json").write_text('{"checkpoint": "c", "format": "huggingface"}')
    out = tmp_path / "out"
    if state:
        (out / "state" / "step-00000004").mkdir(parents=True)
    code = main(["export", str(tmp_path / "spec.json"), "--out", str(out), "--quiet"])
    assert code == EXIT_REFUSED
    last = read_events(out / "events.jsonl")[0][-1]
    expected = "disk_full" if state else "disk_full_writing"
    assert (last["code"], last["params"]) == (expected, {"what": "model.keras"})


def test_a_second_process_is_refused_and_does_not_touch_the_log(tmp_path, capsys):
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["run", "none.json", "--out", str(tmp_path)]) == EXIT_REFUSED
    assert "Another process" in capsys.readouterr().err
    assert not (tmp_path / "events.jsonl").exists()


def test_what_has_finished_is_not_done_again(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.emit("finished", report="report.json", result="checkpoint")
    log.close()
    assert main(["run", "none.json", "--out", str(tmp_path), "--quiet"]) == EXIT_DONE
    assert len(read_events(tmp_path / "events.jsonl")[0]) == 1


def test_it_dies_with_its_parent(tmp_path):
    """A shell starts the engine and is killed: the engine goes too."""
    pid_file = tmp_path / "pid"
    child = (
        "import os, time; from training.__main__ import die_with_parent; die_with_parent();"
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])",
            child,
        ],
        env={**os.environ, "GRAFT_DIE_WITH_PARENT": "1"},
    )
    deadline = time.monotonic() + 60
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = int(pid_file.read_text())
    parent.kill()
    parent.wait()
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.05)
    assert not _alive(pid)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
