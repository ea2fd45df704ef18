import pytest
from django.test import Client

from tests.factories import Cast
from webapp.accounts.models import AuditEvent

URL = "/account/team/name"


def test_an_admin_renames_the_team(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    client.post(URL, {"name": "Beta"})
    cast.team.refresh_from_db()
    assert cast.team.name == "Beta"
    event = AuditEvent.objects.get(action="team.rename")
    assert event.data == {"before": "Alpha", "after": "Beta"}


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_others_may_not(client: Client, cast: Cast, who: str) -> None:
    client.force_login(getattr(cast, who))
    assert client.post(URL, {"name": "Beta"}).status_code == 403


def test_a_name_is_needed(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.post(URL, {"name": ""}, follow=True).content.decode()
    assert "A team needs a name" in page
