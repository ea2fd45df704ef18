from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint, make_import, promote
from tests.factories.datasets import make_version
from webapp.accounts.models import Tag, User
from webapp.checkpoints.models import Checkpoint

URL = "/checkpoints/"


def _names(response: Any) -> list[str]:
    return [checkpoint.name for checkpoint in response.context["page"].items]


def test_an_empty_list_says_what_to_do(alice: Client) -> None:
    page = alice.get(URL).content.decode()
    assert "No checkpoint yet" in page
    assert 'href="/checkpoints/import"' in page
    assert "filter-bar" not in page


def test_a_viewer_is_offered_no_import(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert 'href="/checkpoints/import"' not in client.get(URL).content.decode()


def test_it_shows_the_team_s_and_nobody_else_s(client: Client, cast: Cast) -> None:
    make_checkpoint(cast, name="Ours")
    client.force_login(cast.mallory)
    assert "Ours" not in client.get(URL).content.decode()
    client.force_login(cast.vera)
    assert "Ours" in client.get(URL).content.decode()


def test_it_finds_by_name_note_tag_and_hash(alice: Client, cast: Cast) -> None:
    tag = Tag.objects.create(team=cast.team, name="poems")
    first = make_checkpoint(cast, name="Whale", notes="from the sea", tags=[tag])
    make_checkpoint(cast, name="Other")
    for words in ("whale", "SEA", "poems", first.weights_sha256[:10], "whale poems"):
        assert _names(alice.get(URL, {"q": words})) == ["Whale"], words
    assert "Nothing fits" in alice.get(URL, {"q": "no such thing"}).content.decode()


def test_it_filters_by_what_it_is_who_made_it_and_where_from(alice: Client, cast: Cast) -> None:
    version = make_version(cast, name="Sea")
    tag = Tag.objects.create(team=cast.team, name="best")
    base = make_checkpoint(cast, name="Base")
    make_checkpoint(
        cast,
        name="Child",
        origin="copied",
        owner=cast.bob,
        dataset_version=version,
        tags=[tag],
        parents=[base],
        card={"weights_sha256": "ab" * 32, "method": "transfer", "parameters": 8},
    )
    other = {"architecture": "resnet", "task": "image_classification", "stage": "candidate"}
    Checkpoint.objects.filter(name="Child").update(**other)
    for filters in (
        {"origin": "copied"},
        {"dataset": version.dataset_id},
        {"owner": cast.bob.pk},
        {"tag": tag.pk},
        {"source": base.pk},
        {"architecture": "resnet"},
        {"task": "image_classification"},
        {"method": "transfer"},
        {"stage": "candidate"},
    ):
        assert _names(alice.get(URL, filters)) == ["Child"], filters


def test_filters_that_make_no_sense_do_not_filter(alice: Client, cast: Cast) -> None:
    make_checkpoint(cast, name="One")
    nonsense = {
        "origin": "x",
        "task": "x",
        "stage": "x",
        "method": "x",
        "owner": "me",
        "tag": "99",
        "sort": "?",
    }
    nonsense |= {"cursor": "%%", "source": "1"}
    assert _names(alice.get(URL, nonsense)) == ["One"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("newest", ["C", "B", "A"]),
        ("oldest", ["A", "B", "C"]),
        ("name", ["A", "B", "C"]),
        ("loss", ["B", "A", "C"]),  # C has none: it comes last
    ],
)
def test_it_sorts(alice: Client, cast: Cast, sort: str, expected: list[str]) -> None:
    now = timezone.now()
    for age, (name, scores) in enumerate(
        [("C", {}), ("B", {"validation_loss": 3.5}), ("A", {"validation_loss": 10.25})]
    ):
        make_checkpoint(cast, name=name, scores=scores, created_at=now - timedelta(days=age))
    assert _names(alice.get(URL, {"sort": sort})) == expected


@pytest.mark.parametrize("sort", ["newest", "oldest", "name", "loss", "largest", "smallest"])
def test_it_pages_by_key_forth_and_back(alice: Client, cast: Cast, sort: str) -> None:
    now = timezone.now()
    for number in range(30):  # ties in every sort key but the time
        make_checkpoint(cast, name=f"N{number // 4:02}", created_at=now - timedelta(minutes=number))
    first = alice.get(URL, {"sort": sort})
    keys = [item.pk for item in first.context["page"].items]
    assert len(keys) == 25
    assert first.context["page"].previous == ""
    second = alice.get(URL, {"sort": sort, "cursor": first.context["page"].next})
    keys += [item.pk for item in second.context["page"].items]
    assert len(set(keys)) == 30
    assert second.context["page"].next == ""
    back = alice.get(URL, {"sort": sort, "cursor": second.context["page"].previous})
    assert [item.pk for item in back.context["page"].items] == keys[:25]


def test_htmx_gets_only_the_rows(alice: Client, cast: Cast) -> None:
    make_checkpoint(cast)
    page = alice.get(URL, headers={"HX-Request": "true"}).content.decode()
    assert page.strip().startswith('<div id="rows"')
    assert "<html" not in page


def test_the_number_of_queries_does_not_grow(
    alice: Client, cast: Cast, django_assert_num_queries: Any
) -> None:
    version = make_version(cast)
    tag = Tag.objects.create(team=cast.team, name="best")
    for _ in range(3):
        _full(cast, version, tag)
    make_import(cast)
    with django_assert_num_queries(13):
        alice.get(URL)
    for _ in range(9):
        _full(cast, version, tag)
    with django_assert_num_queries(13):
        alice.get(URL)


def _full(cast: Cast, version: Any, tag: Tag) -> None:
    checkpoint = make_checkpoint(
        cast, dataset_version=version, tags=[tag], parents=[make_checkpoint(cast)]
    )
    promote(checkpoint, cast.bob, "candidate", "production")


def test_archived_ones_come_only_when_asked_for(alice: Client, cast: Cast) -> None:
    old = make_checkpoint(cast, name="Old")
    promote(old, cast.alice, "archived")
    assert "All are archived" in alice.get(URL).content.decode()
    make_checkpoint(cast, name="New")
    assert _names(alice.get(URL)) == ["New"]
    assert _names(alice.get(URL, {"q": "old"})) == []
    assert _names(alice.get(URL, {"stage": "archived"})) == ["Old"]
    assert _names(alice.get(URL, {"stage": "all", "sort": "name"})) == ["New", "Old"]
    assert _names(alice.get(URL, {"stage": "none"})) == ["New"]


def test_a_row_names_its_sources_stage_and_task(alice: Client, cast: Cast) -> None:
    parents = [make_checkpoint(cast, name=f"Parent {number}") for number in range(2)]
    foreign = make_checkpoint(cast, name="Secret", team=cast.other_team, owner=cast.mallory)
    child = make_checkpoint(
        cast, name="Child", parents=[*parents, foreign], scores={"accuracy": 0.75}
    )
    promote(child, cast.bob, "production")
    page = alice.get(URL, {"q": "Child"}).content.decode()
    for parent in parents:
        assert f'href="/checkpoints/{parent.pk}">{parent.name}</a>' in page
    assert "Secret" not in page
    assert 'class="stage stage-production" title="Bob, ' in page
    assert "GPT-2 · language modelling" in page
    assert "0.750" in page
    assert "Accuracy" in page


def test_a_filter_with_one_choice_is_not_shown(alice: Client, cast: Cast) -> None:
    make_checkpoint(cast)
    assert 'name="architecture"' not in alice.get(URL).content.decode()
    Checkpoint.objects.filter(pk=make_checkpoint(cast).pk).update(architecture="bert")
    assert 'name="architecture"' in alice.get(URL).content.decode()


def test_two_can_be_ticked_and_compared_without_a_script(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    page = alice.get(URL).content.decode()
    assert '<form method="get" action="/checkpoints/compare">' in page
    assert f'name="ids" value="{checkpoint.pk}"' in page


def test_imports_on_their_way_stand_above(alice: Client, cast: Cast) -> None:
    row = make_import(cast, name="gpt2-xl")
    page = alice.get(URL).content.decode()
    assert f"/checkpoints/import/{row.pk}" in page


def test_somebody_of_no_team_sees_an_empty_list(client: Client, cast: Cast) -> None:
    make_checkpoint(cast)
    client.force_login(User.objects.create_user("new@example.org"))
    assert "No checkpoint yet" in client.get(URL).content.decode()
    assert "No language model yet" in client.get("/playground/").content.decode()
    assert client.get("/checkpoints/import").status_code == 403
