"""A list's cursor: what is made up, cut off or of another sort is the first page."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint

URL = "/checkpoints/"
KEY = "00000000-0000-0000-0000-000000000000"
TIME = "2026-11-24T12:00:00+00:00"


@pytest.fixture
def alice(client: Client, cast: Cast) -> Client:
    for number in range(27):
        at = timezone.now() - timedelta(minutes=number)
        make_checkpoint(cast, name=f"N{number:02}", files={"a": b"a"}, created_at=at)
    client.force_login(cast.alice)
    return client


def made_up(*payload: Any) -> str:
    raw = json.dumps(payload).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sort", "payload"),
    [
        ("newest", ["-created_at", 0, 0, "yesterday", KEY]),
        ("newest", ["-created_at", 0, 0, 5, KEY]),
        ("newest", ["-created_at", 0, 1, "2026-11-24T12:00:00", KEY]),
        ("newest", ["-created_at", 0, 1, 5, KEY]),
        ("newest", ["-created_at", 0, 0, None, KEY]),
        ("newest", ["-created_at", 0, 1, TIME, "no key"]),
        ("largest", ["-parameters", 0, 0, "many", KEY]),
        ("largest", ["-parameters", 0, 0, float("inf"), KEY]),
        ("largest", ["-parameters", 0, 0, float("nan"), KEY]),
        ("largest", ["-parameters", 0, 0, {}, KEY]),
        ("loss", ["loss", 0, 0, "low", KEY]),
        ("newest", [0, 1, TIME, KEY]),
        ("newest", []),
    ],
)
def test_a_made_up_cursor_is_the_first_page(alice: Client, sort: str, payload: list[Any]) -> None:
    first = alice.get(URL, {"sort": sort}).context["page"]
    answer = alice.get(URL, {"sort": sort, "cursor": made_up(*payload)})
    assert answer.status_code == 200
    assert answer.context["page"].items == first.items
    assert answer.context["page"].previous == ""


def test_deep_nesting_is_the_first_page(alice: Client) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 3000).decode()
    assert len(alice.get(URL, {"cursor": deep}).context["page"].items) == 25


@pytest.mark.parametrize("sort", ["oldest", "name", "largest", "loss"])
def test_a_cursor_of_another_sort_is_the_first_page(alice: Client, sort: str) -> None:
    cursor = alice.get(URL, {"sort": "newest"}).context["page"].next
    first = alice.get(URL, {"sort": sort}).context["page"]
    assert alice.get(URL, {"sort": sort, "cursor": cursor}).context["page"].items == first.items
