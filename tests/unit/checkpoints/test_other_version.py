"""A checkpoint of an architecture that only another version of the portal knows."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import TINY, make_checkpoint, make_import
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.plans import CopyPreview


@pytest.fixture
def stranger(client: Client, cast: Cast) -> Checkpoint:
    checkpoint = make_checkpoint(cast, name="Stranger")
    checkpoint.architecture = "hyena"
    checkpoint.config = {"architecture": "hyena", "filters": 3}
    checkpoint.save()
    client.force_login(cast.alice)
    return checkpoint


def test_its_page_offers_nothing_that_needs_to_know_it(
    client: Client, stranger: Checkpoint
) -> None:
    page = client.get(f"/checkpoints/{stranger.pk}").content.decode()
    assert "hyena" in page
    assert f"/checkpoints/{stranger.pk}/download" in page
    for address in (f"/checkpoints/{stranger.pk}/copy", "/checkpoints/merge", "/runs/new?source"):
        assert f'href="{address}' not in page


def test_it_is_neither_copied_nor_merged(client: Client, cast: Cast, stranger: Checkpoint) -> None:
    known = make_checkpoint(cast, name="Known")
    for address, sent in (
        (f"/checkpoints/{stranger.pk}/copy", {}),
        ("/checkpoints/merge", {"ids": f"{stranger.pk}"}),
        ("/checkpoints/merge", {"ids": f"{known.pk},{stranger.pk}"}),
    ):
        assert client.get(address, sent).status_code == 404
        assert client.post(address, sent).status_code == 404
    for address in (f"/checkpoints/{known.pk}/copy", f"/checkpoints/merge?ids={known.pk}"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "Stranger" not in answer.content.decode()


def test_the_plan_of_a_copy_of_it_is_still_shown(
    client: Client, cast: Cast, stranger: Checkpoint
) -> None:
    plan = CopyPreview.make(make_checkpoint(cast), TINY).plan.to_json()
    content = {"plan": plan, "proof": {"proofs": [], "exact": True}}
    copied = make_checkpoint(cast, files={"transfer.json": json.dumps(content).encode()})
    make_import(cast, origin="copied", source=stranger, checkpoint=copied)
    copied.parents.add(stranger)
    page = client.get(f"/checkpoints/{copied.pk}/plan")
    assert page.status_code == 200
    assert "What went where" in page.content.decode()


def test_everything_else_of_it_is_shown(client: Client, cast: Cast, stranger: Checkpoint) -> None:
    other = make_checkpoint(cast)
    for address in (
        "/checkpoints/?architecture=hyena",
        f"/checkpoints/compare?ids={stranger.pk},{other.pk}",
        f"/checkpoints/{stranger.pk}/export",
        f"/checkpoints/{stranger.pk}/push",
        f"/runs/new?source={stranger.pk}",
    ):
        assert client.get(address).status_code == 200
