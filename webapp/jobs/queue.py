"""Telling RQ about jobs. The message carries an id and an attempt, and may get lost at any time."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models.functions import Now
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue

from webapp.jobs.models import Job, State

logger = logging.getLogger(__name__)

#: How long RQ keeps what it knows of a message after its end, seconds. Pages never read it; an
#: hour is enough to look at /admin/queues/.
KEEP_S = 3600


def message_id(job_id: Any, attempt: int) -> str:
    """RQ's id of the message for one attempt; RQ 3 allows letters, digits, ``_`` and ``-``."""
    return f"{job_id}_{attempt}"


@lru_cache(maxsize=4)
def _connection(url: str) -> Redis:
    # A page that queues a job must not hang because Redis does: the reconciler tells it later.
    return Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=5,
        retry=Retry(NoBackoff(), 1),  # a pooled connection may have died with the last broker
        retry_on_error=[ConnectionError],
    )


def queue_named(name: str) -> Queue:
    """RQ's queue of that name.

    Not django-rq's: inside a transaction its ``enqueue`` defers itself and returns None.
    """
    return Queue(name, connection=_connection(settings.REDIS_URL))


def dispatch(job_id: Any) -> bool:
    """Put the message for a queued job's next attempt into Redis, best effort.

    Enqueuing twice does no harm: the claim in the database lets only one attempt begin.

    Returns:
        Whether Redis took it.
    """
    job = Job.objects.filter(pk=job_id, state=State.QUEUED).first()
    if job is None:
        return False
    attempt = job.attempt + 1
    try:
        queue = queue_named(job.queue)
        queue.enqueue_call(
            "webapp.jobs.tasks.run_job",
            args=(str(job.pk), attempt),
            job_id=message_id(job.pk, attempt),
            timeout=-1,
            result_ttl=0,
            failure_ttl=KEEP_S,
            description=f"{job.kind} {job.pk} attempt {attempt}",
        )
    except (RedisError, OSError) as error:
        # The row stays queued; the reconciler sends the message when Redis is back.
        logger.warning("job %s could not be dispatched: %s", job.pk, error)
        return False
    Job.objects.filter(pk=job_id, state=State.QUEUED, attempt=job.attempt).update(
        dispatched_at=Now()
    )
    return True


def messages_waiting() -> set[str]:
    """Ids of all messages that wait in Redis.

    Raises:
        RedisError: Redis is away.
    """
    waiting: set[str] = set()
    for name in settings.QUEUES:
        waiting.update(queue_named(name).get_job_ids())
    return waiting
