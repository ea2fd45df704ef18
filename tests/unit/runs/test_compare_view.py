"""Runs side by side."""

from __future__ import annotations

from typing import Any

from django.test import Client

from tests.factories import Cast, make_version
from tests.factories.runs import make_curve, make_run, make_source

URL = "/runs/compare"


def test_ticked_runs_become_a_link_that_can_be_passed_on(alice: Client, cast: Cast) -> None:
    first, second = make_run(cast), make_run(cast)
    response = alice.get(URL, {"ids": [str(first.pk), str(second.pk)]})
    assert response.url == f"{URL}?ids={first.pk},{second.pk}"


def test_it_shows_only_the_settings_that_differ_until_asked_for_all(
    alice: Client, cast: Cast
) -> None:
    version = make_version(cast)
    first = make_run(cast, version=version, spec={"seed": 1})
    second = make_run(cast, version=version, spec={"seed": 2})
    ids = f"{first.pk},{second.pk}"
    rows = alice.get(URL, {"ids": ids}).context["settings"]
    assert [row.path for row in rows] == ["seed"]
    rows = alice.get(URL, {"ids": ids, "all": "1"}).context["settings"]
    assert len(rows) > 20


def test_a_transfer_and_its_twin_do_not_differ_in_their_model(alice: Client, cast: Cast) -> None:
    run = make_run(cast, source=make_source(cast), twin=True)
    rows = alice.get(URL, {"ids": f"{run.pk},{run.twin.pk}"}).context["settings"]
    assert [row.path for row in rows] == ["tokenizer.kind"]


def test_the_best_score_stands_out(alice: Client, cast: Cast) -> None:
    first, second = make_run(cast), make_run(cast)
    make_curve(first, {0: 5.0})
    make_curve(second, {0: 4.5})
    table = alice.get(URL, {"ids": f"{first.pk},{second.pk}"}).context["score_table"]
    assert table[0]["values"] == [{"value": 5.0, "best": False}, {"value": 4.5, "best": True}]


def test_another_teams_runs_and_nonsense_are_left_out(client: Client, cast: Cast) -> None:
    run = make_run(cast, name="Secret")
    client.force_login(cast.mallory)
    response = client.get(URL, {"ids": f"{run.pk},nonsense"})
    assert response.context["runs"] == []
    assert "Secret" not in response.text
    assert "Choose at least two runs" in response.text


def test_the_number_of_queries_does_not_grow_with_the_runs(
    alice: Client, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    runs = [make_run(cast, name=f"R{number}") for number in range(8)]
    ids = ",".join(str(run.pk) for run in runs)
    with django_assert_max_num_queries(8):
        alice.get(URL, {"ids": ids})
