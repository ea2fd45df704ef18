"""Stages: who may promote, what is kept, what two people who promote at once see."""

import pytest
from django.db import transaction
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint, promote
from webapp.accounts.models import AuditEvent
from webapp.checkpoints.errors import StageMoved
from webapp.checkpoints.models import Checkpoint, StageChange
from webapp.checkpoints.services import checkpoint_promote


def _post(client: Client, checkpoint: Checkpoint, status: int = 200, **data: str) -> str:
    answer = client.post(
        f"/checkpoints/{checkpoint.pk}/stage", {"seen": checkpoint.stage} | data, follow=True
    )
    assert answer.status_code == status
    return answer.content.decode()


def test_a_member_promotes_and_the_page_says_who_and_why(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.bob)
    page = _post(client, checkpoint, stage="candidate", reason="Reads best.")
    checkpoint.refresh_from_db()
    assert checkpoint.stage == "candidate"
    history = page.split('<ul class="stage-history">')[1].split("</ul>")[0]
    assert "Bob" in history
    assert "Reads best." in history
    change = StageChange.objects.get()
    assert (change.before, change.stage, change.actor) == ("none", "candidate", cast.bob)
    event = AuditEvent.objects.get(action="checkpoint.promote")
    assert (event.actor, event.object_id) == (cast.bob, str(checkpoint.pk))
    assert event.data == {"before": "none", "stage": "candidate", "reason": "Reads best."}


def test_history_is_only_added_to(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    promote(checkpoint, cast.bob, "candidate", "production")
    promote(checkpoint, cast.alice, "archived", "none")
    stages = list(checkpoint.stage_changes.values_list("before", "stage"))
    assert stages == [
        ("archived", "none"),
        ("production", "archived"),
        ("candidate", "production"),
        ("none", "candidate"),
    ]


def test_a_viewer_may_not_and_a_stranger_finds_nothing(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    data = {"stage": "production", "seen": "none"}
    client.force_login(cast.vera)
    assert client.post(f"/checkpoints/{checkpoint.pk}/stage", data).status_code == 403
    page = client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert f"/checkpoints/{checkpoint.pk}/stage" not in page
    client.force_login(cast.mallory)
    assert client.post(f"/checkpoints/{checkpoint.pk}/stage", data).status_code == 404
    assert not StageChange.objects.exists()


def test_it_takes_a_token_against_forgery(cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.alice)
    data = {"stage": "production", "seen": "none"}
    assert client.post(f"/checkpoints/{checkpoint.pk}/stage", data).status_code == 403
    assert not StageChange.objects.exists()


def test_what_somebody_else_did_meanwhile_is_not_overwritten(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    seen_by_alice = Checkpoint.objects.get(pk=checkpoint.pk)
    promote(checkpoint, cast.bob, "archived")
    client.force_login(cast.alice)
    page = _post(client, seen_by_alice, status=409, stage="production", reason="Reads best.")
    assert "It has changed in the meantime" in page
    # What was typed is still there, to be sent with the stage that is now seen.
    assert "Reads best.</textarea>" in page
    assert 'name="seen" value="archived"' in page
    checkpoint.refresh_from_db()
    assert checkpoint.stage == "archived"
    assert StageChange.objects.count() == 1


def test_the_same_stage_again_changes_nothing(cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    promote(checkpoint, cast.bob, "candidate", "candidate")
    assert StageChange.objects.count() == 1


@pytest.mark.parametrize("data", [{"stage": "best"}, {"reason": "x" * 301, "stage": "archived"}])
def test_what_is_no_stage_is_refused(client: Client, cast: Cast, data: dict[str, str]) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    page = _post(client, checkpoint, status=422, **data)
    assert "Choose one of the stages" in page
    assert f"{data.get('reason', '')}</textarea>" in page
    assert not StageChange.objects.exists()


def test_the_change_and_its_records_live_or_die_together(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint(cast)

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("webapp.checkpoints.services.audit.record", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        promote(checkpoint, cast.bob, "production")
    checkpoint.refresh_from_db()
    assert checkpoint.stage == "none"
    assert not StageChange.objects.exists()


def test_a_stale_stage_is_told(cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    with pytest.raises(StageMoved):
        checkpoint_promote(
            checkpoint=checkpoint, actor=cast.bob, stage="archived", seen="production"
        )


def test_several_may_be_in_production_and_each_page_names_the_others(
    client: Client, cast: Cast
) -> None:
    first, second, third = (make_checkpoint(cast, name=name) for name in ("A1", "B2", "C3"))
    promote(first, cast.bob, "production")
    promote(second, cast.bob, "production")
    Checkpoint.objects.filter(pk=third.pk).update(task="image_classification")
    promote(third, cast.bob, "production")
    client.force_login(cast.vera)
    panel = _panel(client, first)
    assert "Also in production for this task" in panel
    assert f'href="/checkpoints/{second.pk}"' in panel
    assert str(third.pk) not in panel
    assert "in production for this task" not in _panel(client, third)


def _panel(client: Client, checkpoint: Checkpoint) -> str:
    page = client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    return page.split('<section class="panel" aria-labelledby="stage">')[1].split("</section>")[0]


def test_an_archived_one_keeps_its_page_and_can_still_be_a_source(
    client: Client, cast: Cast
) -> None:
    checkpoint = make_checkpoint(cast, name="Old")
    promote(checkpoint, cast.alice, "archived")
    client.force_login(cast.alice)
    page = client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert "This page stays" in page
    form = client.get("/runs/new", {"source": checkpoint.pk}).content.decode()
    assert f'value="checkpoint/{checkpoint.pk}" checked' in form
    assert str(checkpoint.pk) not in client.get("/runs/new").content.decode()
    assert str(checkpoint.pk) not in client.get("/runs/sources").content.decode()


def test_the_playground_offers_an_archived_one_only_when_asked(client: Client, cast: Cast) -> None:
    old, new = (make_checkpoint(cast, name=name) for name in ("Old", "New"))
    promote(old, cast.alice, "archived")
    client.force_login(cast.alice)
    assert str(old.pk) not in client.get("/playground/").content.decode()
    page = client.get("/playground/", {"checkpoint": new.pk, "beside": old.pk})
    assert page.context["form"]["checkpoint"].value() == new.pk
    assert page.context["form"]["beside"].value() == old.pk
    assert f'<option value="{old.pk}" selected>' in page.content.decode()
    data = {"checkpoint": str(old.pk), "prompt": "x", "max_tokens": 8, "temperature": 1}
    data |= {"top_k": 0, "top_p": 1, "seed": 0}
    assert client.post("/playground/", data).status_code == 302
