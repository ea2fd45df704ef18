"""What the audit trail calls a job that is about a checkpoint: by the checkpoint's name."""

from collections.abc import Callable

import pytest

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint, make_import, make_statistics
from tests.factories.exports import make_export, make_push
from tests.factories.jobs import make_job
from webapp.accounts.models import AuditEvent
from webapp.checkpoints.models import Checkpoint
from webapp.jobs.models import Job, State
from webapp.jobs.services import job_cancel

LIVE = {"state": State.QUEUED}


def _probe(cast: Cast, checkpoint: Checkpoint) -> Job:
    probe = make_job(cast, kind="probe")
    make_import(cast, name=checkpoint.name, checkpoint=checkpoint, probe_job=probe)
    return probe


@pytest.mark.parametrize(
    "make",
    [
        lambda cast, one: make_export(cast, checkpoint=one, job=LIVE).job,
        lambda cast, one: make_push(cast, checkpoint=one, job=LIVE).job,
        lambda cast, one: make_statistics(cast, one, job=LIVE).job,
        _probe,
    ],
    ids=["export", "push", "statistics", "probe"],
)
def test_a_job_is_called_by_its_checkpoint(
    cast: Cast, make: Callable[[Cast, Checkpoint], Job]
) -> None:
    job = make(cast, make_checkpoint(cast, name="Whale songs"))
    job_cancel(job=job, actor=cast.alice)
    assert AuditEvent.objects.get(action="job.cancel").object_name == "Whale songs"
