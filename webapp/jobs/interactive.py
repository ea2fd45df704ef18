"""Answers on the ``interactive`` queue: a warm child keeps the models used last in memory.

The child is ``python -m training serve``: one JSON object a line through pipes.

    → {"id": "…", "op": "generate", "checkpoint": "/…", "prompt": "…", …}   GenerateSpec's fields
    → {"id": "…", "op": "cancel"}
    ← {"id": "…", "kind": "token", "text": "…"}
    ← {"id": "…", "kind": "done", "tokens": 64, "seconds": 1.5, "reason": "length"}
    ← {"id": "…", "kind": "error", "code": "…", "params": {}, "message": "…"}

The owner (webapp.playground.jobs) provides, beside ``inputs`` and ``finish``,
``stream(job, text, tokens)``: the whole text so far, about three times a second, in the transaction
that renews the lease. Its ``inputs`` gets a folder that all requests share, so that a checkpoint is
put there once (``storage.cached_folder``). ``finish`` gets
``{"text", "tokens", "seconds", "reason"}``.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from webapp import storage
from webapp.jobs import sandbox
from webapp.jobs.errors import Fenced, JobRefused
from webapp.jobs.kinds import KINDS
from webapp.jobs.models import Job, Request, State
from webapp.jobs.processes import end_group, signal_group, tail
from webapp.jobs.stop import stopping
from webapp.jobs.transitions import call_owner, claim, end, lease_end, requeue

logger = logging.getLogger(__name__)

STREAM_S = 0.33
#: After so long without a request the child is ended and its memory is free again.
IDLE_S = 900.0
CANCEL_GRACE_S = 5.0
#: Requests that are open at once; the child lets as many take turns.
TURNS = 4


class ChildDied(Exception):
    """The warm child ended in the middle of a request."""


class Child:
    """The warm process; started when first needed, and again after it died."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "process.log"
        self.used_at = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def send(self, message: dict[str, Any]) -> None:
        """Write one line, to a new process if there is none.

        Raises:
            ChildDied: It went away while reading.
        """
        self.used_at = time.monotonic()
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(message) + "\n").encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildDied from None

    def receive(self, timeout_s: float) -> list[dict[str, Any]]:
        """The complete lines that arrive within the timeout; returns early with the first.

        Raises:
            ChildDied: It ended.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], timeout_s)
        if not ready:
            return []
        data = os.read(descriptor, 1 << 16)
        if not data:
            raise ChildDied
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def close(self) -> None:
        """End it; a later :meth:`send` starts another."""
        if self._process is None:
            return
        if self._process.poll() is None:
            # Nothing to save: no need to be asked politely for long.
            end_group(self._process, 1.0)
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass
        self._process = None
        self._buffer = b""

    def kill(self) -> None:
        """SIGKILL, when it does not obey."""
        if self._process is not None:
            signal_group(self._process.pid, signal.SIGKILL)
        self.close()

    def _start(self) -> None:
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = sandbox.start(
            ["serve"], folder=self.folder, network=False, log=self.log, pipes=True
        )


_child: Child | None = None


def shared_folder() -> Path:
    """Where checkpoints for requests lie, shared by all of them."""
    return Path(settings.WORK_DIR) / "playground"


def child() -> Child:
    """This worker's warm child."""
    global _child
    if _child is None:
        _child = Child(shared_folder())
    return _child


def close() -> None:
    """End the warm child."""
    if _child is not None:
        _child.close()


def close_when_idle() -> None:
    """End the warm child when nobody asked for long."""
    if _child is not None and time.monotonic() - _child.used_at > IDLE_S:
        _child.close()


def answer(job: Job) -> None:
    """A request from the claimed row to its end, and others that come meanwhile.

    The child gives each open request a token in turn, so that two checkpoints write side by side.
    Messages of jobs that were taken along find nothing to claim later.
    """
    open_requests: dict[str, _Request] = {}
    _begin(job, open_requests)
    beat_at = time.monotonic()
    while open_requests:
        try:
            for message in child().receive(STREAM_S / 2):
                request = open_requests.get(str(message.get("id")))
                if request is not None and _guarded(request, partial(request.take, message)):
                    del open_requests[request.id]
            if time.monotonic() - beat_at < STREAM_S:
                continue
            beat_at = time.monotonic()
            for request in list(open_requests.values()):
                if _guarded(request, request.beat):
                    del open_requests[request.id]
            if any(request.is_deaf for request in open_requests.values()):
                raise ChildDied
            _take_along(open_requests, job.worker)
        except ChildDied:
            text = tail(child().log)
            child().kill()
            for request in open_requests.values():
                request.lost(text)
            return


def _begin(job: Job, open_requests: dict[str, _Request]) -> None:
    request = _Request(job)
    if not _guarded(request, request.begin):
        open_requests[request.id] = request


def _take_along(open_requests: dict[str, _Request], worker: str) -> None:
    """Claim further requests that wait, as many as take turns well."""
    room = TURNS - len(open_requests)
    if room <= 0 or stopping.is_set():
        return
    waiting = Job.objects.filter(queue="interactive", state=State.QUEUED).order_by("queued_at")
    for pk, attempt in list(waiting.values_list("pk", "attempt")[:room]):
        job = claim(pk, attempt + 1, worker)
        if job is not None:
            _begin(job, open_requests)


def _guarded(request: _Request, action: Callable[[], bool]) -> bool:
    """Whether the request is over; what goes wrong ends this one and not the others."""
    job = request.job
    try:
        return action()
    except Fenced:
        logger.warning("job %s: attempt %s lost its fence", job.pk, job.attempt)
        request.cancel()
    except ChildDied:
        raise
    except JobRefused as error:
        _fail(job, error.code, dict(error.params), error.field)
    except storage.StoreError as error:
        _fail(job, "input_missing", {"detail": str(error)})
    except Exception as error:
        logger.exception("job %s", job.pk)
        _fail(job, "portal", {"detail": f"{type(error).__name__}: {error}"[:500]})
    return True


def _fail(job: Job, code: str, params: dict[str, Any], field: str = "") -> None:
    with transaction.atomic():
        end(job, State.FAILED, attempt=job.attempt, code=code, params=params, field=field)


class _Request:
    """One open request."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.id = f"{job.pk}_{job.attempt}"
        self.text = ""
        self.tokens = 0
        self.streamed = ""
        self.limit_s = KINDS[job.kind].deadline_s or 3600.0
        self.deadline = time.monotonic() + self.limit_s
        self.cancelled_at: float | None = None

    @property
    def is_deaf(self) -> bool:
        """Whether the child does not react to a cancel: then it has to go."""
        return (
            self.cancelled_at is not None and time.monotonic() - self.cancelled_at > CANCEL_GRACE_S
        )

    def begin(self) -> bool:
        folder = shared_folder()
        folder.mkdir(parents=True, exist_ok=True)
        resolved = call_owner(self.job, "inputs", copy.deepcopy(self.job.spec), folder)
        spec = dict(self.job.spec if resolved is None else resolved)
        self._renew()
        child().send({**spec, "id": self.id, "op": "generate"})
        return False

    def take(self, message: dict[str, Any]) -> bool:
        """One reply; whether it was the last."""
        kind = message.get("kind")
        if kind == "token":
            self.text += str(message.get("text", ""))
            self.tokens += 1
            return False
        if kind == "error":
            self._renew()
            params = message.get("params") or {}
            _fail(self.job, str(message.get("code")), params, message.get("field") or "")
            return True
        if kind != "done":
            return False
        self.tokens = int(message.get("tokens", self.tokens))
        self._renew()
        if self.cancelled_at is not None and message.get("reason") == "cancelled":
            self._stopped()
            return True
        collected = {
            "text": self.text,
            "tokens": self.tokens,
            "seconds": message.get("seconds"),
            "reason": str(message.get("reason", "")),
        }
        with transaction.atomic():
            if not self._fenced().update(fraction=1.0):
                raise Fenced
            self.job.refresh_from_db()
            call_owner(self.job, "finish", collected)
            end(self.job, State.SUCCEEDED, attempt=self.job.attempt)
        return True

    def beat(self) -> bool:
        """Renew the lease, store what was written, obey; whether the request is over."""
        self._renew()
        requested = self._fenced().values_list("requested", flat=True).first()
        if requested or stopping.is_set():
            self.cancel()
        if time.monotonic() > self.deadline:
            self.cancel()
            _fail(self.job, "deadline", {"hours": f"{self.limit_s / 3600:.2g}"})
            return True
        return False

    def cancel(self) -> None:
        """Tell the child, once."""
        if self.cancelled_at is None:
            self.cancelled_at = time.monotonic()
            child().send({"id": self.id, "op": "cancel"})

    def lost(self, text: str) -> None:
        """The child is gone; a cancel that it did not obey has come true."""
        if self.cancelled_at is not None:
            self._stopped()
            return
        with transaction.atomic():
            requeue(
                self.job.pk,
                attempt=self.job.attempt,
                crashed=True,
                reason="the model's process ended",
                tail=text,
            )

    def _renew(self) -> None:
        with transaction.atomic():
            if not self._fenced().update(lease_expires_at=lease_end()):
                raise Fenced
            if self.text != self.streamed:
                call_owner(self.job, "stream", self.text, self.tokens)
        self.streamed = self.text

    def _stopped(self) -> None:
        """The person asked, or the worker leaves and somebody else answers anew."""
        with transaction.atomic():
            requested = self._fenced().values_list("requested", flat=True).first()
            if requested in {Request.CANCEL, Request.PAUSE}:
                end(self.job, State.CANCELLED, attempt=self.job.attempt)
            else:
                requeue(self.job.pk, attempt=self.job.attempt, crashed=False)

    def _fenced(self) -> Any:
        return Job.objects.filter(pk=self.job.pk, attempt=self.job.attempt, state=State.RUNNING)
