from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast, make_job, make_version
from webapp.accounts.models import Membership
from webapp.jobs.models import State
from webapp.runs.models import Run


def make_run(cast: Cast, version: Any, name: str, **job: Any) -> Run:
    return Run.objects.create(
        name=name,
        method="causal_lm",
        job=make_job(cast, **job),
        dataset_version=version,
        team=cast.team,
        owner=cast.alice,
    )


def test_an_empty_portal_says_what_to_do_first(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.get("/").content.decode()
    assert "From text to a transfer in three steps" in page
    assert 'action="/data/samples"' in page


def test_a_viewer_is_offered_nothing_that_changes(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert 'action="/data/samples"' not in client.get("/").content.decode()


def test_without_a_team_it_says_how_to_get_into_one(client: Client, cast: Cast) -> None:
    Membership.objects.filter(user=cast.bob).delete()
    client.force_login(cast.bob)
    assert "You are in no team" in client.get("/").content.decode()


def test_live_runs_have_progress_bars_and_are_asked_for_again(client: Client, cast: Cast) -> None:
    version = make_version(cast)
    make_run(
        cast,
        version,
        "Moby",
        state=State.RUNNING,
        fraction=0.37,
        step=1480,
        total_steps=4000,
        live={"eta_s": 75},
    )
    client.force_login(cast.alice)
    page = client.get("/").content.decode()
    assert 'hx-trigger="every 3s"' in page
    assert 'value="370"' in page
    assert "step 1,480 of 4,000" in page
    assert "1:15 left" in page


def test_the_fragment_carries_no_trigger_once_all_have_ended(client: Client, cast: Cast) -> None:
    make_run(cast, make_version(cast), "Moby", state=State.SUCCEEDED)
    client.force_login(cast.alice)
    answer = client.get("/", headers={"HX-Request": "true"})
    assert "<html" not in answer.content.decode()
    assert "hx-trigger" not in answer.content.decode()
    assert "Nothing is at work any more" in answer.content.decode()
    assert "HX-Request" in answer["Vary"]


def test_another_teams_work_is_not_shown(client: Client, cast: Cast) -> None:
    make_run(cast, make_version(cast), "Secret run", state=State.RUNNING)
    client.force_login(cast.mallory)
    page = client.get("/").content.decode()
    assert "Secret run" not in page
    assert "Letters" not in page


@pytest.mark.parametrize("count", [1, 4])
def test_queries_do_not_grow_with_what_is_shown(
    client: Client, cast: Cast, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        version = make_version(cast, name=f"Data {number}")
        make_run(cast, version, f"Live {number}", state=State.RUNNING)
        make_run(cast, version, f"Ended {number}", state=State.SUCCEEDED)
    client.force_login(cast.alice)
    # Session, person, team; live, ended, data, newest versions, checkpoints, transfers; role.
    with django_assert_num_queries(10):
        client.get("/")
