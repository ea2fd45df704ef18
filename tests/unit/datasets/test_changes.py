"""Adding a version, checking again, editing, cancelling, samples: what changes a dataset."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import Cast, make_upload, make_version
from webapp.accounts.models import AuditEvent
from webapp.datasets import services
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.jobs.models import Job, State

SETTINGS = {
    "format": "auto",
    "text_field": "",
    "folders_are_classes": "on",
    "leave_out_unlabelled": "on",
    "same_level": "on",
    "validation_percent": "5",
    "test_percent": "5",
    "remove_duplicates": "on",
    "seed": "0",
}


def _file(content: bytes = b"One.\n\nTwo.\n") -> SimpleUploadedFile:
    return SimpleUploadedFile("letters.txt", content)


def test_a_version_is_added(alice: Client, cast: Cast) -> None:
    first = make_version(cast)
    answer = alice.post(f"/data/{first.dataset_id}/add", SETTINGS | {"file": _file()})
    second = DatasetVersion.objects.get(number=2)
    assert answer["Location"] == f"/data/versions/{second.pk}"


def test_its_form_begins_with_the_settings_of_the_one_before(alice: Client, cast: Cast) -> None:
    first = make_version(cast)
    first.job.spec["text_field"] = "body"
    first.job.save()
    assert 'value="body"' in alice.get(f"/data/{first.dataset_id}/add").content.decode()


def test_the_same_file_is_already_here(alice: Client, cast: Cast) -> None:
    first = make_version(cast)
    alice.post(f"/data/{first.dataset_id}/add", SETTINGS | {"file": _file()})
    answer = alice.post(f"/data/{first.dataset_id}/add", SETTINGS | {"file": _file()})
    assert answer.status_code == 422
    assert "already here as version 2" in answer.content.decode()
    assert DatasetVersion.objects.count() == 2


def test_the_same_file_with_other_settings_is_another_version(alice: Client, cast: Cast) -> None:
    first = make_version(cast)
    url = f"/data/{first.dataset_id}/add"
    alice.post(url, SETTINGS | {"file": _file()})
    assert alice.post(url, SETTINGS | {"file": _file(), "seed": "1"}).status_code == 302


def test_a_failed_check_is_tried_again_without_uploading(alice: Client, cast: Cast) -> None:
    version = make_version(cast, state=State.FAILED)
    before = version.job_id
    answer = alice.post(f"/data/versions/{version.pk}/again", SETTINGS | {"text_field": "body"})
    version.refresh_from_db()
    assert answer["Location"] == f"/data/versions/{version.pk}"
    assert version.number == 1
    assert version.job_id != before
    assert version.job.spec["text_field"] == "body"
    assert version.job.spec["path"] == Job.objects.get(pk=before).spec["path"]
    assert AuditEvent.objects.filter(action="dataset.check_again").exists()


def test_of_a_ready_version_another_one_is_made(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    alice.post(f"/data/versions/{version.pk}/again", SETTINGS | {"seed": "7"})
    assert DatasetVersion.objects.get(number=2).job.spec["seed"] == 7
    version.refresh_from_db()
    assert version.is_ready


def test_with_the_same_settings_there_is_nothing_to_do(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    answer = alice.post(f"/data/versions/{version.pk}/again", SETTINGS)
    assert answer.status_code == 422
    assert "already here as version 1" in answer.content.decode()


def test_shares_that_leave_nothing_are_refused(alice: Client, cast: Cast) -> None:
    version = make_version(cast, state=State.FAILED)
    wrong = SETTINGS | {"validation_percent": "50", "test_percent": "50"}
    answer = alice.post(f"/data/versions/{version.pk}/again", wrong)
    assert answer.context["form"].errors["test_percent"]


def test_the_description_is_edited(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    url = f"/data/{version.dataset_id}/edit"
    assert "What people wrote." in alice.get(url).content.decode()
    alice.post(url, {"name": "Notes", "description": "New", "origin": "CC-BY"})
    dataset = Dataset.objects.get()
    assert (dataset.name, dataset.description, dataset.origin) == ("Notes", "New", "CC-BY")
    changed = AuditEvent.objects.get(action="dataset.edit").data["changed"]
    assert changed["name"] == ["Letters", "Notes"]


def test_its_own_name_is_not_taken(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    make_version(cast, name="Other")
    url = f"/data/{version.dataset_id}/edit"
    assert alice.post(url, {"name": "Letters"}).status_code == 302
    assert alice.post(url, {"name": "Other"}).status_code == 422


def test_a_check_is_cancelled(alice: Client, cast: Cast) -> None:
    version = make_version(cast, state=State.QUEUED)
    alice.post(f"/data/versions/{version.pk}/cancel")
    version.job.refresh_from_db()
    assert version.job.state == State.CANCELLED
    page = alice.get(f"/data/versions/{version.pk}").content.decode()
    assert "The check was cancelled" in page


def test_cancelling_what_has_ended_says_so(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    answer = alice.post(f"/data/versions/{version.pk}/cancel", follow=True)
    assert "has ended already" in answer.content.decode()


def test_sample_data_is_one_click_away(alice: Client, cast: Cast) -> None:
    assert alice.post("/data/samples").status_code == 302
    names = set(Dataset.objects.values_list("name", flat=True))
    assert names == {"Brown corpus", "Moby-Dick", "宋词 (Song lyrics)", "Synthesised sounds"}
    assert all(Dataset.objects.values_list("origin", flat=True))
    assert Job.objects.filter(kind="prepare", state=State.QUEUED).count() == 4


def test_loading_samples_twice_changes_nothing(cast: Cast) -> None:
    first = services.sample_data_load(team=cast.team, owner=cast.alice)
    again = services.sample_data_load(team=cast.team, owner=cast.alice)
    assert first == again
    assert [version.filename for version in first] == [
        "brown.jsonl",
        "moby_dick.jsonl",
        "song_ci.jsonl",
        "sounds.zip",
    ]


def test_a_sample_makes_way_for_a_name_that_is_taken(cast: Cast) -> None:
    make_version(cast, name="Moby-Dick")
    versions = services.sample_data_load(team=cast.team, owner=cast.alice)
    assert versions[1].dataset.name == "Moby-Dick (2)"


def test_an_upload_is_discarded_without_a_script(alice: Client, cast: Cast) -> None:
    upload = make_upload(cast)
    assert alice.post(f"/data/uploads/{upload.pk}/discard").status_code == 302
    assert not Upload.objects.exists()


def _changes(version: Any) -> list[str]:
    return [
        f"/data/{version.dataset_id}/add",
        f"/data/{version.dataset_id}/edit",
        f"/data/versions/{version.pk}/again",
        f"/data/versions/{version.pk}/cancel",
    ]


@pytest.mark.parametrize("place", range(4))
def test_viewers_may_not(client: Client, cast: Cast, place: int) -> None:
    version = make_version(cast, state=State.QUEUED)
    client.force_login(cast.vera)
    assert client.post(_changes(version)[place], SETTINGS).status_code == 403
    assert client.post("/data/samples").status_code == 403


@pytest.mark.parametrize("place", range(4))
def test_for_outsiders_there_is_nothing(client: Client, cast: Cast, place: int) -> None:
    version = make_version(cast, state=State.QUEUED)
    client.force_login(cast.mallory)
    assert client.post(_changes(version)[place], SETTINGS).status_code == 404
