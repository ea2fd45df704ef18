import io
import zipfile
from typing import Any

from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from webapp import storage

FILES = {"config.json": b"{}", "model.safetensors": b"w" * 3_000_000, "adapter/a.json": b"[]"}


def _body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_the_zip_has_every_file_and_the_length_it_said(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast, name="Moby Dick!", files=FILES)
    client.force_login(cast.vera)
    answer = client.get(f"/checkpoints/{checkpoint.pk}/download")
    body = _body(answer)
    assert int(answer["Content-Length"]) == len(body)
    assert answer["Content-Disposition"] == 'attachment; filename="moby-dick.zip"'
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert found == {f"moby-dick/{path}": content for path, content in FILES.items()}


def test_a_chinese_name_stays_readable(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast, name="宋词")
    client.force_login(cast.alice)
    answer = client.get(f"/checkpoints/{checkpoint.pk}/download")
    assert answer["Content-Disposition"].startswith("attachment; filename*=utf-8''%E5%AE%8B")
    with zipfile.ZipFile(io.BytesIO(_body(answer))) as archive:
        assert "宋词/config.json" in archive.namelist()


def test_a_missing_file_is_said_before_anything_is_sent(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    path = storage.blob_path(checkpoint.manifest["config.json"]["blake3"])
    assert path is not None
    path.unlink()
    client.force_login(cast.alice)
    answer = client.get(f"/checkpoints/{checkpoint.pk}/download", follow=True)
    assert answer.redirect_chain
    assert "not in the store any more" in answer.content.decode()


def test_one_file_can_be_taken_alone(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast, files=FILES)
    client.force_login(cast.vera)
    answer = client.get(f"/checkpoints/{checkpoint.pk}/files/adapter/a.json")
    assert _body(answer) == b"[]"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="a.json"'


def test_no_other_path_leads_anywhere(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    for path in ("nothing.json", "../../etc/passwd", "adapter", "%2e%2e/x"):
        assert client.get(f"/checkpoints/{checkpoint.pk}/files/{path}").status_code == 404
