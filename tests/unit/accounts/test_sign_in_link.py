import time
from typing import Any
from unittest import mock

import sesame.utils
from django.test import Client

from tests.factories import Cast
from webapp.accounts import services
from webapp.accounts.models import AuditEvent, User

URL = "/account/sign-in/link"


def _link(user: Any, **query: str) -> str:
    pairs = {"token": sesame.utils.get_token(user)} | query
    return URL + "?" + "&".join(f"{name}={value}" for name, value in pairs.items())


def test_it_signs_in_and_goes_on(client: Client, cast: Cast) -> None:
    answer = client.get(_link(cast.bob, next="/data/"))
    assert answer["Location"] == "/data/"
    assert client.get("/data/").status_code == 200
    assert AuditEvent.objects.filter(action="link.used", actor=cast.bob).exists()


def test_it_never_leads_elsewhere(client: Client, cast: Cast) -> None:
    assert client.get(_link(cast.bob, next="//evil.example"))["Location"] == "/"


def test_it_works_once(client: Client, cast: Cast) -> None:
    link = _link(cast.bob)
    client.get(link)
    answer = Client().get(link)
    assert answer.status_code == 403
    assert "This link no longer works" in answer.content.decode()
    assert "ask an admin of your team for a new link" in answer.content.decode()


def test_of_two_at_the_same_moment_one_gets_in(cast: Cast) -> None:
    token = sesame.utils.get_token(cast.bob)
    stale = User.objects.get(pk=cast.bob.pk)
    assert services.link_redeem(token=token) is not None
    # The other request had read the person before the first one wrote.
    with mock.patch("webapp.accounts.services.LinkBackend") as backend:
        backend.return_value.authenticate.return_value = stale
        assert services.link_redeem(token=token) is None


def test_a_used_link_does_no_harm_to_who_is_signed_in(client: Client, cast: Cast) -> None:
    link = _link(cast.bob, next="/data/")
    client.get(link)
    assert client.get(link)["Location"] == "/data/"


def test_it_is_good_for_a_day(client: Client, cast: Cast) -> None:
    link = _link(cast.bob)
    with mock.patch("sesame.tokens_v2.time") as clock:
        clock.time.return_value = time.time() + 24 * 3600 + 1
        assert client.get(link).status_code == 403
        clock.time.return_value = time.time() + 23 * 3600
        assert client.get(link).status_code == 302


def test_nonsense_is_refused_kindly(client: Client, db: None) -> None:
    assert client.get(f"{URL}?token=nonsense").status_code == 403
    assert client.get(URL).status_code == 403


def test_a_link_made_before_a_new_password_no_longer_works(client: Client, cast: Cast) -> None:
    link = _link(cast.bob)
    services.password_set(user=cast.bob, password="correct horse battery")
    assert client.get(link).status_code == 403


def test_stale_links_lock_nobody_out(client: Client, cast: Cast) -> None:
    for _try in range(15):
        client.get(f"{URL}?token=nonsense")
    assert client.get(_link(cast.bob)).status_code == 302
