"""The administration shows every model, answers with data in it, and changes nothing frozen."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from tests.factories import Cast, make_upload
from tests.factories.checkpoints import (
    make_checkpoint,
    make_import,
    make_statistics,
    promote,
)
from tests.factories.exports import make_export, make_push
from tests.factories.playground import make_generation
from tests.factories.runs import make_curve, make_run
from training.spec import TrainingSpec
from webapp.accounts import audit
from webapp.accounts.models import AuditEvent, Membership, Tag, Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.jobs.models import JobEvent
from webapp.runs.models import Run

OURS = [model for model in apps.get_models() if model.__module__.startswith("webapp.")]
#: Shown on their job's page, and one row a line of a log.
INSIDE_ANOTHER = {JobEvent}


@pytest.fixture
def root(client: Client, cast: Cast) -> Client:
    client.force_login(User.objects.create_superuser("root@example.org", name="Root"))
    return client


def _fill(cast: Cast, rounds: int) -> None:
    for _ in range(rounds):
        tag, _made = Tag.objects.get_or_create(team=cast.team, name="best")
        base = make_checkpoint(cast, tags=[tag])
        short = {"training": TrainingSpec(sequence_length=8)}
        run = make_run(cast, source=base, twin=True, spec=short)
        make_curve(run, {1: 3.0, 2: 2.0})
        child = make_checkpoint(cast, parents=[base], dataset_version=run.dataset_version)
        Run.objects.filter(pk=run.pk).update(checkpoint=child)
        make_import(cast, checkpoint=child, source=base)
        make_statistics(cast, child)
        promote(child, cast.bob, "candidate", "archived")
        make_export(cast, checkpoint=child)
        make_push(cast, checkpoint=child)
        make_generation(cast, checkpoint=child, text="Text")
        make_upload(cast)
        with transaction.atomic():
            audit.record("test.done", actor=cast.alice, instance=run, note="x")


def _pages(model: type[Model], action: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{action}"


def test_every_model_of_ours_is_registered() -> None:
    missing = [model for model in OURS if not admin.site.is_registered(model)]
    assert set(missing) <= INSIDE_ANOTHER


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_list_and_page_answer_at_a_constant_cost(
    root: Client, cast: Cast, model: type[Any], django_assert_max_num_queries: Any
) -> None:
    if not admin.site.is_registered(model):
        pytest.skip("shown inside another")
    _fill(cast, 3)
    with django_assert_max_num_queries(22):
        answer = root.get(reverse(_pages(model, "changelist")))
    assert answer.status_code == 200
    for words in ("x", "00000000-0000-0000-0000-000000000000"):
        found = root.get(reverse(_pages(model, "changelist")), {"q": words})
        assert found.status_code == 200
    row = model._default_manager.order_by("pk").first()
    if row is not None:
        with django_assert_max_num_queries(45):
            answer = root.get(reverse(_pages(model, "change"), args=[row.pk]))
        assert answer.status_code == 200
    can_add = admin.site.get_model_admin(model).has_add_permission(answer.wsgi_request)
    if can_add:
        assert root.get(reverse(_pages(model, "add"))).status_code == 200


def test_links_lead_along_the_lineage(root: Client, cast: Cast) -> None:
    _fill(cast, 1)
    run = Run.objects.exclude(checkpoint=None).get()
    assert run.source_checkpoint is not None
    assert run.checkpoint is not None
    page = root.get(reverse("admin:runs_run_change", args=[run.pk])).content.decode()
    for target in (
        reverse("admin:checkpoints_checkpoint_change", args=[run.source_checkpoint_id]),
        reverse("admin:checkpoints_checkpoint_change", args=[run.checkpoint_id]),
        reverse("admin:datasets_datasetversion_change", args=[run.dataset_version_id]),
    ):
        assert f'href="{target}"' in page
    page = root.get(
        reverse("admin:checkpoints_checkpoint_change", args=[run.checkpoint_id])
    ).content.decode()
    source = reverse("admin:checkpoints_checkpoint_change", args=[run.source_checkpoint_id])
    assert f'href="{source}"' in page
    assert f'href="{reverse("admin:runs_run_change", args=[run.pk])}"' in page


def test_the_list_of_runs_tells_their_best_loss_as_people_read_it(root: Client, cast: Cast) -> None:
    run = make_run(cast)
    Run.objects.filter(pk=run.pk).update(best_validation_loss=5.28987654, loss=4.98765432)
    page = root.get(reverse("admin:runs_run_changelist")).content.decode()
    assert '<td class="field-best_loss">5.290</td>' in page
    assert "4.98765" not in page


def test_only_what_people_write_can_be_changed_and_it_is_recorded(root: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    url = reverse("admin:checkpoints_checkpoint_change", args=[checkpoint.pk])
    answer = root.post(url, {"name": "New", "notes": "", "weights_sha256": "0", "size": 1})
    assert answer.status_code == 302
    fresh = Checkpoint.objects.get(pk=checkpoint.pk)
    assert fresh.name == "New"
    assert (fresh.weights_sha256, fresh.size) == (checkpoint.weights_sha256, checkpoint.size)
    event = AuditEvent.objects.get(action="admin.change")
    assert event.data == {"fields": ["name"]}


def test_the_sealed_token_of_a_push_is_not_shown(root: Client, cast: Cast) -> None:
    push = make_push(cast)
    url = reverse("admin:checkpoints_checkpointpush_change", args=[push.pk])
    page = root.get(url).content.decode()
    assert push.repository in page
    assert push.sealed_token not in page


@pytest.mark.parametrize("name", ["import", "export", "push", "statistics"])
def test_a_list_that_names_checkpoints_does_not_load_their_tensors(
    root: Client, cast: Cast, name: str, django_assert_max_num_queries: Any
) -> None:
    _fill(cast, 1)
    with django_assert_max_num_queries(22) as queries:
        root.get(reverse(f"admin:checkpoints_checkpoint{name}_changelist"))
    columns = [f'"checkpoints_checkpoint"."{column}"' for column in ("tensors", "manifest", "card")]
    assert not any(column in query["sql"] for query in queries for column in columns)


def test_nobody_changes_the_audit_trail(root: Client, cast: Cast) -> None:
    with transaction.atomic():
        audit.record("test.done", actor=cast.alice, instance=cast.team, team=cast.team)
    event = AuditEvent.objects.get(action="test.done")
    url = reverse("admin:accounts_auditevent_change", args=[event.pk])
    assert root.get(url).status_code == 200
    assert root.post(url, {"action": "nothing"}).status_code == 403
    for action in ("delete", "history"):
        answer = root.post(reverse(_pages(AuditEvent, action), args=[event.pk]), {"post": "yes"})
        assert answer.status_code in {200, 403}
    assert root.get(reverse("admin:accounts_auditevent_add")).status_code == 403
    assert AuditEvent.objects.get(pk=event.pk).action == "test.done"


@pytest.mark.parametrize("model", [Checkpoint, Run, AuditEvent], ids=lambda model: model.__name__)
def test_rows_of_jobs_are_not_made_or_deleted_by_hand(root: Client, model: type[Model]) -> None:
    assert root.get(reverse(_pages(model, "add"))).status_code == 403
    request = root.get(reverse("admin:index")).wsgi_request
    assert not admin.site.get_model_admin(model).has_delete_permission(request)


def test_a_person_a_team_and_a_role_can_be_made(root: Client, cast: Cast) -> None:
    person = {
        "email": "new@example.org",
        "name": "New",
        "usable_password": "true",
        "password1": "a-long-enough-word-9",
        "password2": "a-long-enough-word-9",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    assert root.post(reverse("admin:accounts_user_add"), person).status_code == 302
    made = User.objects.get(email="new@example.org")
    assert made.check_password("a-long-enough-word-9")
    team = {
        "name": "Beta",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": made.pk,
        "memberships-0-role": "member",
    }
    assert root.post(reverse("admin:accounts_team_add"), team).status_code == 302
    assert Membership.objects.get(user=made).team == Team.objects.get(name="Beta")
    recorded = AuditEvent.objects.filter(action="admin.create").values_list("object_type")
    assert {kind for (kind,) in recorded} == {"user", "team"}
    assert "password" not in str(list(AuditEvent.objects.values_list("data")))


def test_only_staff_get_in(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/checkpoints/checkpoint/").status_code == 302
