"""Jobs in the administration."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.factories import Cast, make_job
from webapp.accounts.models import AuditEvent, User
from webapp.jobs.models import Job, JobEvent, State, Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Any, cast: Cast) -> Any:
    client.force_login(
        User.objects.create_superuser("root@example.org"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def test_lists_and_pages_open(root: Any, cast: Cast) -> None:
    first = make_job(cast, state=State.FAILED, error_code="nan_loss")
    job = make_job(cast, state=State.WAITING, after=[first], spec={"training": {"steps": 7}})
    JobEvent.objects.create(job=job, seq=1, at=timezone.now(), kind="log", data={"text": "hi"})
    Worker.objects.create(
        name="w", host="h", pid=1, started_at=timezone.now(), seen_at=timezone.now()
    )
    for model in ("job", "jobevent", "worker"):
        assert root.get(reverse(f"admin:jobs_{model}_changelist")).status_code == 200
    page = root.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert "&quot;steps&quot;: 7" in page
    assert reverse("admin:jobs_job_change", args=[first.pk]) in page
    assert 'name="state"' not in page, "a state is not edited by hand"
    found = root.get(reverse("admin:jobs_job_changelist"), {"q": str(job.pk)}).content.decode()
    assert str(job.pk) in found
    assert str(first.pk) not in found


def test_lists_ask_few_queries(root: Any, cast: Cast, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        make_job(cast)
    with django_assert_max_num_queries(12):
        root.get(reverse("admin:jobs_job_changelist"))


def test_actions_go_through_the_services(root: Any, cast: Cast) -> None:
    queued, done = make_job(cast), make_job(cast, state=State.SUCCEEDED)
    url = reverse("admin:jobs_job_changelist")
    chosen = {"_selected_action": [str(queued.pk), str(done.pk)]}
    root.post(url, {"action": "cancel_jobs", **chosen})
    queued.refresh_from_db()
    assert queued.state == State.CANCELLED
    assert Job.objects.get(pk=done.pk).state == State.SUCCEEDED
    assert AuditEvent.objects.get(action="job.cancel").object_id == str(queued.pk)
    root.post(url, {"action": "retry_jobs", **chosen})
    queued.refresh_from_db()
    assert queued.state == State.QUEUED
