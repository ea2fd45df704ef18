"""The list of runs."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from tests.factories import Cast, make_version
from tests.factories.runs import make_curve, make_run, make_source
from webapp.jobs.models import State

URL = "/runs/"


def names(response: Any) -> list[str]:
    return [run.name for run in response.context["page"].items]


def test_strangers_are_asked_to_sign_in(client: Client, db: None) -> None:
    assert client.get(URL).status_code == 302


def test_an_empty_list_says_what_to_do_next(alice: Client) -> None:
    response = alice.get(URL)
    assert "No runs yet" in response.text
    assert reverse("runs:new") in response.text


def test_a_viewer_is_not_offered_what_they_may_not_do(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert "Configure the first run" not in client.get(URL).text


def test_another_teams_runs_do_not_exist(client: Client, cast: Cast) -> None:
    make_run(cast, name="Secret")
    client.force_login(cast.mallory)
    assert "Secret" not in client.get(URL).text


def test_filters_narrow_the_list(alice: Client, cast: Cast) -> None:
    source = make_source(cast)
    moby = make_version(cast, name="Moby")
    make_run(cast, name="Scratch", version=moby, notes="about whales", tags=["t1"])
    transfer = make_run(cast, name="Transfer", source=source, twin=True, state=State.FAILED)
    make_run(cast, name="Bob's", owner=cast.bob, version=moby)
    twin = transfer.twin.name

    def found(**query: Any) -> list[str]:
        return sorted(names(alice.get(URL, query)))

    assert found(q="whales") == ["Scratch"]
    assert found(q="t1") == ["Scratch"]
    assert found(q="nano") == ["Transfer"]
    assert found(q="moby bob") == ["Bob's"]
    assert found(state="failed") == ["Transfer"]
    assert found(how="transfer") == ["Transfer"]
    assert found(how="scratch") == ["Bob's", "Scratch"]
    assert found(how="twin") == [twin]
    assert found(data="Moby") == ["Bob's", "Scratch"]
    assert found(owner=cast.bob.pk) == ["Bob's"]
    assert found(tag="t1") == ["Scratch"]
    assert found(method="causal_lm", tag="t1") == ["Scratch"]
    assert found(q="nothing like it") == []


def test_a_link_that_makes_no_sense_still_opens(alice: Client, cast: Cast) -> None:
    make_run(cast, name="One")
    query = {"state": "gone", "sort": "x", "owner": "Bob", "cursor": "%%%", "how": "1"}
    assert names(alice.get(URL, query)) == ["One"]


def test_it_sorts_by_loss_with_unmeasured_runs_last(alice: Client, cast: Cast) -> None:
    for name, loss in (("B", 5.0), ("A", None), ("C", 4.0)):
        run = make_run(cast, name=name)
        if loss is not None:
            make_curve(run, {0: loss})
    assert names(alice.get(URL, {"sort": "loss"})) == ["C", "B", "A"]
    assert names(alice.get(URL, {"sort": "name"})) == ["A", "B", "C"]
    assert names(alice.get(URL)) == ["C", "A", "B"]


def test_it_pages_by_key_in_every_order(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    for number in range(30):
        make_run(cast, name=f"Run {number:02}", version=version)
    for sort in ("-created", "created", "name", "-name", "loss", "-loss"):
        first = alice.get(URL, {"sort": sort}).context["page"]
        second = alice.get(URL, {"sort": sort, "cursor": first.next}).context["page"]
        assert len(first.items) == 25
        assert len({run.pk for run in first.items + second.items}) == 30


def test_htmx_gets_the_rows_only(alice: Client, cast: Cast) -> None:
    make_run(cast, name="One")
    response = alice.get(URL, headers={"HX-Request": "true"})
    assert "One" in response.text
    assert "<html" not in response.text


def test_the_number_of_queries_does_not_grow(
    alice: Client, cast: Cast, django_assert_num_queries: Any
) -> None:
    source = make_source(cast)
    for number in range(3):
        make_run(cast, name=f"R{number}", source=source, twin=True, tags=["a", "b"])
    alice.get(URL)
    with django_assert_num_queries(9):
        alice.get(URL)
    for number in range(8):
        make_run(cast, name=f"S{number}", source=source, twin=True, tags=["a", "c"])
    with django_assert_num_queries(9):
        alice.get(URL)
