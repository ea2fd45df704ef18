"""Makes the world agree with the table: tells Redis what it forgot, closes what died.

Every pass looks at the rows alone; Redis is asked only whether a message still waits there. Each
change is a compare-and-set, so that two reconcilers do no more harm than one.
"""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from redis.exceptions import RedisError

from webapp.jobs.models import Job, State, Worker
from webapp.jobs.processes import Identity
from webapp.jobs.queue import dispatch, message_id, messages_waiting
from webapp.jobs.transitions import requeue, settle

logger = logging.getLogger(__name__)

PERIOD_S = 2.0
CLEAN_PERIOD_S = 600.0
#: How long a message may be on its way: popped by a worker that has not yet claimed the job.
ON_ITS_WAY = timedelta(seconds=10)
#: Work folders of failed and cancelled jobs hold the state from which a retry goes on.
KEEP_ENDED = timedelta(days=14)
#: Folders whose job is unknown, and checkpoints that the playground used last.
KEEP_UNUSED_S = 24 * 3600.0


def reconcile() -> None:
    """One pass over everything that may need help."""
    close_orphans()
    settle_waiting()
    dispatch_forgotten()
    forget_workers()


#: Expired leases of workers that live on this machine, and when this process first saw them so.
_suspects: dict[tuple[object, int], float] = {}


def close_orphans() -> int:
    """Put jobs back whose worker is gone: its lease ran out, or it died on this very machine."""
    closed = 0
    running = Job.objects.filter(state=State.RUNNING)
    expired = set(running.filter(lease_expires_at__lt=Now()).values_list("pk", flat=True))
    suspects = {}
    for pk, attempt, worker in running.values_list("pk", "attempt", "worker"):
        if _is_here(worker, alive=True) and pk in expired:
            # It may only be late: the machine slept, or the database was locked for long. Sleep
            # does not count in the monotonic clock, so it gets a lease's time from now on.
            since = _suspects.get((pk, attempt), time.monotonic())
            suspects[pk, attempt] = since
            gone = time.monotonic() - since > settings.LEASE_S
        else:
            gone = pk in expired or _is_here(worker, alive=False)
        if not gone:
            continue
        with transaction.atomic():
            state = requeue(pk, attempt=attempt, crashed=True, reason="lost")
        if state is not None:
            closed += 1
            logger.warning("job %s: attempt %s was lost; it is %s now", pk, attempt, state)
    _suspects.clear()
    _suspects.update(suspects)
    return closed


def settle_waiting() -> None:
    """Queue or fail jobs whose predecessors ended; normally done in the same transaction."""
    for job in Job.objects.filter(state=State.WAITING).exclude(
        after__state__in=[State.WAITING, State.QUEUED, State.RUNNING, State.PAUSED]
    ):
        with transaction.atomic():
            settle(job)


def dispatch_forgotten() -> int:
    """Enqueue again what is queued in the table and not in Redis."""
    queued = Job.objects.filter(state=State.QUEUED).filter(
        Q(dispatched_at__isnull=True) | Q(dispatched_at__lt=Now() - ON_ITS_WAY)
    )
    rows = list(queued.order_by("queued_at", "created_at").values_list("pk", "attempt"))
    if not rows:
        return 0
    try:
        waiting = messages_waiting()
    except (RedisError, OSError) as error:
        logger.warning("the broker is away: %s", error)
        return 0
    forgotten = [pk for pk, attempt in rows if message_id(pk, attempt + 1) not in waiting]
    return sum(dispatch(pk) for pk in forgotten)


def forget_workers() -> None:
    """Remove workers that were not seen for long, or died on this machine."""
    Worker.objects.filter(seen_at__lt=Now() - timedelta(seconds=10 * settings.LEASE_S)).delete()
    dead = [
        pk for pk, name in Worker.objects.values_list("pk", "name") if _is_here(name, alive=False)
    ]
    if dead:
        Worker.objects.filter(pk__in=dead).delete()


def clean() -> None:
    """Remove folders that nobody needs any more, on this host."""
    _clean_work(Path(settings.WORK_DIR))
    _clean_shared(Path(settings.WORK_DIR) / "playground")
    # Here and not above: services of datasets import this app's.
    from webapp.datasets.services import uploads_expire

    uploads_expire()


def _clean_work(root: Path) -> None:
    folders = {}
    for folder in root.glob("*-*-*-*-*"):
        try:
            folders[uuid.UUID(folder.name)] = folder
        except ValueError:
            continue
    keep = set(
        Job.objects.filter(pk__in=folders)
        .exclude(state=State.SUCCEEDED)
        .exclude(state__in=[State.FAILED, State.CANCELLED], finished_at__lt=Now() - KEEP_ENDED)
        .values_list("pk", flat=True)
    )
    for pk, folder in folders.items():
        if pk not in keep and _unused_for_s(folder) > 60:
            shutil.rmtree(folder, ignore_errors=True)


def _clean_shared(root: Path) -> None:
    for marker in root.glob("*.complete"):
        if _unused_for_s(marker) > KEEP_UNUSED_S:
            marker.unlink(missing_ok=True)
            shutil.rmtree(marker.with_suffix(""), ignore_errors=True)


def _unused_for_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _is_here(name: str, *, alive: bool) -> bool:
    """Whether a worker's name says that it runs, or ran and runs no more, on this machine."""
    who = Identity.parse(name)
    return who is not None and who.is_here() and who.is_alive() is alive
