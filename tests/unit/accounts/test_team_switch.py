from django.test import Client

from tests.factories import Cast
from webapp.accounts import services
from webapp.accounts.models import AuditEvent

URL = "/account/team/switch"


def test_it_changes_what_the_lists_show(client: Client, cast: Cast) -> None:
    second = services.team_create(name="Second", owner=cast.bob)
    services.team_switch(user=cast.bob, team=cast.team)
    client.force_login(cast.bob)
    assert client.post(URL, {"team": second.pk}).status_code == 302
    cast.bob.refresh_from_db()
    assert cast.bob.current_team == second
    assert AuditEvent.objects.filter(action="team.switch", team=second).exists()


def test_a_team_one_is_not_in_is_not_there(client: Client, cast: Cast) -> None:
    client.force_login(cast.bob)
    assert client.post(URL, {"team": cast.other_team.pk}).status_code == 404
    assert client.post(URL, {}).status_code == 404
    assert client.post(URL, {"team": "nonsense"}).status_code == 404
