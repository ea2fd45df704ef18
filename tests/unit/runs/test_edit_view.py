"""Name, notes and tags of a run."""

from __future__ import annotations

from django.test import Client

from tests.factories import Cast
from tests.factories.runs import make_run


def test_it_changes_them(client: Client, cast: Cast) -> None:
    run = make_run(cast)
    client.force_login(cast.bob)
    data = {"name": " New ", "notes": "Because", "tags": "a, b，c ,, a"}
    response = client.post(f"/runs/{run.pk}/edit", data)
    assert response.url == f"/runs/{run.pk}"
    run.refresh_from_db()
    assert (run.name, run.notes) == ("New", "Because")
    assert [tag.name for tag in run.tags.all()] == ["a", "b", "c"]


def test_in_place_it_answers_with_the_panel_and_the_new_name(client: Client, cast: Cast) -> None:
    run = make_run(cast)
    client.force_login(cast.alice)
    htmx = {"HX-Request": "true"}
    assert "<html" not in client.get(f"/runs/{run.pk}/edit", headers=htmx).text
    data = {"name": "New", "notes": "", "tags": "x"}
    text = client.post(f"/runs/{run.pk}/edit", data, headers=htmx).text
    assert 'id="about"' in text
    assert '<h1 id="run-name" hx-swap-oob="true">New</h1>' in text


def test_a_mistake_loses_nothing(client: Client, cast: Cast) -> None:
    run = make_run(cast)
    client.force_login(cast.alice)
    data = {"name": " ", "notes": "Long notes", "tags": "x" * 41}
    response = client.post(f"/runs/{run.pk}/edit", data)
    assert response.status_code == 422
    for part in ("Write a name.", "A tag has at most 40", "Long notes", "x" * 41):
        assert part in response.text
    run.refresh_from_db()
    assert run.name == "A run"


def test_viewers_may_not(client: Client, cast: Cast) -> None:
    run = make_run(cast)
    client.force_login(cast.vera)
    assert client.get(f"/runs/{run.pk}/edit").status_code == 403
    assert client.post(f"/runs/{run.pk}/edit", {"name": "X"}).status_code == 403
