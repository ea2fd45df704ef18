from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.training.tiny import finish, start, tiny_spec, write_dataset
from training.events import EventLog


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("tiny") / "dataset")


@pytest.fixture(scope="session")
def finished_run(tiny_dataset, tmp_path_factory):
    """The folder of a tiny run that was never disturbed."""
    out = tmp_path_factory.mktemp("finished") / "run"
    code, errors = finish(start(tiny_spec(tiny_dataset), out))
    assert code == 0, errors
    return out


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventLog]:
    """The log of a job that is run in the test's own process."""
    log = EventLog(tmp_path / "events.jsonl")
    yield log
    log.close()
