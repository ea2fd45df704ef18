"""Roles, links and removal: the three things an admin does to a member."""

import pytest
from django.test import Client

from tests.factories import Cast
from webapp.accounts.models import AuditEvent, Membership


def _row(cast: Cast, who: str) -> Membership:
    return Membership.objects.get(user=getattr(cast, who), team=cast.team)


def _url(row: Membership, what: str) -> str:
    return f"/account/team/members/{row.pk}/{what}"


def test_an_admin_changes_a_role(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    client.post(_url(_row(cast, "bob"), "role"), {"role": "viewer"})
    assert _row(cast, "bob").role == "viewer"
    event = AuditEvent.objects.get(action="member.role")
    assert event.data == {"before": "member", "after": "viewer"}


def test_a_role_that_does_not_exist_changes_nothing(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    client.post(_url(_row(cast, "bob"), "role"), {"role": "emperor"})
    assert _row(cast, "bob").role == "member"


def test_an_admin_removes_a_member_who_then_sees_nothing(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    client.post(_url(_row(cast, "bob"), "remove"))
    assert not Membership.objects.filter(user=cast.bob).exists()
    cast.bob.refresh_from_db()
    assert cast.bob.current_team is None
    assert AuditEvent.objects.filter(action="member.remove", object_name="Bob").exists()


@pytest.mark.parametrize("what", ["role", "remove"])
def test_the_last_admin_stays(client: Client, cast: Cast, what: str) -> None:
    client.force_login(cast.alice)
    answer = client.post(_url(_row(cast, "alice"), what), {"role": "viewer"}, follow=True)
    assert "at least one admin" in answer.content.decode()
    assert _row(cast, "alice").role == "admin"


def test_with_a_second_admin_the_first_may_go(client: Client, cast: Cast) -> None:
    Membership.objects.filter(user=cast.bob).update(role="admin")
    client.force_login(cast.alice)
    row = _row(cast, "alice")
    client.post(_url(row, "remove"))
    assert not Membership.objects.filter(pk=row.pk).exists()


def test_an_admin_makes_a_new_link(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.post(_url(_row(cast, "bob"), "link"), follow=True).content.decode()
    assert "one-time-link" in page
    assert AuditEvent.objects.filter(action="member.link", actor=cast.alice).exists()


def test_no_link_opens_more_than_ones_own_team(client: Client, cast: Cast) -> None:
    Membership.objects.create(user=cast.bob, team=cast.other_team)
    client.force_login(cast.alice)
    page = client.post(_url(_row(cast, "bob"), "link"), follow=True).content.decode()
    assert "an account of their own" in page
    assert "one-time-link" not in page


def test_no_link_opens_the_account_of_who_runs_the_portal(client: Client, cast: Cast) -> None:
    cast.bob.is_superuser = True
    cast.bob.save()
    client.force_login(cast.alice)
    page = client.post(_url(_row(cast, "bob"), "link"), follow=True).content.decode()
    assert "one-time-link" not in page


@pytest.mark.parametrize("what", ["role", "link", "remove"])
@pytest.mark.parametrize("who", ["bob", "vera"])
def test_members_and_viewers_may_not(client: Client, cast: Cast, who: str, what: str) -> None:
    client.force_login(getattr(cast, who))
    answer = client.post(_url(_row(cast, "alice"), what), {"role": "viewer"})
    assert answer.status_code == 403


@pytest.mark.parametrize("what", ["role", "link", "remove"])
def test_for_outsiders_there_is_nothing(client: Client, cast: Cast, what: str) -> None:
    Membership.objects.filter(user=cast.mallory).update(role="admin")
    client.force_login(cast.mallory)
    answer = client.post(_url(_row(cast, "bob"), what), {"role": "viewer"})
    assert answer.status_code == 404
