"""Preparing a small upload, for every test of what comes out."""

import json

import pytest

from training.data.prepare import run
from training.data.prepare_spec import PrepareSpec
from training.events import EventLog


@pytest.fixture
def prepared(tmp_path):
    """Prepare an upload; gives dataset.json, the splits and the events."""

    def make(content, name="upload.jsonl", **settings):
        source, out = tmp_path / name, tmp_path / "out"
        if not isinstance(content, str | bytes):
            content = "".join(json.dumps({"text": text}) + "\n" for text in content)
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        log = EventLog(tmp_path / "events.jsonl")
        try:
            run(PrepareSpec(path=str(source), filename=name, **settings), out, log)
        finally:
            log.close()
        return json.loads((out / "dataset" / "dataset.json").read_text())

    make.out = tmp_path / "out"
    make.events = tmp_path / "events.jsonl"
    return make
