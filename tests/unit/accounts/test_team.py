from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from webapp.accounts import services
from webapp.accounts.models import Membership, User

URL = "/account/team"


def test_it_shows_the_members(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    page = client.get(URL).content.decode()
    for person in (cast.alice, cast.bob, cast.vera):
        assert person.email in page
    assert cast.mallory.email not in page


def test_an_admin_sees_the_tools(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.get(URL).content.decode()
    assert "Invite somebody" in page
    assert "/account/team/trail" in page


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_others_do_not(client: Client, cast: Cast, who: str) -> None:
    client.force_login(getattr(cast, who))
    page = client.get(URL).content.decode()
    assert "Invite somebody" not in page
    assert "/remove" not in page


def test_somebody_in_several_teams_can_switch(client: Client, cast: Cast) -> None:
    services.team_create(name="Second", owner=cast.bob)
    client.force_login(cast.bob)
    assert 'name="team"' in client.get(URL).content.decode()


@pytest.mark.parametrize("members", [1, 8])
def test_queries_do_not_grow_with_the_team(
    client: Client, cast: Cast, members: int, django_assert_num_queries: Any
) -> None:
    for number in range(members):
        user = User.objects.create_user(f"person{number}@example.org")
        Membership.objects.create(team=cast.team, user=user)
    client.force_login(cast.alice)
    # Session, person, team, members, teams; the link kept in the session is asked for and absent.
    with django_assert_num_queries(5):
        client.get(URL)
