"""A page that stays open after its session has ended."""

from __future__ import annotations

import pytest
from django.test import Client

HTMX = {"HX-Request": "true"}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/", "/runs/", "/runs/new"])
def test_a_fragment_is_not_replaced_by_the_sign_in_page(client: Client, address: str) -> None:
    answer = client.get(address, headers=HTMX)
    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers", [{}, HTMX | {"HX-Boosted": "true"}, HTMX | {"HX-History-Restore-Request": "true"}]
)
def test_whole_pages_lead_to_it_and_back(client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/runs/?q=whale", headers=headers)
    assert answer.status_code == 302
    assert answer["Location"] == "/account/sign-in?next=/runs/%3Fq%3Dwhale"
