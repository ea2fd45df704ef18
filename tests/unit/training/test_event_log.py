import errno
import os
import signal
import threading

import pytest

from training import stopping
from training.events import EventLog, read_events


@pytest.fixture
def log(tmp_path):
    found = EventLog(tmp_path / "events.jsonl")
    yield found
    found.close()


def test_threads_share_a_log_without_gaps_or_torn_lines(log, tmp_path):
    def work():
        for step in range(200):
            log.emit("metric", step=step, values={"loss": 1.0})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events, _offset = read_events(tmp_path / "events.jsonl")
    assert [event["seq"] for event in events] == list(range(1, 801))


def test_half_a_surrogate_pair_of_a_stranger_s_is_told_as_a_question_mark(log, tmp_path):
    log.emit("log", level="info", text="\ud800 is no character")
    events, _offset = read_events(tmp_path / "events.jsonl")
    assert events[0]["text"] == "? is no character"


def test_a_full_disk_leaves_no_half_line(log, tmp_path, monkeypatch):
    log.emit("log", level="info", text="before")
    write, calls = os.write, []

    def short(descriptor, data):
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space"):
        log.emit("log", level="info", text="lost")
    monkeypatch.undo()
    log.emit("log", level="info", text="after")
    events, _offset = read_events(tmp_path / "events.jsonl")
    assert [(event["seq"], event["text"]) for event in events] == [(1, "before"), (2, "after")]


def test_a_request_to_stop_waits_for_the_end_of_a_line(log, tmp_path, monkeypatch):
    write = os.write

    def interrupted(descriptor, data):
        os.kill(os.getpid(), signal.SIGTERM)
        return write(descriptor, data)

    with stopping.listening():
        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(stopping.Stopped):
            log.emit("log", level="info", text="whole")
        monkeypatch.undo()
        log.emit("stopped", step=0)
    events, _offset = read_events(tmp_path / "events.jsonl")
    assert [(event["seq"], event["kind"]) for event in events] == [(1, "log"), (2, "stopped")]


def test_a_deferred_request_is_seen_and_not_raised():
    with stopping.listening(), stopping.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.requested()
    with stopping.listening():
        assert not stopping.requested()
