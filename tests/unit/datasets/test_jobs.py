"""What the kind ``prepare`` asks of its owner, with the engine's real preparation in between."""

from pathlib import Path

import pytest

from tests.factories import Cast, make_upload
from training.data import prepare
from training.data.prepare_spec import PrepareSpec
from training.events import EventLog
from webapp import storage
from webapp.datasets import jobs, selectors, services, uploads
from webapp.datasets.models import DatasetVersion
from webapp.jobs.errors import JobRefused

TEXT = b"".join(b'{"text": "Document %d has some words of its own."}\n' % n for n in range(200))


def _version(cast: Cast, content: bytes = TEXT) -> DatasetVersion:
    upload = make_upload(cast, content)
    return services.dataset_create(
        name="Letters",
        description="",
        origin="",
        raw=services.raw_of_upload(upload),
        spec=PrepareSpec(path=""),
        team=cast.team,
        owner=cast.alice,
    )


def test_a_check_from_upload_to_ready(cast: Cast, tmp_path: Path) -> None:
    version = _version(cast)
    (folder := tmp_path / "in").mkdir()
    spec = jobs.inputs(version.job, version.job.spec, folder)
    assert Path(spec["path"]).read_bytes() == TEXT
    log = EventLog(tmp_path / "events.jsonl")
    prepare.run(PrepareSpec(**spec), tmp_path / "out", log)
    log.close()
    jobs.finish(version.job, jobs.collect(version.job, tmp_path / "out"))
    version.refresh_from_db()
    assert version.is_ready
    assert version.summary["counts"]["documents"] == 200
    assert len(version.preview["documents"]) == 20
    assert storage.blob_exists(version.manifest["train.jsonl"]["blake3"])
    assert list(selectors.ready_texts(cast.alice, cast.team)) == [version]
    assert not selectors.ready_texts(cast.mallory, cast.team).exists()


def test_inputs_can_be_asked_for_again(cast: Cast, tmp_path: Path) -> None:
    version = _version(cast)
    for attempt in ("one", "two"):
        (folder := tmp_path / attempt).mkdir()
        spec = jobs.inputs(version.job, version.job.spec, folder)
        assert Path(spec["path"]).read_bytes() == TEXT
    version.refresh_from_db()
    assert version.raw_blake3


def test_a_kill_between_storing_and_writing_it_down_loses_nothing(
    cast: Cast, tmp_path: Path
) -> None:
    upload = make_upload(cast, TEXT)
    stored = storage.store_file(uploads.path_of(upload))
    assert uploads.store(upload) == stored.blake3
    assert not uploads.path_of(upload).exists()


def test_an_upload_that_is_gone_is_a_sentence(cast: Cast, tmp_path: Path) -> None:
    version = _version(cast)
    for path in (uploads.path_of(make_upload(cast)).parent).iterdir():
        path.unlink()
    with pytest.raises(JobRefused, match="no longer there"):
        jobs.inputs(version.job, version.job.spec, tmp_path)


def test_each_content_of_a_dataset_is_offered_once(cast: Cast) -> None:
    from tests.factories import make_version

    first = make_version(cast)
    make_version(cast, dataset=first.dataset, sha256=first.sha256)
    other = make_version(cast, dataset=first.dataset)
    assert list(selectors.ready_texts(cast.alice, cast.team)) == [other, first]
