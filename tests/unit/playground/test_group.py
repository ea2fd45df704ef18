import uuid
from typing import Any

from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.playground import make_generation
from webapp.jobs.models import Job, State
from webapp.playground.models import Generation

HTMX = {"HX-Request": "true"}


def _url(row: Generation) -> str:
    return f"/playground/{row.group}"


def test_it_polls_while_it_writes_and_ends_by_omission(client: Client, cast: Cast) -> None:
    row = make_generation(cast, state=State.RUNNING)
    client.force_login(cast.vera)
    page = client.get(_url(row)).content.decode()
    assert 'hx-trigger="every 400ms"' in page
    assert "Loading the model" in page
    Generation.objects.filter(pk=row.pk).update(text=" Ishmael", tokens=3, seconds=0.5)
    page = client.get(_url(row), headers=HTMX).content.decode()
    assert "<html" not in page
    assert '<span class="prompt">Call me</span><span class="continuation"> Ishmael</span>' in page
    assert "6.0 tokens/s" in page
    Job.objects.filter(pk=row.job_id).update(state=State.SUCCEEDED)
    Generation.objects.filter(pk=row.pk).update(reason="length")
    page = client.get(_url(row), headers=HTMX).content.decode()
    assert "hx-trigger" not in page
    assert "ended at its length" in page


def test_nothing_new_is_no_content(client: Client, cast: Cast) -> None:
    row = make_generation(cast, state=State.RUNNING)
    client.force_login(cast.alice)
    mark = client.get(_url(row)).context["mark"]
    assert client.get(_url(row), {"seen": mark}, headers=HTMX).status_code == 204
    Generation.objects.filter(pk=row.pk).update(text="x", tokens=1)
    assert client.get(_url(row), {"seen": mark}, headers=HTMX).status_code == 200


def test_waiting_without_a_worker_is_said(client: Client, cast: Cast) -> None:
    row = make_generation(cast)
    client.force_login(cast.alice)
    assert "No worker answers" in client.get(_url(row)).content.decode()


def test_markup_in_a_text_stays_text(client: Client, cast: Cast) -> None:
    row = make_generation(
        cast, text="<script>alert(1)</script>", settings={"prompt": "<b>", "stop": ["<i>"]}
    )
    client.force_login(cast.alice)
    page = client.get(_url(row)).content.decode()
    assert "<script>alert(1)" not in page
    assert "<b>" not in page.replace("&lt;b&gt;", "")


def test_a_failure_has_its_sentence(client: Client, cast: Cast) -> None:
    row = make_generation(
        cast, state=State.FAILED, job={"error_code": "portal", "error_params": {"detail": "why"}}
    )
    client.force_login(cast.alice)
    assert "could not handle this job: why" in client.get(_url(row)).content.decode()


def test_stop_cancels_all_of_the_group_and_keeps_what_is_written(
    client: Client, cast: Cast
) -> None:
    first = make_generation(cast, state=State.RUNNING, text="So far")
    second = make_generation(cast, group=first.group)
    third = make_generation(cast, group=first.group, state=State.SUCCEEDED)
    client.force_login(cast.bob)
    assert client.post(f"{_url(first)}/stop").status_code == 302
    for row in (first, second, third):
        row.refresh_from_db()
    assert first.job.requested == "cancel"
    assert (second.job.state, second.reason) == (State.CANCELLED, "cancelled")
    assert third.job.state == State.SUCCEEDED
    assert first.text == "So far"


def test_again_asks_the_same_with_another_seed(client: Client, cast: Cast) -> None:
    row = make_generation(cast, state=State.SUCCEEDED)
    make_generation(cast, group=row.group, checkpoint=make_checkpoint(cast), state=State.SUCCEEDED)
    client.force_login(cast.bob)
    answer = client.post(f"{_url(row)}/again")
    fresh = Generation.objects.exclude(group=row.group)
    assert answer["Location"] == f"/playground/{fresh[0].group}"
    assert len(fresh) == 2
    seeds = {item.settings["seed"] for item in fresh}
    assert len(seeds) == 1
    assert seeds != {row.settings["seed"]}
    assert fresh[0].settings | {"seed": 0} == row.settings | {"seed": 0}


def test_viewers_only_read_and_outsiders_not_even_that(client: Client, cast: Cast) -> None:
    row = make_generation(cast, state=State.RUNNING)
    client.force_login(cast.vera)
    assert f"{_url(row)}/stop" not in client.get(_url(row)).content.decode()
    assert client.post(f"{_url(row)}/stop").status_code == 403
    assert client.post(f"{_url(row)}/again").status_code == 403
    client.force_login(cast.mallory)
    for path in ("", "/stop", "/again"):
        method = client.post if path else client.get
        assert method(_url(row) + path).status_code == 404
    assert client.get(f"/playground/{uuid.uuid4()}").status_code == 404


def test_a_poll_is_cheap(client: Client, cast: Cast, django_assert_num_queries: Any) -> None:
    row = make_generation(cast, state=State.RUNNING)
    make_generation(cast, group=row.group, state=State.RUNNING)
    client.force_login(cast.alice)
    mark = client.get(_url(row)).context["mark"]
    with django_assert_num_queries(4):  # session, person, team, texts
        client.get(_url(row), {"seen": mark}, headers=HTMX)
