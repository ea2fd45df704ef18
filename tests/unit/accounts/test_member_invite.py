import re

import pytest
from django.test import Client

from tests.factories import Cast
from webapp.accounts import services
from webapp.accounts.models import AuditEvent, Membership, User

URL = "/account/team/invite"
NEW = {"email": "New@Example.org", "name": "New One", "role": "member"}


def test_somebody_new_gets_a_link_that_is_shown_once(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.post(URL, NEW, follow=True).content.decode()
    found = re.search(r'id="one-time-link">([^<]+)<', page)
    assert found
    assert "one-time-link" not in client.get("/account/team").content.decode()
    guest = Client()
    assert guest.get(found[1].replace("http://testserver", "")).status_code == 302
    assert "Alpha" in guest.get("/").content.decode()
    user = User.objects.get(email="new@example.org")
    assert Membership.objects.get(user=user).role == "member"
    event = AuditEvent.objects.get(action="member.invite")
    assert (event.actor, event.team, event.data["role"]) == (cast.alice, cast.team, "member")


def test_nobody_gets_a_link_into_an_account_that_exists(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.post(URL, NEW | {"email": cast.mallory.email}, follow=True).content.decode()
    assert "signs in as before" in page
    assert "one-time-link" not in page
    assert Membership.objects.filter(user=cast.mallory, team=cast.team).exists()


def test_a_link_from_another_team_becomes_void(client: Client, cast: Cast) -> None:
    first = services.member_invite(
        team=cast.other_team, email="x@example.org", name="", role="member", actor=cast.mallory
    )
    services.member_invite(
        team=cast.team, email="x@example.org", name="", role="admin", actor=cast.alice
    )
    assert services.link_redeem(token=first.link_token) is None


def test_a_member_is_not_invited_twice(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    answer = client.post(URL, NEW | {"email": cast.bob.email})
    assert answer.status_code == 422
    assert "already in the team" in answer.content.decode()


def test_what_was_typed_stays_after_an_error(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.post(URL, NEW | {"email": "nonsense"}).content.decode()
    assert 'value="nonsense"' in page
    assert 'value="New One"' in page


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_only_admins_invite(client: Client, cast: Cast, who: str) -> None:
    client.force_login(getattr(cast, who))
    assert client.post(URL, NEW).status_code == 403
    assert not User.objects.filter(email="new@example.org").exists()
