"""A small stand-in for the Hugging Face Hub on loopback: the real one's answers, and its faults.

    with HubStandin({"owner/tiny": folder}) as hub:
        spec = ImportSpec(kind="hub", repository="owner/tiny", endpoint=hub.url)

The real Hub cannot be reached from tests; that the answers are right is checked by letting
huggingface_hub's own ``snapshot_download`` read them. Copied from the real one: 401 for a name that
does not exist, ``X-Error-Code``, the redirect of large files to another address, ``X-Linked-*``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = ("main", "v1", COMMIT)


@dataclass
class Request:
    """One request that came in."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class HubStandin:
    """Serves folders as models.

    Attributes:
        models: Name → folder.
        gated: Names that answer as gated models do.
        cuts: Bytes of a file's content after which the connection breaks, one entry an answer, from
            the front; when it is empty, answers are whole.
        stumbles: How many file answers are a 503 first.
        ranges: Whether ``Range`` is understood.
        damage: Names of files whose first byte is changed on the way.
        requests: Everything that was asked.
    """

    models: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    cuts: list[int] = field(default_factory=list)
    stumbles: int = 0
    ranges: bool = True
    damage: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    #: Answers of the API in place of the right ones: a status, or the body of a 200.
    api_answer: int | bytes | None = None
    #: Where repositories that are pushed to are made; None: nothing is accepted.
    accepts: Path | None = None
    #: The one token that may write.
    token: str = ""
    #: Content that came in by Git LFS, by its SHA-256; and each commit's summary.
    large: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    #: Repositories that were made, and whether each is private.
    made: dict[str, bool] = field(default_factory=dict)
    #: Whether the list of files tells their sizes; some mirrors' does not.
    sizes: bool = True
    licence: str = "mit"

    def __enter__(self) -> HubStandin:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def cdn_url(self) -> str:
        return f"http://localhost:{self._server.server_port}"

    def asked(self, name: str) -> list[Request]:
        """The requests for one file's content."""
        kind = "/cdn/" if _is_large(Path(name)) else "/resolve/"
        return [
            request
            for request in self.requests
            if request.method == "GET"
            and request.path.endswith(f"/{name}")
            and kind in request.path
        ]


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandin
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the requests are kept instead."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        """The content of a large file, at an address that needs no token, as the real one's."""
        data = self._received()
        oid = self.path.rsplit("/", 1)[-1]
        if hashlib.sha256(data).hexdigest() != oid:
            return self._error(400)
        self.hub.large[oid] = data
        return self._error(200)

    def do_POST(self) -> None:
        data = self._received()
        path = unquote(urlsplit(self.path).path)
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.hub.accepts is None or self.headers["Authorization"] != f"Bearer {self.hub.token}":
            return self._error(401)
        if path == "/api/repos/create":
            return self._create(json.loads(data))
        if match := re.fullmatch(r"/api/models/(.+)/preupload/main", path):
            files = json.loads(data)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if _is_large(Path(file["path"])) else "regular",
                    "shouldIgnore": False,
                }
                for file in files
            ]
            return self._json({"files": modes})
        if match := re.fullmatch(r"/(.+)\.git/info/lfs/objects/batch", path):
            return self._json({"transfer": "basic", "objects": self._batch(json.loads(data))})
        if match := re.fullmatch(r"/api/models/(.+)/commit/main", path):
            return self._commit(match[1], data)
        return self._error(404)

    def _received(self) -> bytes:
        self.hub.requests.append(
            Request(self.command, self.path, None, self.headers.get("Authorization"))
        )
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.models:
            return self._json({"url": f"{self.hub.url}/{name}", "error": "It is there"}, 409)
        assert self.hub.accepts is not None
        folder = self.hub.accepts / name.replace("/", "--")
        folder.mkdir()
        self.hub.models[name] = folder
        self.hub.made[name] = asked.get("visibility") == "private"
        return self._json({"url": f"{self.hub.url}/{name}", "name": name})

    def _batch(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for item in asked["objects"]:
            action = {"upload": {"href": f"{self.hub.cdn_url}/lfs/{item['oid']}"}}
            known = item["oid"] in self.hub.large
            found.append(dict(item) if known else {**item, "actions": action})
        return found

    def _commit(self, name: str, data: bytes) -> None:
        """As the real one: all of it or nothing, and large files only if they came in before."""
        lines = [json.loads(line) for line in data.splitlines()]
        files: dict[str, bytes] = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.large:
                    return self._error(400)
                files[value["path"]] = self.hub.large[value["oid"]]
        self.hub.commits.append(next(x["value"]["summary"] for x in lines if x["key"] == "header"))
        for path, content in files.items():
            if path in self.hub.damage:
                content = bytes([content[0] ^ 1]) + content[1:]
            (self.hub.models[name] / path).write_bytes(content)
        return self._json(
            {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.hub.url}/{name}/commit/x"}
        )

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(
            Request(
                self.command, path, self.headers.get("Range"), self.headers.get("Authorization")
            )
        )
        if match := re.fullmatch(r"/api/models/(.+?)(?:/(revision|tree)/([^/]+))?", path):
            name, kind, revision = match.groups()
        elif match := re.fullmatch(r"/(.+)/resolve/([^/]+)/(.+)", path):
            name, revision, kind = match.groups()
        elif match := re.fullmatch(r"/cdn/(.+)/([^/]+)", path):
            return self._content(self.hub.models[match[1]] / match[2])
        else:
            return self._error(404)
        if path.startswith("/api/") and self.hub.api_answer is not None:
            if isinstance(self.hub.api_answer, int):
                return self._error(self.hub.api_answer)
            return self._bytes(self.hub.api_answer)
        if name in self.hub.gated:
            return self._error(401, "GatedRepo")
        if name not in self.hub.models:
            # As the real one answers whoever is not signed in.
            return self._error(401)
        if revision is not None and revision not in REVISIONS:
            return self._error(404, "RevisionNotFound")
        folder = self.hub.models[name]
        if path.startswith("/api/"):
            return self._json(self._tree(folder) if kind == "tree" else self._info(name, folder))
        return self._resolve(name, folder / kind)

    def _info(self, name: str, folder: Path) -> dict[str, Any]:
        files = []
        for entry in self._tree(folder):
            described = {
                "rfilename": entry["path"],
                "size": entry["size"],
                "blobId": entry["oid"],
            }
            if lfs := entry.get("lfs"):
                described["lfs"] = {
                    "sha256": lfs["oid"],
                    "size": lfs["size"],
                    "pointerSize": lfs["pointerSize"],
                }
            if not self.hub.sizes:
                described = {"rfilename": entry["path"]}
            files.append(described)
        return {
            "id": name,
            "modelId": name,
            "sha": COMMIT,
            "private": False,
            "gated": False,
            "tags": ["license:mit"],
            "cardData": {"license": self.hub.licence},
            "siblings": files,
        }

    def _tree(self, folder: Path) -> list[dict[str, Any]]:
        entries = []
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
            entry: dict[str, Any] = {
                "type": "file",
                "path": path.name,
                "size": len(data),
                "oid": blob.hexdigest(),
            }
            if _is_large(path):
                digest = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 130}
            entries.append(entry)
        return entries

    def _resolve(self, name: str, path: Path) -> None:
        if not path.is_file():
            return self._error(404, "EntryNotFound")
        if not _is_large(path):
            return self._content(path)
        data = path.read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        self.send_response(302)
        # Another host, as the real one's: a library must not send its token there.
        self.send_header("Location", f"{self.hub.cdn_url}/cdn/{name}/{path.name}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("X-Linked-ETag", f'"{etag}"')
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _content(self, path: Path) -> None:
        if self.hub.stumbles:
            self.hub.stumbles -= 1
            return self._error(503)
        data = path.read_bytes()
        if path.name in self.hub.damage:
            data = bytes([data[0] ^ 1]) + data[1:]
        start = 0
        if self.hub.ranges and (
            asked := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        ):
            start = int(asked[1])
            if start >= len(data):
                return self._error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        if not _is_large(path):
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        rest = data[start:]
        if self.hub.cuts:
            self.wfile.write(rest[: self.hub.cuts.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(rest)

    def _json(self, payload: Any, status: int = 200) -> None:
        self._bytes(json.dumps(payload).encode(), status)

    def _bytes(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _error(self, status: int, code: str | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _is_large(path: Path) -> bool:
    return path.suffix == ".safetensors"
