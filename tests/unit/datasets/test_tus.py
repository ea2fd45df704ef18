"""Our end of the tus protocol, as a client sees it."""

import base64
import errno
from typing import Any
from unittest import mock

import pytest
from django.test import Client

from tests.factories import Cast, make_job, make_upload, make_version
from webapp.accounts.models import AuditEvent
from webapp.checkpoints.models import CheckpointImport
from webapp.datasets import services, uploads
from webapp.datasets.models import DatasetVersion, Upload

URL = "/data/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
TYPE = "application/offset+octet-stream"


def _create(client: Client, size: int, **metadata: str) -> Any:
    pairs = ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items()
    )
    headers = TUS | {"Upload-Length": str(size), "Upload-Metadata": pairs}
    return client.post(URL, content_type=TYPE, headers=headers)


def _patch(client: Client, url: str, offset: int, data: bytes, **extra: str) -> Any:
    headers = TUS | {"Upload-Offset": str(offset)} | extra
    return client.patch(url, data, content_type=TYPE, headers=headers)


def test_it_says_what_it_can(alice: Client) -> None:
    answer = alice.options(URL)
    assert answer["Tus-Version"] == "1.0.0"
    assert "creation" in answer["Tus-Extension"]
    assert int(answer["Tus-Max-Size"]) > 2**30


def test_a_file_arrives_in_pieces(alice: Client, cast: Cast) -> None:
    answer = _create(alice, 10, filename="牧.txt")
    assert answer.status_code == 201
    url = answer["Location"]
    assert _patch(alice, url, 0, b"hello")["Upload-Offset"] == "5"
    head = alice.head(url, headers=TUS)
    assert (head["Upload-Offset"], head["Upload-Length"]) == ("5", "10")
    assert head["Cache-Control"] == "no-store"
    assert _patch(alice, url, 5, b"world").status_code == 204
    upload = Upload.objects.get()
    assert (upload.filename, upload.received, upload.owner) == ("牧.txt", 10, cast.alice)
    assert uploads.path_of(upload).read_bytes() == b"helloworld"
    assert AuditEvent.objects.filter(action="upload.create").exists()


def test_folders_keep_the_path_below_them(alice: Client) -> None:
    _create(alice, 10, filename="config.json", relativePath="model/config.json")
    assert Upload.objects.get().relative_path == "model/config.json"


def test_a_name_is_a_name_and_never_a_path(alice: Client) -> None:
    _create(alice, 10, filename="../../etc/passwd")
    upload = Upload.objects.get()
    assert upload.filename == "passwd"
    assert str(upload.pk) in str(uploads.path_of(upload))


def test_a_wrong_offset_is_a_conflict_and_writes_nothing(alice: Client) -> None:
    url = _create(alice, 10, filename="a.txt")["Location"]
    _patch(alice, url, 0, b"hello")
    assert _patch(alice, url, 0, b"hello").status_code == 409
    assert _patch(alice, url, 9, b"x").status_code == 409
    assert alice.head(url, headers=TUS)["Upload-Offset"] == "5"


def test_more_than_was_announced_is_refused(alice: Client) -> None:
    url = _create(alice, 4, filename="a.txt")["Location"]
    assert _patch(alice, url, 0, b"hello").status_code == 413
    assert alice.head(url, headers=TUS)["Upload-Offset"] == "0"


def test_too_large_a_file_is_refused_before_it_is_sent(alice: Client, settings: Any) -> None:
    settings.UPLOAD_LIMIT = 100
    answer = _create(alice, 101, filename="a.txt")
    assert answer.status_code == 413
    assert "larger than" in answer.content.decode()
    assert not Upload.objects.exists()


def test_what_the_disk_cannot_hold_is_refused_before_it_is_sent(alice: Client) -> None:
    with mock.patch("webapp.datasets.services.shutil.disk_usage") as usage:
        usage.return_value.free = 5
        answer = _create(alice, 6, filename="a.txt")
    assert answer.status_code == 413
    assert "no room" in answer.content.decode()


def test_a_full_disk_keeps_what_fitted_and_says_so(alice: Client) -> None:
    url = _create(alice, 10, filename="a.txt")["Location"]
    _patch(alice, url, 0, b"hello")
    with mock.patch("webapp.datasets.uploads.os.fsync", side_effect=OSError(errno.ENOSPC, "full")):
        answer = _patch(alice, url, 5, b"world")
    assert answer.status_code == 507
    assert "disk is full" in answer.content.decode()


def test_an_empty_file_is_refused_with_a_sentence(alice: Client) -> None:
    answer = _create(alice, 0, filename="a.txt")
    assert answer.status_code == 400
    assert "The file is empty" in answer.content.decode()


@pytest.mark.parametrize("length", ["", "-1", "ten", "1e3", "²"])
def test_a_length_that_is_none_is_refused(alice: Client, length: str) -> None:
    headers = TUS | {"Upload-Length": length}
    assert alice.post(URL, content_type=TYPE, headers=headers).status_code == 400


def test_another_version_of_the_protocol_is_refused(alice: Client) -> None:
    assert alice.post(URL, content_type=TYPE, headers={"Upload-Length": "4"}).status_code == 412
    url = _create(alice, 4, filename="a.txt")["Location"]
    assert alice.patch(url, b"x", content_type=TYPE).status_code == 412


def test_another_content_type_is_refused(alice: Client) -> None:
    url = _create(alice, 4, filename="a.txt")["Location"]
    headers = TUS | {"Upload-Offset": "0"}
    assert alice.patch(url, b"x", content_type="text/plain", headers=headers).status_code == 415


def test_a_cut_connection_keeps_what_arrived(alice: Client, cast: Cast) -> None:
    url = _create(alice, 10, filename="a.txt")["Location"]
    upload = Upload.objects.get()
    pieces = iter([b"hell", OSError("connection reset")])

    def read(size: int) -> bytes:
        piece = next(pieces)
        if isinstance(piece, OSError):
            raise piece
        return piece

    assert uploads.append(upload, 0, read, 10) == 4
    assert alice.head(url, headers=TUS)["Upload-Offset"] == "4"
    assert _patch(alice, url, 4, b"oworld").status_code == 204


def test_two_requests_never_write_at_once(alice: Client) -> None:
    url = _create(alice, 10, filename="a.txt")["Location"]
    with uploads._exclusive(uploads.path_of(Upload.objects.get())):
        assert _patch(alice, url, 0, b"hello").status_code == 423


def test_an_upload_whose_file_is_gone_says_so(alice: Client) -> None:
    url = _create(alice, 10, filename="a.txt")["Location"]
    uploads.path_of(Upload.objects.get()).unlink()
    assert _patch(alice, url, 0, b"hello").status_code == 410


def test_it_can_be_discarded(alice: Client) -> None:
    url = _create(alice, 10, filename="a.txt")["Location"]
    path = uploads.path_of(Upload.objects.get())
    assert alice.delete(url, headers=TUS).status_code == 204
    assert not path.exists()
    assert not Upload.objects.exists()


def test_what_a_version_is_made_of_cannot_be_discarded(alice: Client, cast: Cast) -> None:
    upload = make_upload(cast)
    version = make_version(cast)
    version.job.spec["path"] = f"upload:{upload.pk}"
    version.job.save()
    assert alice.delete(f"{URL}/{upload.pk}", headers=TUS).status_code == 409
    assert DatasetVersion.objects.exists()


@pytest.mark.parametrize("who", ["bob", "mallory"])
def test_others_do_not_learn_that_it_exists(cast: Cast, who: str) -> None:
    upload = make_upload(cast)
    other = Client()
    other.force_login(getattr(cast, who))
    url = f"{URL}/{upload.pk}"
    assert other.head(url, headers=TUS).status_code == 404
    assert _patch(other, url, 0, b"x").status_code == 404
    assert other.delete(url, headers=TUS).status_code == 404


def test_viewers_do_not_upload(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert _create(client, 10, filename="a.txt").status_code == 403


def test_a_file_that_a_waiting_import_names_is_kept(cast: Cast) -> None:
    upload = make_upload(cast)
    CheckpointImport.objects.create(
        name="Tiny",
        origin="upload",
        job=make_job(cast, kind="import_folder"),
        manifest={"model.safetensors": {"upload": str(upload.pk), "size": upload.size}},
        team=cast.team,
        owner=cast.alice,
    )
    assert not services.upload_discard(upload=upload, actor=cast.alice)
    assert uploads.path_of(upload).exists()


def test_uploads_that_nobody_used_for_a_week_are_given_up(cast: Cast) -> None:
    from django.utils import timezone

    kept, old = make_upload(cast), make_upload(cast)
    week = timezone.now() - services.UPLOAD_KEPT * 1.01
    Upload.objects.filter(pk=old.pk).update(updated_at=week)
    assert services.uploads_expire() == 1
    assert list(Upload.objects.all()) == [kept]
    assert not uploads.path_of(old).exists()
