"""Downloads the files of a model from the Hugging Face Hub or a mirror; goes on after a cut.

Anonymous: no token is read or sent. Nothing but the files that :mod:`training.interop.huggingface`
reads is asked for; in particular no code.

huggingface_hub 2 downloads to a temporary file that it deletes on failure, so that its own download
starts anew after a cut. Here each file grows as ``NAME.part`` in the job's folder, and a rerun asks
for the rest (HTTP ``Range``) of the very same commit. The library still knows the Hub: its
addresses, its headers and its errors.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import get_session, hf_raise_for_status

from training.data.text_tokenizer import encodable
from training.durable import reporting_full_disk, write_json
from training.errors import TrainingError
from training.faults import fault_point
from training.interop.huggingface import choose_files

#: Seconds for an answer to begin, and between two pieces of a file.
TIMEOUT_S = 20.0
#: Attempts in a row that bring no byte before giving up, and the first pause between two.
ATTEMPTS = 5
PAUSE_S = 1.0
#: How often progress is told.
REPORT_EVERY_S = 0.5

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
_STATE_FILE = "download.json"

#: Called with the bytes that are here, those wanted, and bytes a second.
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class RemoteFile:
    """One file of a commit: its size, and its hash where the Hub tells one."""

    name: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True)
class RemoteModel:
    """What a name and a revision stand for just now."""

    endpoint: str
    repository: str
    revision: str
    commit: str
    licence: str | None
    files: list[RemoteFile]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def look_up(repository: str, revision: str, endpoint: str = "") -> RemoteModel:
    """Ask the Hub for a model's commit and the files that are wanted of it.

    Args:
        repository: ``owner/name`` or ``name``.
        revision: Branch, tag or commit.
        endpoint: Address of the Hub; empty: HF_ENDPOINT, else the library's default.

    Raises:
        TrainingError: ``hub_*``, ``folder_*``.
    """
    endpoint = checked_address(repository, endpoint)
    with _explained(repository, revision, endpoint):
        api = HfApi(endpoint=endpoint, token=False)
        info = api.model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
        siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
        files = []
        for name in choose_files(list(siblings)):
            lfs, size = siblings[name].lfs, siblings[name].size
            if size is None:  # a mirror that tells no sizes in its list
                size = _ask_size(repository, str(info.sha), endpoint, name)
            git_sha1 = None if lfs else siblings[name].blob_id
            files.append(RemoteFile(name, size, lfs.sha256 if lfs else None, git_sha1))
    card = info.card_data
    licence = card.get("license") if card else None
    return RemoteModel(
        endpoint,
        repository,
        revision,
        str(info.sha),
        encodable(licence) if isinstance(licence, str) else None,
        files,
    )


def checked_address(repository: str, endpoint: str) -> str:
    """The Hub's address, once it and a model's name there look like such.

    Raises:
        TrainingError: ``hub_endpoint_invalid``, ``hub_name_invalid``.
    """
    endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    if not re.match(r"https?://[^/\s]+", endpoint):
        raise TrainingError("hub_endpoint_invalid", field="endpoint", endpoint=endpoint)
    if not _NAME.fullmatch(repository) or ".." in repository or "--" in repository:
        raise TrainingError("hub_name_invalid", field="repository", repository=repository)
    return endpoint


def require_private(endpoint: str) -> None:
    """Refuse to send a token where anybody on the way can read it.

    Raises:
        TrainingError: ``hub_plain_http``: neither https nor this very machine.
    """
    try:
        address = urlsplit(endpoint)
        host = address.hostname or ""
    except ValueError:
        raise TrainingError("hub_endpoint_invalid", field="endpoint", endpoint=endpoint) from None
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if address.scheme != "https" and not here:
        raise TrainingError("hub_plain_http", field="endpoint", endpoint=endpoint)


def _ask_size(repository: str, commit: str, endpoint: str, name: str) -> int:
    url = hf_hub_url(repository, name, revision=commit, endpoint=endpoint)
    size = get_hf_file_metadata(url, token=False, timeout=TIMEOUT_S, endpoint=endpoint).size
    if size is None:
        raise ValueError(f"{name} has no size")
    return size


def download(model: RemoteModel, folder: Path, progress: Progress) -> None:
    """Fetch the files into a folder, going on with what is there already.

    Args:
        model: From :func:`look_up`.
        folder: Where to; what another commit left there is removed first.
        progress: Told at most every half second, and at the end.

    Raises:
        TrainingError: ``download_*`` (what came in is kept), ``hub_*``.
    """
    _keep_only_this_commit(model, folder)
    free = shutil.disk_usage(folder).free
    missing = model.size - sum(_here(folder, file) for file in model.files)
    if missing > free:
        raise TrainingError("download_no_space", needed_mb=_mb(missing), free_mb=_mb(free))
    meter = _Meter(model.size, sum(_here(folder, file) for file in model.files), progress)
    meter.tell()
    for file in model.files:
        if not (folder / file.name).exists():
            _fetch(model, file, folder, meter)
    meter.tell()


class _Meter:
    """Counts bytes and tells about them now and then."""

    def __init__(self, total: int, here: int, progress: Progress) -> None:
        self._total, self._here, self._progress = total, here, progress
        self._start, self._since, self._told = here, time.monotonic(), time.monotonic()

    def add(self, count: int) -> None:
        self._here += count
        if time.monotonic() - self._told >= REPORT_EVERY_S:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        rate = (self._here - self._start) / max(self._told - self._since, 1e-6)
        self._progress(self._here, self._total, max(rate, 0.0))


def _fetch(model: RemoteModel, file: RemoteFile, folder: Path, meter: _Meter) -> None:
    part = folder / f"{file.name}.part"
    failures = 0
    while True:
        have = part.stat().st_size if part.exists() else 0
        if have == file.size and part.exists():
            break
        try:
            with _explained(model.repository, model.revision, model.endpoint, file):
                _stream(model, file, part, meter)
            if part.stat().st_size < file.size:
                raise httpx2.RemoteProtocolError("the answer ended early")
        except (httpx2.TransportError, _Busy) as error:
            brought = (part.stat().st_size if part.exists() else 0) > have
            failures = 1 if brought else failures + 1
            if failures >= ATTEMPTS:
                received = part.stat().st_size if part.exists() else 0
                if not received and isinstance(error, httpx2.ConnectError):
                    raise TrainingError("hub_unreachable", endpoint=model.endpoint) from error
                raise TrainingError(
                    "download_cut",
                    file=file.name,
                    received_mb=_mb(received),
                    total_mb=_mb(file.size),
                ) from error
            time.sleep(PAUSE_S * 2 ** (failures - 1))
    if not _is_intact(file, part):
        meter.add(-part.stat().st_size)
        part.unlink()
        raise TrainingError("download_damaged", file=file.name)
    os.replace(part, folder / file.name)


class _Busy(Exception):
    """The Hub asks for patience (429) or stumbles (5xx)."""


def _stream(model: RemoteModel, file: RemoteFile, part: Path, meter: _Meter) -> None:
    """Ask for what is missing of one file and append it."""
    have = part.stat().st_size if part.exists() else 0
    url = hf_hub_url(model.repository, file.name, revision=model.commit, endpoint=model.endpoint)
    headers = build_hf_headers(token=False, headers={"Accept-Encoding": "identity"})
    if have:
        headers["Range"] = f"bytes={have}-"
    with (
        reporting_full_disk(file.name, "download_disk_full"),
        get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response,
    ):
        if response.status_code == 429 or response.status_code >= 500:
            raise _Busy
        if response.status_code == 416:  # more is here than there: another content
            meter.add(-have)
            part.unlink()
            return
        hf_raise_for_status(response)
        if have and response.status_code == 200:  # the server knows no ranges
            meter.add(-have)
            have = 0
        with part.open("r+b" if have else "wb") as stream:
            stream.seek(have)
            # As it arrives: asked for pieces of one size, the library drops the last one at a cut.
            for chunk in response.iter_bytes():
                have += len(chunk)
                if have > file.size:
                    stream.truncate(0)
                    raise TrainingError("download_damaged", file=file.name)
                stream.write(chunk)
                fault_point("download.chunk")
                meter.add(len(chunk))


def _is_intact(file: RemoteFile, path: Path) -> bool:
    """Compare with the hash that the Hub told: SHA-256 of large files, git's own of small ones."""
    with path.open("rb") as stream:
        if file.sha256:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
        if file.git_sha1:
            start = f"blob {file.size}\0".encode()
            digest = hashlib.sha1(start, usedforsecurity=False)
            digest.update(stream.read())
            return digest.hexdigest() == file.git_sha1
    return True


def _keep_only_this_commit(model: RemoteModel, folder: Path) -> None:
    state = json.loads(json.dumps(asdict(model)))
    try:
        before: Any = json.loads((folder / _STATE_FILE).read_text())
    except (FileNotFoundError, ValueError):
        before = None
    if before == state:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / _STATE_FILE, state, point="download")


def _here(folder: Path, file: RemoteFile) -> int:
    for path in (folder / file.name, folder / f"{file.name}.part"):
        if path.exists():
            return min(path.stat().st_size, file.size)
    return 0


@contextmanager
def _explained(
    repository: str,
    revision: str,
    endpoint: str,
    file: RemoteFile | None = None,
) -> Iterator[None]:
    """Turn the library's errors into our sentences; a cut while a file comes in passes."""
    try:
        yield
    except GatedRepoError as error:
        raise TrainingError(
            "hub_gated", field="repository", repository=repository, endpoint=endpoint
        ) from error
    except RevisionNotFoundError as error:
        raise TrainingError(
            "hub_revision_not_found", field="revision", repository=repository, revision=revision
        ) from error
    except (RepositoryNotFoundError, DisabledRepoError) as error:
        raise TrainingError(
            "hub_not_found", field="repository", repository=repository, endpoint=endpoint
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        code = "hub_not_found" if status in (401, 403, 404) and file is None else "hub_answer"
        params: dict[str, Any] = (
            {"repository": repository} if code == "hub_not_found" else {"status": status}
        )
        raise TrainingError(code, field="repository", endpoint=endpoint, **params) from error
    except OfflineModeIsEnabled as error:
        raise TrainingError("hub_offline") from error
    except httpx2.TransportError as error:
        if file is not None:
            raise
        raise TrainingError("hub_unreachable", field="endpoint", endpoint=endpoint) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, KeyError, TypeError, ValueError) as error:
        # Something answers there, and not as a Hub does.
        raise TrainingError(
            "hub_answer", field="endpoint", endpoint=endpoint, status=type(error).__name__
        ) from error


def _mb(size: int) -> float:
    return round(size / 1e6, 1)
