import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import Cast, make_upload, make_version
from webapp.accounts.models import AuditEvent
from webapp.datasets import services
from webapp.datasets.models import Dataset, DatasetVersion, Upload

URL = "/data/new"
FIELDS = {
    "name": "Letters",
    "description": "From my aunt",
    "origin": "Family; CC0",
    "format": "auto",
    "text_field": "",
    "validation_percent": "5",
    "test_percent": "5",
    "remove_duplicates": "on",
    "seed": "0",
}


def _file(content: bytes = b"One.\n\nTwo.\n", name: str = "letters.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_the_form_explains_each_field_with_the_specs_own_words(alice: Client) -> None:
    page = alice.get(URL).content.decode()
    assert "Examples held out to watch training." in page
    assert "data-upload-url" in page
    assert 'enctype="multipart/form-data"' in page


def test_an_upload_becomes_a_version_and_a_job(alice: Client, cast: Cast) -> None:
    upload = make_upload(cast, filename="letters.txt")
    answer = alice.post(URL, FIELDS | {"upload": str(upload.pk), "validation_percent": "7.5"})
    version = DatasetVersion.objects.select_related("job", "dataset").get()
    assert answer["Location"] == f"/data/versions/{version.pk}"
    assert version.dataset.name == "Letters"
    assert version.dataset.origin == "Family; CC0"
    assert (version.number, version.filename, version.raw_size) == (1, "letters.txt", upload.size)
    assert version.job.kind == "prepare"
    assert version.job.spec["path"] == f"upload:{upload.pk}"
    assert version.job.spec["validation_percent"] == 7.5
    assert version.job.spec["filename"] == "letters.txt"
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"dataset.create", "dataset.version"} <= actions


def test_without_a_script_the_file_comes_with_the_form(alice: Client) -> None:
    alice.post(URL, FIELDS | {"file": _file()})
    assert DatasetVersion.objects.get().raw_size == 11


def test_after_an_error_nothing_typed_and_nothing_sent_is_lost(alice: Client) -> None:
    answer = alice.post(URL, FIELDS | {"file": _file(), "name": "", "seed": "-3"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "From my aunt" in page
    assert 'value="-3"' in page
    assert "Must be 0 or more." in page
    kept = re.search(r'name="upload" value="([0-9a-f-]{36})"', page)
    assert kept
    assert "letters.txt" in page
    again = alice.post(URL, FIELDS | {"upload": kept[1]})
    assert again.status_code == 302


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("validation_percent", "0", "Must be more than 0"),
        ("validation_percent", "51", "Must be 50"),
        ("test_percent", "-1", "Must be 0"),
        ("test_percent", "abc", "Enter a number"),
        ("seed", str(2**31), "Must be less than"),
        ("format", "word", "word is not one of the available choices"),
    ],
)
def test_what_is_out_of_range_is_said_at_its_field(
    alice: Client, cast: Cast, field: str, value: str, sentence: str
) -> None:
    upload = make_upload(cast)
    answer = alice.post(URL, FIELDS | {"upload": str(upload.pk), field: value})
    form = answer.context["form"]
    assert sentence in " ".join(form.errors[field])
    assert not Dataset.objects.exists()


def test_a_name_that_is_taken_is_said_at_the_name(alice: Client, cast: Cast) -> None:
    make_version(cast, name="Letters")
    answer = alice.post(URL, FIELDS | {"file": _file()})
    assert "Choose another name" in str(answer.context["form"].errors["name"])


def test_a_name_taken_at_the_same_moment_is_said_too(
    alice: Client, cast: Cast, monkeypatch: Any
) -> None:
    from webapp.datasets.forms import NewDatasetForm

    make_version(cast, name="Letters")
    monkeypatch.setattr(NewDatasetForm, "clean_name", lambda self: self.cleaned_data["name"])
    answer = alice.post(URL, FIELDS | {"file": _file()})
    assert answer.status_code == 422
    assert "already" in str(answer.context["form"].errors["name"])


def test_without_a_file_it_asks_for_one(alice: Client) -> None:
    answer = alice.post(URL, FIELDS)
    assert "Choose a file." in str(answer.context["form"].errors["file"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"\x80\x04\x95\x10\x00\x00\x00", "pickle"),
        (b"\x89PNG\r\n\x1a\n....", "picture"),
    ],
)
def test_what_is_neither_text_nor_images_is_refused_at_once(
    alice: Client, content: bytes, sentence: str
) -> None:
    answer = alice.post(URL, FIELDS | {"file": _file(content)})
    assert sentence in str(answer.context["form"].errors["file"])
    assert not Dataset.objects.exists()


def test_a_file_cut_off_on_the_way_is_asked_for_again(alice: Client, cast: Cast) -> None:
    upload = services.upload_create(filename="big.txt", size=100, team=cast.team, owner=cast.alice)
    answer = alice.post(URL, FIELDS | {"upload": str(upload.pk)})
    assert "not arrived completely" in str(answer.context["form"].errors["file"])


def test_what_was_cut_off_is_listed_with_how_far_it_came(alice: Client, cast: Cast) -> None:
    upload = services.upload_create(filename="big.txt", size=1000, team=cast.team, owner=cast.alice)
    Upload.objects.filter(pk=upload.pk).update(received=999)
    page = alice.get(URL).content.decode()
    assert "Cut off on the way" in page
    assert "99% of 1000 B arrived" in page


def test_somebody_elses_upload_is_not_taken(alice: Client, cast: Cast) -> None:
    upload = make_upload(cast, owner=cast.bob)
    answer = alice.post(URL, FIELDS | {"upload": str(upload.pk)})
    assert "Choose a file." in str(answer.context["form"].errors["file"])


def test_viewers_may_not(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert client.get(URL).status_code == 403
    assert client.post(URL, FIELDS | {"file": _file()}).status_code == 403
    assert not Dataset.objects.exists()
