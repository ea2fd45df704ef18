"""Reading a job's event log into the database; what it means for runs is tested with the runs."""

import pytest

from tests.factories.jobs import make_job
from training.events import EventLog, tell_sample
from webapp.jobs.ingest import Reader
from webapp.jobs.models import JobEvent, State


@pytest.fixture
def job(cast):
    return make_job(cast, state=State.RUNNING)


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    yield log
    log.close()


def rows(job):
    return list(JobEvent.objects.filter(job=job).order_by("seq").values_list("data__text"))


def test_the_folder_says_which_attempt_read_it_last(job, log, tmp_path):
    log.emit("log", level="info", text="one")
    reader = Reader(job, tmp_path)
    reader.read(1)
    log.emit("log", level="info", text="two")
    reader.read(1)
    assert (tmp_path / "attempt").read_text() == "1"
    assert rows(job) == [("one",), ("two",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attempt", "events.jsonl"]


@pytest.mark.parametrize("left", ["", "\x00\x00"])
def test_a_mark_that_was_lost_with_the_host_means_that_the_log_is_read_anew(
    job, log, tmp_path, left
):
    log.emit("log", level="info", text="one")
    Reader(job, tmp_path).read(1)
    job.attempt = 2
    job.save()
    job.refresh_from_db()
    (tmp_path / "attempt").write_text(left)
    log.emit("log", level="info", text="two")
    reader = Reader(job, tmp_path)
    reader.read(2)
    assert rows(job) == [("one",), ("two",)]
    assert (tmp_path / "attempt").read_text() == "2"


def test_a_sound_goes_with_its_picture_and_is_void_with_it(job, log, tmp_path):
    def told(step):
        tell_sample(log, step, {"prompt": "bell", "text": "", "sounds": [b"RIFF one", b"RIFF two"]})

    def kept():
        found = JobEvent.objects.filter(job=job, kind__in=["sample", "sound"]).order_by("seq")
        return [(event.kind, event.step, event.data.get("place")) for event in found]

    for step in (0, 5):
        told(step)
    reader = Reader(job, tmp_path)
    reader.read(1)
    row = [("sample", 0, None), ("sound", 0, 0), ("sound", 0, 1)]
    assert kept() == [*row, ("sample", 5, None), ("sound", 5, 0), ("sound", 5, 1)]
    assert JobEvent.objects.get(job=job, seq=1).data["sounds"] == 2
    log.emit("resumed", step=3)
    reader.read(1)
    assert kept() == row
    # A log that is read as a whole: what was void never becomes a row.
    told(5)
    log.emit("resumed", step=4)
    reader.read(1)
    assert kept() == row
