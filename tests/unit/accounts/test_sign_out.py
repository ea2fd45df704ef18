from django.test import Client

from tests.factories import Cast


def test_it_signs_out_by_post(client: Client, cast: Cast) -> None:
    client.force_login(cast.bob)
    assert client.post("/account/sign-out").status_code == 302
    assert client.get("/").status_code == 302


def test_a_link_somebody_sends_signs_nobody_out(client: Client, cast: Cast) -> None:
    client.force_login(cast.bob)
    assert client.get("/account/sign-out").status_code == 405
    assert client.get("/").status_code == 200
