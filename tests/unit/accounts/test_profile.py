import pytest
from django.test import Client

from tests.factories import Cast
from webapp.accounts.models import AuditEvent

PASSWORD = "correct horse battery"


def test_the_name_can_be_changed(client: Client, cast: Cast) -> None:
    client.force_login(cast.bob)
    client.post("/account/profile", {"name": "Robert"})
    cast.bob.refresh_from_db()
    assert cast.bob.name == "Robert"
    assert AuditEvent.objects.filter(action="profile.update", actor=cast.bob).exists()


def test_a_name_that_is_too_long_is_refused_at_its_field(client: Client, cast: Cast) -> None:
    client.force_login(cast.bob)
    page = client.post("/account/profile", {"name": "x" * 101}).content.decode()
    assert "field-error" in page


def test_who_came_by_a_link_sets_a_password_without_an_old_one(client: Client, cast: Cast) -> None:
    client.force_login(cast.bob)
    assert "Set a password" in client.get("/account/profile").content.decode()
    client.post("/account/profile/password", {"new_password": PASSWORD})
    cast.bob.refresh_from_db()
    assert cast.bob.check_password(PASSWORD)
    assert client.get("/").status_code == 200, "stays signed in here"


def test_the_present_password_is_asked_for_where_there_is_one(client: Client, cast: Cast) -> None:
    cast.bob.set_password(PASSWORD)
    cast.bob.save()
    client.force_login(cast.bob)
    new = {"new_password": "another long sentence"}
    answer = client.post("/account/profile/password", new)
    assert answer.status_code == 422
    answer = client.post("/account/profile/password", new | {"old_password": "wrong"})
    assert "This is not your present password" in answer.content.decode()
    client.post("/account/profile/password", new | {"old_password": PASSWORD})
    cast.bob.refresh_from_db()
    assert cast.bob.check_password("another long sentence")


@pytest.mark.parametrize("weak", ["short", "12345678901", "password", "bob@example.org"])
def test_weak_passwords_are_refused(client: Client, cast: Cast, weak: str) -> None:
    client.force_login(cast.bob)
    assert client.post("/account/profile/password", {"new_password": weak}).status_code == 422


def test_other_devices_are_signed_out(client: Client, cast: Cast) -> None:
    other = Client()
    other.force_login(cast.bob)
    client.force_login(cast.bob)
    client.post("/account/profile/password", {"new_password": PASSWORD})
    assert other.get("/").status_code == 302
