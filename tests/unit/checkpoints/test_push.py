"""Sending a checkpoint to the Hub: the page, and where its token is and is not."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_version
from tests.factories.exports import make_push
from training.command_specs import PushSpec
from webapp.accounts.models import AuditEvent
from webapp.checkpoints import push_jobs, sealing
from webapp.checkpoints.models import Checkpoint, CheckpointPush
from webapp.checkpoints.services_export import about
from webapp.jobs import sandbox
from webapp.jobs.errors import JobRefused
from webapp.jobs.kinds import KINDS
from webapp.jobs.models import Job, State
from webapp.jobs.transitions import end
from webapp.runs import references

TOKEN = "hf_aVeryLongSecret"
TYPED = {"repository": "alice/whales", "token": TOKEN, "private": "on"}


def _url(checkpoint: Checkpoint) -> str:
    return f"/checkpoints/{checkpoint.pk}/push"


def test_it_becomes_a_job_with_a_network_and_a_frozen_spec(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast, name="Whales")
    answer = alice.post(_url(checkpoint), TYPED | {"endpoint": "http://mirror.example/"})
    assert answer["Location"] == _url(checkpoint)
    row = CheckpointPush.objects.get()
    assert (row.repository, row.owner, row.job.queue) == ("alice/whales", cast.alice, "io")
    assert KINDS[row.job.kind].network
    spec = PushSpec.model_validate(row.job.spec)
    assert (spec.repository, spec.endpoint, spec.private) == (
        "alice/whales",
        "http://mirror.example",
        True,
    )
    assert (spec.checkpoint, spec.about.name) == (f"store:checkpoint/{checkpoint.pk}", "Whales")
    assert AuditEvent.objects.get(action="checkpoint.push").data["repository"] == "alice/whales"


def test_the_token_is_nowhere_in_the_database_or_on_a_page(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    alice.post(_url(checkpoint), TYPED)
    assert TOKEN not in alice.get(_url(checkpoint)).content.decode()
    refused = alice.post(_url(checkpoint), TYPED | {"repository": "no"}).content.decode()
    assert TOKEN not in refused
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert TOKEN not in str(cursor.fetchall()), table
    assert push_jobs.secrets(Job.objects.get(kind="push")) == {"HF_TOKEN": TOKEN}


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_the_token_is_erased_when_the_job_fails_or_is_cancelled(cast: Cast, state: State) -> None:
    row = make_push(cast, job={"state": State.RUNNING})
    assert row.sealed_token
    with transaction.atomic():
        assert end(row.job, state)
    row.refresh_from_db()
    assert row.sealed_token == ""
    with pytest.raises(JobRefused) as refused:
        push_jobs.secrets(row.job)
    assert refused.value.code == "hub_token_missing"


def test_the_token_is_erased_when_it_is_there(cast: Cast, tmp_path: Path) -> None:
    row = make_push(cast, job={"state": State.RUNNING})
    pushed = {"url": "http://hub/alice/whales", "commit": "c" * 40}
    (tmp_path / "report.json").write_text(json.dumps({"pushed": pushed}))
    collected = push_jobs.collect(row.job, tmp_path)
    with transaction.atomic():
        push_jobs.finish(row.job, collected)
    row.refresh_from_db()
    assert (row.sealed_token, row.result) == ("", pushed)


def test_the_checkpoint_s_files_are_put_in_place(cast: Cast, tmp_path: Path) -> None:
    row = make_push(cast)
    named = {"checkpoint": references.write("checkpoint", row.checkpoint_id), "repository": "a/b"}
    spec = push_jobs.inputs(row.job, named, tmp_path)
    assert spec["repository"] == "a/b"
    assert (Path(spec["checkpoint"]) / "model.safetensors").read_bytes() == b"weights"


def test_a_seal_opens_with_the_same_key_only_and_not_for_ever(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = sealing.seal(TOKEN)
    assert TOKEN not in sealed
    assert sealing.seal(TOKEN) != sealed
    assert sealing.unseal(sealed) == TOKEN
    assert sealing.unseal(sealed[:-4] + "AAA=") is None
    assert sealing.unseal("") is None
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "LASTS", timedelta(seconds=-1))
        assert sealing.unseal(sealed) is None
    settings.SECRET_KEY = "another-key"
    assert sealing.unseal(sealed) is None


def test_only_a_job_s_own_secrets_reach_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "the-worker-s-own")
    assert "HF_TOKEN" not in sandbox.environment(tmp_path, network=True)
    assert [kind for kind, value in KINDS.items() if value.owner.endswith("push_jobs")] == ["push"]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"repository": ""}, "repository"),
        ({"repository": "whales"}, "repository"),
        ({"repository": "a/../b"}, "repository"),
        ({"token": ""}, "token"),
        ({"token": "two words"}, "token"),
        ({"token": "x\r\nHost: evil"}, "token"),
        ({"endpoint": "ftp://x"}, "endpoint"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    alice: Client, cast: Cast, typed: dict[str, str], field: str
) -> None:
    answer = alice.post(_url(make_checkpoint(cast)), TYPED | typed)
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert not Job.objects.filter(kind="push").exists()


def test_a_viewer_may_look_but_not_send(client: Client, cast: Cast) -> None:
    row = make_push(cast)
    client.force_login(cast.vera)
    page = client.get(_url(row.checkpoint)).content.decode()
    assert "alice/whales" in page
    assert 'name="token"' not in page
    assert client.post(_url(row.checkpoint), TYPED).status_code == 403
    assert client.post(f"/checkpoints/pushes/{row.pk}/cancel").status_code == 403


def test_another_team_sees_none_of_it(client: Client, cast: Cast) -> None:
    row = make_push(cast)
    client.force_login(cast.mallory)
    assert client.get(_url(row.checkpoint)).status_code == 404
    assert client.post(_url(row.checkpoint), TYPED).status_code == 404
    assert client.post(f"/checkpoints/pushes/{row.pk}/cancel").status_code == 404


@pytest.mark.parametrize(
    ("state", "polls"), [(State.QUEUED, True), (State.RUNNING, True), (State.FAILED, False)]
)
def test_polling_ends_with_the_job(alice: Client, cast: Cast, state: State, polls: bool) -> None:
    row = make_push(cast, job={"state": state})
    page = alice.get(_url(row.checkpoint), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert ('hx-trigger="every 2s"' in page) is polls


def test_how_it_ended_is_told(alice: Client, cast: Cast) -> None:
    failed = make_push(
        cast,
        job={
            "state": State.FAILED,
            "error_code": "hub_token_refused",
            "error_params": {"endpoint": "http://hub", "repository": "alice/whales"},
        },
    )
    page = alice.get(_url(failed.checkpoint)).content.decode()
    assert "did not accept the token" in page
    assert "The token was erased" in page
    result = {"url": "http://hub/alice/whales", "commit": "c" * 40}
    done = make_push(cast, job={"state": State.SUCCEEDED}, result=result)
    assert 'href="http://hub/alice/whales"' in alice.get(_url(done.checkpoint)).content.decode()


def test_one_on_its_way_is_cancelled(alice: Client, cast: Cast) -> None:
    row = make_push(cast)
    alice.post(f"/checkpoints/pushes/{row.pk}/cancel")
    row.refresh_from_db()
    assert (row.job.state, row.sealed_token) == (State.CANCELLED, "")
    answer = alice.post(f"/checkpoints/pushes/{row.pk}/cancel", follow=True)
    assert "changed in the meantime" in answer.content.decode()


def test_the_card_names_the_nearest_model_of_the_hub(cast: Cast) -> None:
    card = {"weights_sha256": "0" * 64, "parameters": 1}
    origin = {"repository": "openai-community/gpt2", "licence": "mit"}
    first = make_checkpoint(cast, card=card | {"origin": origin})
    between = make_checkpoint(cast, parents=[first])
    last = make_checkpoint(cast, parents=[between], name="Whales")
    with CaptureQueriesContext(connection) as queries:
        told = about(last)
    assert not any('"checkpoints_checkpoint"."manifest"' in query["sql"] for query in queries)
    assert (told.name, told.base_model, told.licence) == ("Whales", "openai-community/gpt2", "mit")
    alone = about(make_checkpoint(cast, name="Alone"))
    assert (alone.base_model, alone.data) == ("", "")
    version = make_version(cast, name="Moby Dick")
    for parents in ([], [first]):
        trained = make_checkpoint(cast, dataset_version=version, parents=parents)
        assert about(trained).data == "Moby Dick"
