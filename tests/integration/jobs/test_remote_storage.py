"""The store in a bucket, against a small S3 stand-in on loopback.

The stand-in is as strict as servers of before 2025: it refuses the checksums that boto3 sends since
1.36 unless told not to.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from webapp import storage


class Bucket(ThreadingHTTPServer):
    """Objects by path, and how often each was written."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        modern = [name for name in self.headers if name.lower().startswith("x-amz-checksum")]
        if modern or "aws-chunked" in self.headers.get("Content-Encoding", ""):
            self.answer(501, b"<Error><Code>NotImplemented</Code></Error>")
            return
        self.server.objects[self.path] = body
        self.server.puts.append(self.path)
        self.answer(200, ETag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def do_HEAD(self) -> None:
        body = self.server.objects.get(self.path)
        if body is None:
            self.answer(404)
        else:
            self.answer(200, Content_Length=str(len(body)), ETag='"x"', **DATED)

    def do_GET(self) -> None:
        body = self.server.objects.get(self.path)
        if body is None:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self.answer(200, body, ETag='"x"', **DATED)


DATED = {"Last_Modified": "Mon, 23 Nov 2026 12:00:00 GMT"}


@pytest.fixture
def bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    server = Bucket()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "garage")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    port = server.server_address[1]
    settings.STORAGE_URL = f"s3://graft/files?endpoint=http://127.0.0.1:{port}"
    yield server
    server.shutdown()
    server.server_close()


def test_a_folder_goes_to_the_bucket_and_comes_back(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/a").write_bytes(b"weights" * 1000)
    (tmp_path / "in/sub/b").write_bytes(b"weights" * 1000)
    manifest = storage.store_folder(tmp_path / "in")
    digest = manifest["a"]["blake3"]
    name = f"/graft/files/{digest[:2]}/{digest[2:4]}/{digest}"
    assert bucket.puts == [name], "the same content is written once"
    storage.materialise(manifest, tmp_path / "out")
    assert (tmp_path / "out/sub/b").read_bytes() == b"weights" * 1000
    with storage.open_blob(digest) as file:
        assert file.read(7) == b"weights"
    assert storage.blob_path(digest) is None
    assert storage.blob_exists(digest)


def test_a_missing_and_a_changed_object_are_told_apart(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    stored = storage.store_file(tmp_path / "a")
    manifest = {"a": {"blake3": stored.blake3, "size": 5}}
    bucket.objects[bucket.puts[0]] = b"jello"
    with pytest.raises(storage.BlobCorrupt):
        storage.materialise(manifest, tmp_path / "out")
    bucket.objects.clear()
    with pytest.raises(storage.BlobMissing):
        storage.materialise(manifest, tmp_path / "out")
