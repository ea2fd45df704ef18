"""The map of a head's data: points, classes, and an example with its neighbours."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.datasets import make_images
from tests.factories.heads import make_head, make_map, make_number_report, make_report
from webapp.heads import maps
from webapp.heads.models import Head

CLASSES = [f"class {number}" for number in range(12)]
HTMX = {"HX-Request": "true"}


def texts(count: int = 24) -> list[dict[str, Any]]:
    return [
        {
            "id": 100 + number,
            "split": ("train", "test")[number % 2],
            "label": CLASSES[number % 12],
            "text": f"Text <b>{number}</b>",
        }
        for number in range(count)
    ]


@pytest.fixture
def head(cast: Cast) -> Head:
    return make_head(cast, map=make_map(texts(), CLASSES))


def page_of(client: Client, head: Head, query: str = "", **headers: str) -> str:
    answer = client.get(f"/heads/{head.pk}/map{query}", headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def test_every_example_is_a_point_that_can_be_followed(alice: Client, head: Head) -> None:
    page = page_of(alice, head)
    assert page.count("<circle") == 24 + 1
    assert page.count('tabindex="-1"><circle') == 24
    assert 'href="?item=23"' in page
    assert "24 examples laid out" in page
    assert "62.5%" in page
    assert 'cx="14.0" cy="380.0"' in page
    assert 'cx="986.0" cy="380.0"' in page


def test_an_example_is_shown_with_its_neighbours(alice: Client, head: Head) -> None:
    page = page_of(alice, head, "?item=5", **HTMX)
    assert page.strip().startswith("<section")
    assert "<svg" not in page.replace('<svg class="icon"', "")
    assert "#105" in page
    assert "Text &lt;b&gt;5&lt;/b&gt;" in page
    assert page.index("Text &lt;b&gt;4") < page.index("Text &lt;b&gt;6")
    assert "0.900" in page
    assert 'href="?item=4"' in page
    assert "taken for" in page


def test_the_largest_classes_have_a_colour_and_the_others_share_one(head: Head) -> None:
    document = maps.read(head)
    entries = maps.legend(document, "class 3")
    assert [entry.name for entry in entries] == [*CLASSES[: maps.COLOURS], ""]
    assert entries[-1].count == 2 * (12 - maps.COLOURS)
    assert [entry.chosen for entry in entries].index(True) == 3
    assert len({entry.colour for entry in entries}) == maps.COLOURS + 1
    faded = [spot.told for spot in maps.spots(document, "class 3") if not spot.faded]
    assert faded == ["class 3", "class 3"]
    assert not any(spot.faded for spot in maps.spots(document, ""))


def test_a_chosen_class_stays_chosen(alice: Client, head: Head) -> None:
    page = page_of(alice, head, "?item=5&class=class+3")
    assert page.count(" faded") == 22
    assert "?item=6&amp;class=class+3" in page or "?class=class+3&amp;item=6" in page


def test_the_first_thing_to_see_is_the_worst_mistake(alice: Client, cast: Cast) -> None:
    predictions = make_report()["predictions"]
    predictions[0]["point"] = 7
    head = make_head(
        cast, map=make_map(texts(), CLASSES), report=make_report(predictions=predictions)
    )
    assert "#107" in page_of(alice, head)
    page = alice.get(f"/heads/{head.pk}").content.decode()
    assert f"/heads/{head.pk}/map?item=7" in page
    assert "Map and neighbours" in page


def test_images_are_shown_as_such(alice: Client, cast: Cast, tmp_path: Path) -> None:
    version = make_images(cast, folder=tmp_path)
    head = make_head(cast, version=version, map=make_map(version.preview["images"], ["cat", "dog"]))
    page = page_of(alice, head, "?item=2")
    assert page.count(f"/data/versions/{version.pk}/images/train/") == 3


@pytest.mark.parametrize("query", ["?item=24", "?item=-1", "?item=x"])
def test_what_is_not_on_the_map_is_not_found(alice: Client, head: Head, query: str) -> None:
    assert alice.get(f"/heads/{head.pk}/map{query}").status_code == 404


def test_a_head_without_a_map_says_nothing_of_one(alice: Client, cast: Cast) -> None:
    head = make_head(cast)
    assert alice.get(f"/heads/{head.pk}/map").status_code == 404
    assert "neighbours" not in alice.get(f"/heads/{head.pk}").content.decode()


def test_another_team_s_map_is_not_found(client: Client, cast: Cast, head: Head) -> None:
    client.force_login(cast.mallory)
    assert client.get(f"/heads/{head.pk}/map").status_code == 404


def test_numbers_have_the_colour_of_their_range(alice: Client, cast: Cast) -> None:
    ranges = ["-3 – 0", "0.5 – 3"]
    points = [
        {
            "id": number,
            "split": "test",
            "label": ranges[number > 2],
            "number": number - 2.75,
            "predicted": 1.25,
            "text": f"Text {number}",
        }
        for number in range(6)
    ]
    head = make_head(cast, report=make_number_report(), map=make_map(points, ranges))
    page = page_of(alice, head, "?item=2")
    assert "are in its own range of numbers" in page
    assert "<title>-2.75</title>" in page
    assert '<span class="tag">-0.75</span>' in page
    assert 'predicted <span class="tag">1.25</span>' in page
    assert '<span class="soft">-1.75</span>' in page
    assert '<span class="taken">0.25</span>' in page
    assert page.count("point-1 faded") == 0
    assert page_of(alice, head, "?class=-3 – 0").count("point-1 faded") == 3
