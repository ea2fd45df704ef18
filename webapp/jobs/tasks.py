"""What RQ calls: a message says only which job and which attempt."""

from __future__ import annotations

import os
import signal
import threading
import uuid

from webapp.jobs import interactive
from webapp.jobs.kinds import KINDS
from webapp.jobs.processes import identity
from webapp.jobs.stop import stopping
from webapp.jobs.supervisor import Supervisor
from webapp.jobs.transitions import claim


def run_job(job_id: str, attempt: int) -> None:
    """Run one attempt of a job in this process, if nobody else does.

    A message that comes twice, late, or for a job that was cancelled meanwhile finds nothing to
    claim and does nothing.
    """
    if stopping.is_set():  # the reconciler sends the message again
        return
    job = claim(uuid.UUID(job_id), attempt, worker_name())
    if job is None:
        return
    if KINDS[job.kind].queue == "interactive":
        interactive.answer(job)
    else:
        supervisor = Supervisor(job, gpus=_gpus())
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, supervisor.stop)
        if stopping.is_set():
            supervisor.stop()
        supervisor.run()


def worker_name() -> str:
    """The worker process that this runs for (the parent of a work-horse)."""
    return os.environ.get("GRAFT_WORKER") or str(identity(os.getpid()))


def _gpus() -> list[int]:
    """GPUs that the worker may use, its own first (set by webapp.jobs.worker)."""
    return [int(part) for part in os.environ.get("GRAFT_GPUS", "").split(",") if part]
