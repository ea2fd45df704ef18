from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast

URL = "/account/sign-in"
PASSWORD = "correct horse battery"


@pytest.fixture
def alice(cast: Cast) -> Any:
    cast.alice.set_password(PASSWORD)
    cast.alice.save()
    return cast.alice


def _send(client: Client, **fields: str) -> Any:
    return client.post(URL, {"email": "alice@example.org", "password": PASSWORD} | fields)


def test_it_asks_for_address_and_password(client: Client, db: None) -> None:
    page = client.get(URL).content.decode()
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page


def test_it_signs_in(client: Client, alice: Any) -> None:
    answer = _send(client)
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    assert client.get("/").status_code == 200


def test_the_case_of_the_address_does_not_matter(client: Client, alice: Any) -> None:
    assert _send(client, email="Alice@Example.org").status_code == 302


def test_it_goes_on_to_where_one_wanted_to_go(client: Client, alice: Any) -> None:
    assert _send(client, next="/data/?q=moby")["Location"] == "/data/?q=moby"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_it_never_leads_elsewhere(client: Client, alice: Any, target: str) -> None:
    assert _send(client, next=target)["Location"] == "/"


def test_a_wrong_password_is_refused_with_a_sentence(client: Client, alice: Any) -> None:
    answer = _send(client, password="wrong")
    assert "do not belong together" in answer.content.decode()
    assert 'value="alice@example.org"' in answer.content.decode()


def test_an_unknown_address_reads_just_like_a_wrong_password(client: Client, alice: Any) -> None:
    unknown = _send(client, email="nobody@example.org").content.decode()
    assert "do not belong together" in unknown


def test_guessers_are_locked_out(client: Client, alice: Any) -> None:
    for _try in range(10):
        answer = _send(client, password="wrong")
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.content.decode()
    assert _send(client).status_code == 429


def test_who_is_signed_in_already_goes_on(client: Client, alice: Any) -> None:
    client.force_login(alice)
    assert client.get(f"{URL}?next=/data/")["Location"] == "/data/"
