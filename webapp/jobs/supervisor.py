"""Runs one attempt of one job: starts its process, watches it, and writes down how it ended.

The supervisor lives in an RQ work-horse and is light: no TensorFlow. Everything it knows comes from
the job's row and from ``events.jsonl``; everything it writes is fenced by the attempt's number, so
one that was presumed dead can do no harm when it wakes up: its first refused write makes it kill
its process and leave.
"""

from __future__ import annotations

import copy
import fcntl
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)

from training.durable import full_disk
from training.errors import EXIT_DONE, EXIT_REFUSED, EXIT_STOPPED, MESSAGES
from webapp import storage
from webapp.jobs import devices, ingest, sandbox
from webapp.jobs.errors import Fenced, JobRefused
from webapp.jobs.kinds import KINDS
from webapp.jobs.models import Job, Request, State
from webapp.jobs.processes import Identity, identity, kill_and_wait, signal_group, tail
from webapp.jobs.transitions import call_owner, end, lease_end, requeue

logger = logging.getLogger(__name__)

POLL_S = 0.5
#: Between SIGTERM and SIGKILL, seconds: a cancelled job's state is not needed any more; a paused
#: one's is, and saving it may have to wait for a long step or a compilation to end.
CANCEL_GRACE_S = 10.0
PAUSE_GRACE_S = 600.0
#: How long an older process of the same job may take to give its folder up, seconds.
LOCK_WAIT_S = 10.0
#: Where the process's own output is cut back, bytes.
LOG_LIMIT = 16 * 2**20
REPORT_LIMIT = 64 * 2**20
NICENESS = 5


def work_folder(job_id: Any) -> Path:
    """The working directory of a job, the same for all its attempts on this host."""
    return Path(settings.WORK_DIR) / str(job_id)


class Supervisor:
    """One attempt, from the claimed row to its end.

    Args:
        job: As :func:`webapp.jobs.transitions.claim` returned it.
        gpus: GPUs that this worker may use; its own first.
    """

    def __init__(self, job: Job, gpus: Sequence[int] = ()) -> None:
        self.job = job
        self.attempt = job.attempt
        self.kind = KINDS[job.kind]
        self.folder = work_folder(job.pk)
        self.log = self.folder / "process.log"
        self.gpus = gpus
        self.process: subprocess.Popen[bytes] | None = None
        self.reader: ingest.Reader | None = None
        #: Set by :meth:`stop`: the worker is going away, the job is to go on elsewhere.
        self.stopping = False
        self._asked_at: float | None = None
        self._renewed_at = time.monotonic()
        self._deadline: float | None = None
        self._late = False

    def stop(self, *_: Any) -> None:
        """Warm stop, fit for a signal handler: save the state, put the job back into the queue."""
        self.stopping = True

    def run(self) -> None:
        """Work on the job until it ends, is paused, goes back into the queue, or is another's."""
        try:
            with self._holding_devices() as gpus:
                if gpus is None:  # stopped while waiting for them
                    self._close(lambda: requeue(self.job.pk, attempt=self.attempt, crashed=False))
                    return
                self._prepare()
                code = self._watch(gpus)
            self._conclude(code)
        except Fenced:
            logger.warning("job %s: attempt %s lost its fence", self.job.pk, self.attempt)
        except JobRefused as error:
            self._fail(error.code, dict(error.params), error.field)
        except storage.StoreFull:
            self._fail("store_full")
        except storage.BlobMissing as error:
            self._fail("input_missing", {"detail": error.digest[:12]})
        except storage.StoreError as error:
            self._fail("input_corrupt", {"detail": str(error)})
        except OSError as error:  # disk, permissions: not this job's fault, so it is tried again
            logger.exception("job %s", self.job.pk)
            self._crashed(str(error))
        except (DatabaseError, InterfaceError):
            # The reconciler takes over when the lease ends.
            logger.exception("job %s: the database is away", self.job.pk)
        except Exception as error:
            logger.exception("job %s", self.job.pk)
            self._fail("portal", {"detail": f"{type(error).__name__}: {error}"[:500]})
        finally:
            self._kill()

    # --- before ---------------------------------------------------------------------------------

    @contextmanager
    def _holding_devices(self) -> Iterator[list[int] | None]:
        count = int((self.job.spec.get("devices") or {}).get("count", 1))
        if self.job.queue != "gpu" or not self.gpus:
            yield []
            return
        count = min(count, len(self.gpus))
        while True:
            with devices.taking(self.gpus, count) as held:
                if held is not None:
                    yield held
                    return
            if self._requested() or self.stopping:
                yield None
                return
            self._renew()
            time.sleep(1)

    def _prepare(self) -> None:
        """Make the folder, see that nobody works in it, put the inputs there, write the spec."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._end_predecessor()
        self.reader = ingest.Reader(self.job, self.folder)
        with self._keeping_lease():
            spec = copy.deepcopy(self.job.spec)
            inputs = self.folder / "inputs"
            inputs.mkdir(exist_ok=True)
            resolved = call_owner(self.job, "inputs", spec, inputs)
            payload = json.dumps(spec if resolved is None else resolved, ensure_ascii=False)
            (self.folder / "spec.json").write_text(payload, encoding="utf-8")

    def _end_predecessor(self) -> None:
        """Kill an older process of this job on this host, and wait until the folder is free."""
        older = Identity.parse(_read(self.folder / "pid"))
        if older is not None and older.is_here() and older.is_alive():
            logger.warning("job %s: an older process %s is still there", self.job.pk, older.pid)
            kill_and_wait(older, LOCK_WAIT_S)
        deadline = time.monotonic() + LOCK_WAIT_S
        with (self.folder / "lock").open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return  # closing the file lets go of it again
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise OSError("another process works in the job's folder") from None
                    time.sleep(0.1)

    # --- while ----------------------------------------------------------------------------------

    def _watch(self, gpus: Sequence[int]) -> int:
        """Start the process and follow it to its end; returns its exit code (negative: signal)."""
        if self._requested() or self.stopping:
            return EXIT_STOPPED
        process = sandbox.start(
            [self.kind.command, "spec.json", "--out", str(self.folder), "--quiet"],
            folder=self.folder,
            network=self.kind.network,
            gpus=gpus,
            secrets=call_owner(self.job, "secrets"),
            memory_bytes=self._memory_limit(),
            niceness=NICENESS,
            log=self.log,
        )
        self.process = process
        if who := identity(process.pid):
            (self.folder / "pid").write_text(str(who))
        if self.kind.deadline_s is not None:
            self._deadline = time.monotonic() + self.kind.deadline_s
        with _exit_descriptor(process) as descriptor:
            while True:
                code = _wait(process, descriptor, POLL_S)
                if code is not None:
                    self.process = None
                self._guarded(self._look)
                if code is not None:
                    return code

    def _memory_limit(self) -> int | None:
        """Readers of people's files may not take more than the machine has, whatever they claim."""
        if self.job.queue != "io":
            return None
        return max(8 * 2**30, sandbox.physical_memory())

    def _look(self) -> None:
        assert self.reader is not None
        self.reader.read(self.attempt)
        if time.monotonic() - self._renewed_at > settings.LEASE_S / 4:
            self._renew()
            _cut_back(self.log)
        self._obey()

    def _guarded(self, action: Callable[[], None]) -> None:
        """Bear a database that is away for a moment, but not longer than the lease lasts."""
        try:
            action()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() - self._renewed_at > settings.LEASE_S:
                raise Fenced from None
            logger.warning("job %s: the database does not answer", self.job.pk)

    def _renew(self) -> None:
        if not self._fenced().update(lease_expires_at=lease_end()):
            raise Fenced
        self._renewed_at = time.monotonic()

    def _requested(self) -> str:
        requested = self._fenced().values_list("requested", flat=True).first()
        if requested is None:
            raise Fenced
        return str(requested)

    def _obey(self) -> None:
        """Pass a request on to the process: SIGTERM, and SIGKILL when it takes too long."""
        requested, now = self._requested(), time.monotonic()
        if self.process is None:
            return
        if self._deadline is not None and now > self._deadline:
            self._late = True
        if not (requested or self.stopping or self._late):
            return
        if self._asked_at is None:
            self._asked_at = now
            _signal(self.process, signal.SIGTERM)
        grace = CANCEL_GRACE_S if requested == Request.CANCEL or self._late else PAUSE_GRACE_S
        if now - self._asked_at > grace:
            signal_group(self.process.pid, signal.SIGKILL)

    def _fenced(self) -> Any:
        return Job.objects.filter(pk=self.job.pk, attempt=self.attempt, state=State.RUNNING)

    @contextmanager
    def _keeping_lease(self) -> Iterator[None]:
        """Renew the lease from a thread while the main one copies files; then check the fence."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(settings.LEASE_S / 4):
                try:
                    self._fenced().update(lease_expires_at=lease_end())
                except DatabaseError:
                    logger.warning("job %s: the lease could not be renewed", self.job.pk)
                finally:
                    connection.close()

        thread = threading.Thread(target=keep, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        close_old_connections()
        self._renew()

    # --- after ----------------------------------------------------------------------------------

    def _conclude(self, code: int) -> None:
        """Write the verdict: what the exit code, the last event and the person's wish add up to."""
        last = self.reader.last if self.reader is not None else {}
        requested = self._retrying(self._requested)
        if code == EXIT_DONE and self._has_finished():
            self._succeed()
        elif requested == Request.CANCEL:
            self._close(lambda: end(self.job, State.CANCELLED, attempt=self.attempt))
        elif self._late:
            hours = f"{(self.kind.deadline_s or 0) / 3600:.3g}"
            self._fail("deadline", {"hours": hours})
        elif code == EXIT_REFUSED and last.get("kind") == "error":
            self._fail(str(last["code"]), last.get("params") or {}, last.get("field") or "")
        elif code == EXIT_REFUSED and MESSAGES["busy"] not in tail(self.log, lines=1):
            # Not even an event could be written (docs/formats.md).
            full = full_disk(self.folder, "events.jsonl")
            self._fail(full.code, full.params)
        elif code == EXIT_STOPPED or (code == -signal.SIGTERM and self._asked_at is not None):
            # The latter: asked before it could listen, so there was nothing to save.
            self._close(lambda: requeue(self.job.pk, attempt=self.attempt, crashed=False))
        else:
            self._crashed(f"signal {-code}" if code < 0 else f"exit code {code}")

    def _has_finished(self) -> bool:
        """Whether ``finished`` stands last in the log; an earlier attempt may have written it."""
        assert self.reader is not None
        return (self.reader.last or self.reader.last_on_disk()).get("kind") == "finished"

    def _succeed(self) -> None:
        with self._keeping_lease():
            collected = call_owner(self.job, "collect", self.folder)
            report = _report(self.folder / "report.json")

        def finish() -> None:
            with transaction.atomic():
                if not self._fenced().update(report=report, fraction=1.0):
                    raise Fenced
                self.job.refresh_from_db()
                call_owner(self.job, "finish", collected)
                if not end(self.job, State.SUCCEEDED, attempt=self.attempt):
                    raise Fenced

        self._retrying(finish)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _fail(self, code: str, params: dict[str, Any] | None = None, field: str = "") -> None:
        self._kill()
        self._close(
            lambda: end(
                self.job, State.FAILED, attempt=self.attempt, code=code, params=params, field=field
            )
        )

    def _crashed(self, reason: str) -> None:
        self._kill()
        text, last = tail(self.log), self.reader.last if self.reader is not None else {}
        self._close(
            lambda: requeue(
                self.job.pk,
                attempt=self.attempt,
                crashed=True,
                reason=reason,
                tail=text,
                error=last if last.get("kind") == "error" else None,
            )
        )

    def _close(self, verdict: Callable[[], Any]) -> None:
        """Carry a verdict out in one transaction; inputs can be put in place again."""

        def act() -> Any:
            with transaction.atomic():
                return verdict()

        try:
            outcome = self._retrying(act)
        except DatabaseError:
            logger.exception("job %s: the verdict could not be written", self.job.pk)
            return
        if not outcome:
            logger.warning("job %s: the verdict of attempt %s came late", self.job.pk, self.attempt)
        elif Job.objects.filter(pk=self.job.pk, state__in=[State.FAILED, State.CANCELLED]).exists():
            shutil.rmtree(self.folder / "inputs", ignore_errors=True)
            shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def _retrying(self, action: Callable[[], Any]) -> Any:
        """Try a last write again while the database is away and the lease lasts."""
        until = time.monotonic() + settings.LEASE_S
        while True:
            try:
                return action()
            except (OperationalError, InterfaceError):
                connection.close()
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def _kill(self) -> None:
        if self.process is not None:
            signal_group(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def _exit_descriptor(process: subprocess.Popen[bytes]) -> Iterator[int | None]:
    """A descriptor that becomes readable when the process ends (Linux)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _wait(process: subprocess.Popen[bytes], descriptor: int | None, timeout_s: float) -> int | None:
    """Its exit code as soon as it ends, and with it all its group; None after the timeout."""
    if descriptor is not None:
        ended, _, _ = select.select([descriptor], [], [], timeout_s)
        if ended:
            # Before it is reaped: afterwards its number may be somebody else's.
            signal_group(process.pid, signal.SIGKILL)
        return process.poll()
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        pass


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _report(path: Path) -> dict[str, Any]:
    """``report.json``, kept on the row; empty when the command writes none."""
    if not path.is_file() or path.stat().st_size > REPORT_LIMIT:
        return {}
    report = json.loads(path.read_text(encoding="utf-8"))
    return report if isinstance(report, dict) else {}


def _cut_back(log: Path) -> None:
    """Keep a chatty process from filling the disk; it appends, so the file may shrink under it."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        end_of_it = tail(log, lines=200, characters=60_000)
        log.write_text(f"[cut back]\n{end_of_it}\n")
