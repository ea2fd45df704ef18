"""django-rq's pages: superusers only, their one script allowed by its hash."""

import base64
import hashlib
import re
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from webapp.accounts.models import User

PAGES = ("/admin/queues/", "/admin/queues/queues/0/")


@pytest.fixture
def root(client: Client, cast: Cast) -> Client:
    client.force_login(User.objects.create_superuser("root@example.org", name="Root"))
    return client


@pytest.mark.parametrize("page", PAGES)
def test_others_do_not_get_in(client: Client, cast: Cast, page: str) -> None:
    client.force_login(cast.alice)
    assert client.get(page).status_code == 403
    staff = User.objects.create_user("staff@example.org", is_staff=True)
    client.force_login(staff)
    assert client.get(page).status_code == 403


def test_a_broker_that_is_away_is_said(root: Client) -> None:
    answer = root.get("/admin/queues/")
    assert answer.status_code == 503
    assert "The broker does not answer" in answer.content.decode()


def test_inline_scripts_are_allowed_by_their_hashes_here_only(
    root: Client, broker: Any, settings: Any
) -> None:
    settings.RQ_QUEUES = {name: {"URL": settings.REDIS_URL} for name in settings.QUEUES}
    for page in PAGES:
        answer = root.get(page)
        assert answer.status_code == 200
        policy = answer["Content-Security-Policy"]
        assert "unsafe-inline" not in policy
        for body in re.findall(r"<script[^>]*>([^<]+)</script>", answer.content.decode()):
            digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
    assert "sha256-" not in root.get("/admin/")["Content-Security-Policy"]
    assert "sha256-" not in root.get("/checkpoints/")["Content-Security-Policy"]
