"""The job that sends a checkpoint to the Hugging Face Hub, or to a mirror that speaks like it.

What is sent is the ``huggingface`` export with its model card, in one commit: people see all of it
or none. Afterwards the Hub is asked what it has, and every hash compared.

The token is taken out of the environment (``HF_TOKEN``) at once, is never written anywhere, and
goes to the Hub's address alone. Large files go by Git LFS, which mirrors understand too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils.tqdm import disable_progress_bars

from training.command_specs import PushSpec
from training.durable import reporting_full_disk, sweep
from training.errors import TrainingError
from training.events import EventLog
from training.interop import hub
from training.interop.exporting import check_possible, write_proved
from training.interop.model_card import write_readme
from training.report import write_report
from training.weights.checkpoint import read_checkpoint

FOLDER = "upload"


def run(spec: PushSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Send the checkpoint, and write ``report.json`` with the commit.

    Args:
        spec: Which checkpoint, and where to.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``hub_*``, ``export_*``, ``checkpoint_*``, ``disk_full_writing``.
    """
    started = time.monotonic()
    token = os.environ.pop("HF_TOKEN", "")
    if not token:
        raise TrainingError("hub_token_missing", field="token")
    endpoint = hub.checked_address(spec.repository, spec.endpoint)
    hub.require_private(endpoint)
    sweep(out)
    events.emit("phase", name="reading", fraction=None, detail="")
    checkpoint = read_checkpoint(Path(spec.checkpoint), verify=True)
    check_possible(checkpoint, "huggingface")
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with reporting_full_disk("the export"):
            folder.mkdir()
            write_proved(checkpoint, "huggingface", folder, events)
            write_readme(checkpoint, folder, spec.about)
        events.emit("phase", name="sending", fraction=None, detail=spec.repository)
        with _explained(spec.repository, endpoint):
            commit = _send(spec, folder, HfApi(endpoint=endpoint, token=token))
            events.emit("phase", name="checking", fraction=None, detail=spec.repository)
            _check_arrived(spec, folder, HfApi(endpoint=endpoint, token=token), commit)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    pushed = {
        "endpoint": endpoint,
        "repository": spec.repository,
        "commit": commit,
        "url": f"{endpoint}/{spec.repository}",
    }
    write_report(
        out,
        "push",
        spec,
        time.monotonic() - started,
        {"weights_sha256": checkpoint.weights_sha256, "pushed": pushed},
    )
    return {"report": "report.json", "result": pushed["url"]}


def _send(spec: PushSpec, folder: Path, api: HfApi) -> str:
    """Make the repository if need be, and commit every file; the commit's id."""
    constants.HF_HUB_DISABLE_XET = True
    disable_progress_bars()
    api.create_repo(spec.repository, private=spec.private, exist_ok=True)
    operations = [
        CommitOperationAdd(path_in_repo=path.relative_to(folder).as_posix(), path_or_fileobj=path)
        for path in _files(folder)
    ]
    info = api.create_commit(
        spec.repository, operations, commit_message="Add the model, sent by Graft"
    )
    return str(info.oid)


def _check_arrived(spec: PushSpec, folder: Path, api: HfApi, commit: str) -> None:
    """Compare what the Hub says it has with what was sent, hash by hash."""
    info = api.model_info(
        spec.repository, revision=commit, files_metadata=True, timeout=hub.TIMEOUT_S
    )
    there = {sibling.rfilename: sibling for sibling in info.siblings or []}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        sibling = there.get(name)
        if sibling is None:
            same = False
        elif sibling.lfs is not None:
            same = sibling.lfs.sha256 == _sha256(path)
        else:
            same = sibling.blob_id == _git_sha1(path)
        if not same:
            raise TrainingError("hub_arrived_damaged", file=name, endpoint=str(api.endpoint))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    """What the Hub calls a large file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    """Git's own hash of a file, which names small ones on the Hub."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def _explained(repository: str, endpoint: str) -> Iterator[None]:
    """Turn the library's errors into our sentences; none of them holds the token."""
    try:
        yield
    except (
        HfHubHTTPError,
        OfflineModeIsEnabled,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:
        # A large file's error comes wrapped in one that only names the file.
        wrapped = type(error) is RuntimeError and error.__cause__ is not None
        raise _sentence(error.__cause__ if wrapped else error, repository, endpoint) from None


def _sentence(error: BaseException | None, repository: str, endpoint: str) -> TrainingError:
    if isinstance(error, OfflineModeIsEnabled):
        return TrainingError("hub_offline")
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return TrainingError(
                "hub_token_refused", field="token", repository=repository, endpoint=endpoint
            )
        return TrainingError("hub_answer", field="endpoint", endpoint=endpoint, status=status)
    if isinstance(error, httpx2.TransportError):
        return TrainingError("hub_unreachable", field="endpoint", endpoint=endpoint)
    # Something answers there, and not as a Hub does.
    return TrainingError(
        "hub_answer", field="endpoint", endpoint=endpoint, status=type(error).__name__
    )
