"""The worker: RQ's, with the cases covered in which a job could be lost or run twice.

- The work-horse dies with the worker (``PR_SET_PDEATHSIG``), and the training process with the
  work-horse: after SIGKILL of any of them nobody is left behind.
- A work-horse that is killed puts its job back at once, by the handler RQ calls for that.
- SIGTERM to the worker is a warm stop: the training process saves its state, the job goes back into
  the queue. A second SIGTERM kills.
- A broker that is away is waited for: RQ gives up after a while and leaves.
- An idle worker looks up every few seconds; RQ's default is 405.

RQ's retry and its scheduler are off. What RQ thinks about a job's fate is never read.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.db.models.functions import Now
from rq import Queue, SimpleWorker
from rq import Worker as RQWorker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job as Message
from rq.worker.base import BaseWorker, WorkerStatus

from training.version import code_version
from webapp.jobs import devices, interactive, sandbox
from webapp.jobs.models import Worker as WorkerRow
from webapp.jobs.processes import die_with_parent, identity
from webapp.jobs.stop import stopping
from webapp.jobs.transitions import requeue

logger = logging.getLogger(__name__)

#: RQ blocks for this less 15 seconds while idle.
WORKER_TTL_S = 20
#: Between two tries to reach a broker that is away.
BROKER_WAIT_S = 1.0


class Patient(BaseWorker):
    """What both workers have: they outlast their broker and stop when asked."""

    #: RQ waits up to a minute between two tries.
    max_connection_wait_time = 2.0

    def maintain_heartbeats(self, job: Message, execution: Execution) -> None:
        # RQ would leave here, with the work-horse still running.
        try:
            super().maintain_heartbeats(job, execution)
        except redis.RedisError as error:
            logger.warning("the broker is away while a job runs: %s", error)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        stopping.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def _shutdown(self) -> None:
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
        self._stop_requested = True
        try:
            self.set_shutdown_requested_date()  # type: ignore[no-untyped-call]
        except redis.RedisError:  # nobody reads it
            pass


class Worker(Patient, RQWorker):
    """One job at a time, in a work-horse of its own; see the module's docstring."""

    def execute_job(self, job: Message, queue: Queue) -> None:
        try:
            super().execute_job(job, queue)
        finally:
            # Never a second work-horse beside a first one, whatever went wrong with the broker.
            if self.horse_pid:
                self._sit_out()

    def _sit_out(self) -> None:
        while True:
            try:
                os.waitpid(self.horse_pid, 0)
            except InterruptedError:
                continue
            except ChildProcessError:
                break
        self._horse_pid = 0

    def fork_work_horse(self, job: Message, queue: Queue) -> None:
        # A connection must not be shared across a fork; each process opens its own.
        connections.close_all()
        super().fork_work_horse(job, queue)
        if stopping.is_set():  # asked while forking, when there was nobody to tell
            self.handle_warm_shutdown_request()

    def main_work_horse(self, job: Message, queue: Queue) -> None:
        die_with_parent(int(os.environ["GRAFT_WORKER_PID"]))
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        # Ctrl-C reaches the whole group; the worker decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())

    def handle_warm_shutdown_request(self) -> None:
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            try:
                os.kill(self.horse_pid, signal.SIGTERM)
            except ProcessLookupError:
                pass

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        current = next((e.job_id for e in self.executions.values()), None)
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            if current:
                put_back(current, crashed=False)
            raise


class InteractiveWorker(Patient, SimpleWorker):
    """Answers in this process, which keeps a warm child; see webapp.jobs.interactive."""

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        interactive.close_when_idle()
        super().heartbeat(timeout, pipeline)


def work_horse_killed(message: Message, pid: int, status: int, usage: Any) -> None:
    """RQ's handler for a work-horse that ended without a word (a failed job's is not called)."""
    how = f"signal {os.WTERMSIG(status)}" if status and os.WIFSIGNALED(status) else f"{status}"
    put_back(message.id, crashed=True, reason=f"work-horse, {how}")


def put_back(message_id: str, *, crashed: bool, reason: str = "") -> None:
    """Put the job of a message back into the queue, if its attempt is still the one that runs."""
    job_id, _, attempt = message_id.rpartition("_")
    try:
        with transaction.atomic():
            requeue(job_id, attempt=int(attempt), crashed=crashed, reason=reason)
    except (DatabaseError, ValueError):
        logger.exception("message %s could not be put back", message_id)  # the lease runs out
    finally:
        connections.close_all()


def serve(queues: Sequence[str], *, gpu: int | None = None) -> None:
    """Work until SIGTERM: register, take jobs, wait for the broker whenever it is away.

    Args:
        queues: Their names, the first first.
        gpu: Index of the GPU that belongs to this worker; runs on several GPUs take more.
    """
    me = identity(os.getpid())
    name = str(me)
    os.environ["GRAFT_WORKER"] = name
    os.environ["GRAFT_WORKER_PID"] = str(os.getpid())
    found = devices.gpus() if gpu is not None else []
    others = [one.index for one in found if one.index != gpu]
    os.environ["GRAFT_GPUS"] = ",".join(map(str, [] if gpu is None else [gpu, *others]))
    register(name, queues, [one.as_dict() for one in found])
    stop = threading.Event()
    threading.Thread(target=_keep_registered, args=(name, stop), daemon=True).start()
    try:
        while not stopping.is_set():
            _serve_once(name, queues)
            if not stopping.is_set():
                time.sleep(BROKER_WAIT_S)
    except StopRequested:  # between two of RQ's loops
        pass
    finally:
        stop.set()
        interactive.close()
        unregister(name)


def _serve_once(name: str, queues: Sequence[str]) -> None:
    """RQ's loop; it returns when the broker goes away."""
    connection = redis.Redis.from_url(settings.REDIS_URL)
    try:
        # A new name each time: the broker may still hold the old registration.
        worker = make_worker(f"{name}.{time.time_ns() % 10**9}", queues, connection)
        worker.work(logging_level="WARNING", with_scheduler=False)
    except (redis.RedisError, OSError) as error:
        logger.warning("the broker is away: %s", error)
    finally:
        connection.close()


def make_worker(name: str, queues: Sequence[str], connection: redis.Redis) -> BaseWorker:
    """RQ's worker under our settings."""
    kind = InteractiveWorker if "interactive" in queues else Worker
    return kind(
        [Queue(queue, connection=connection) for queue in queues],
        name=name,
        connection=connection,
        worker_ttl=WORKER_TTL_S,
        default_result_ttl=0,
        maintenance_interval=600,
        work_horse_killed_handler=work_horse_killed,
        log_job_description=False,
    )


def register(name: str, queues: Sequence[str], gpus: list[dict[str, Any]]) -> None:
    """Tell the database what this worker serves and has."""
    WorkerRow.objects.update_or_create(
        name=name,
        defaults={
            "host": name.split(".")[0][:100],
            "pid": os.getpid(),
            "queues": list(queues),
            "gpus": gpus,
            "processors": os.cpu_count() or 1,
            "memory_bytes": sandbox.physical_memory(),
            "code_version": code_version(),
            "started_at": Now(),
            "seen_at": Now(),
        },
    )
    connections.close_all()


def unregister(name: str) -> None:
    """The worker leaves in order."""
    try:
        WorkerRow.objects.filter(name=name).delete()
    except DatabaseError:
        logger.warning("worker %s could not sign off", name)
    finally:
        connections.close_all()


def _keep_registered(name: str, stop: threading.Event) -> None:
    while not stop.wait(settings.LEASE_S / 2):
        try:
            WorkerRow.objects.filter(name=name).update(seen_at=Now())
        except DatabaseError:
            logger.warning("worker %s: the database does not answer", name)
        finally:
            connections.close_all()
