from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast, make_version
from webapp.jobs.models import State

URL = "/data/"


def _names(answer: Any) -> list[str]:
    return [row.dataset.name for row in answer.context["rows"]]


def test_an_empty_list_says_what_to_do_first(alice: Client) -> None:
    page = alice.get(URL).content.decode()
    assert "No data yet" in page
    assert "Load the sample data" in page


def test_each_row_has_its_figures(alice: Client, cast: Cast) -> None:
    make_version(cast, name="Letters")
    page = alice.get(URL).content.decode()
    assert "1,200" in page
    assert "98.8 k" in page
    assert "ready" in page


def test_another_teams_data_is_not_there(client: Client, cast: Cast) -> None:
    make_version(cast, name="Letters")
    client.force_login(cast.mallory)
    assert "Letters" not in client.get(URL).content.decode()


def test_it_searches_name_description_and_origin(alice: Client, cast: Cast) -> None:
    make_version(cast, name="Moby-Dick")
    make_version(cast, name="Brown")
    assert _names(alice.get(URL, {"q": "moby"})) == ["Moby-Dick"]
    assert len(_names(alice.get(URL, {"q": "people wrote cc0"}))) == 2


def test_it_filters_by_state(alice: Client, cast: Cast) -> None:
    make_version(cast, name="Good")
    make_version(cast, name="Bad", state=State.FAILED)
    make_version(cast, name="Soon", state=State.QUEUED)
    assert _names(alice.get(URL, {"state": "ready"})) == ["Good"]
    assert _names(alice.get(URL, {"state": "failed"})) == ["Bad"]
    assert _names(alice.get(URL, {"state": "checking"})) == ["Soon"]


def test_it_filters_by_whose(alice: Client, cast: Cast) -> None:
    make_version(cast, name="Mine")
    make_version(cast, name="Bobs", owner=cast.bob)
    assert _names(alice.get(URL, {"kind": "own"})) == ["Mine"]
    assert len(_names(alice.get(URL, {"kind": "team"}))) == 2


def test_it_sorts(alice: Client, cast: Cast) -> None:
    for name in ("B", "C", "A"):
        make_version(cast, name=name)
    assert _names(alice.get(URL)) == ["A", "C", "B"]
    assert _names(alice.get(URL, {"sort": "created"})) == ["B", "C", "A"]
    assert _names(alice.get(URL, {"sort": "name"})) == ["A", "B", "C"]
    assert _names(alice.get(URL, {"sort": "nonsense"})) == ["A", "C", "B"]


def test_nothing_found_offers_the_way_back(alice: Client, cast: Cast) -> None:
    make_version(cast)
    page = alice.get(URL, {"q": "nothing like it"}).content.decode()
    assert "Nothing fits" in page
    assert "Show all" in page


def test_it_pages_by_key_and_keeps_the_filter(alice: Client, cast: Cast) -> None:
    for number in range(30):
        make_version(cast, name=f"Data {number:02}")
    first = alice.get(URL, {"sort": "name", "q": "data"})
    assert len(_names(first)) == 25
    cursor = first.context["page"].next
    page = first.content.decode()
    assert "sort=name&amp;q=data&amp;cursor=" in page or "q=data&amp;sort=name&amp;cursor=" in page
    second = alice.get(URL, {"sort": "name", "q": "data", "cursor": cursor})
    assert _names(second) == [f"Data {number:02}" for number in range(25, 30)]
    back = alice.get(URL, {"sort": "name", "q": "data", "cursor": second.context["page"].previous})
    assert _names(back) == _names(first)


def test_htmx_gets_the_rows_only(alice: Client, cast: Cast) -> None:
    make_version(cast)
    page = alice.get(URL, headers={"HX-Request": "true"}).content.decode()
    assert page.strip().startswith('<div id="rows"')


def test_viewers_are_offered_nothing_that_changes(client: Client, cast: Cast) -> None:
    make_version(cast)
    client.force_login(cast.vera)
    assert "/data/new" not in client.get(URL).content.decode()


@pytest.mark.parametrize("count", [1, 20])
def test_queries_do_not_grow_with_the_list(
    alice: Client, cast: Cast, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        make_version(cast, name=f"Data {number}")
    # Session, person, team; rows, newest versions; role.
    with django_assert_num_queries(6):
        alice.get(URL)
