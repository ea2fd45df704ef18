"""Pause, resume, cancel and retry from a run's page."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.runs import make_run
from webapp.jobs.models import Request, State


@pytest.mark.parametrize(
    ("action", "before", "state", "requested"),
    [
        ("pause", State.QUEUED, State.PAUSED, Request.NONE),
        ("pause", State.RUNNING, State.RUNNING, Request.PAUSE),
        ("resume", State.PAUSED, State.QUEUED, Request.NONE),
        ("cancel", State.QUEUED, State.CANCELLED, Request.NONE),
        ("cancel", State.RUNNING, State.RUNNING, Request.CANCEL),
        ("retry", State.FAILED, State.QUEUED, Request.NONE),
        ("retry", State.CANCELLED, State.QUEUED, Request.NONE),
    ],
)
def test_they_change_the_job(
    client: Client, cast: Cast, action: str, before: str, state: str, requested: str
) -> None:
    run = make_run(cast, state=before)
    client.force_login(cast.bob)
    assert client.post(f"/runs/{run.pk}/{action}").url == f"/runs/{run.pk}"
    run.job.refresh_from_db()
    assert (run.job.state, run.job.requested) == (state, requested)


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
def test_what_the_state_does_not_allow_is_said_and_changes_nothing(
    client: Client, cast: Cast, action: str
) -> None:
    run = make_run(cast, state=State.SUCCEEDED)
    client.force_login(cast.alice)
    response = client.post(f"/runs/{run.pk}/{action}", follow=True)
    assert "Meanwhile the run is finished" in response.text
    run.job.refresh_from_db()
    assert run.job.state == State.SUCCEEDED


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
def test_only_members_of_the_team_may(client: Client, cast: Cast, action: str) -> None:
    run = make_run(cast, state=State.RUNNING)
    client.force_login(cast.vera)
    assert client.post(f"/runs/{run.pk}/{action}").status_code == 403
    client.force_login(cast.mallory)
    assert client.post(f"/runs/{run.pk}/{action}").status_code == 404
    assert client.get(f"/runs/{run.pk}/{action}").status_code == 405
