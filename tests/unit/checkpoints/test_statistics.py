"""The look at a checkpoint's values: asked for once, worked out by the engine, shown to all."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from safetensors.numpy import save

from tests.factories import Cast
from tests.factories.checkpoints import TINY, make_checkpoint, make_statistics
from webapp.accounts.models import AuditEvent
from webapp.checkpoints import services, statistics_jobs
from webapp.checkpoints.models import Checkpoint, CheckpointStatistics
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import Job, State

HTMX = {"HX-Request": "true"}


def _url(checkpoint: Checkpoint) -> str:
    return f"/checkpoints/{checkpoint.pk}/statistics"


def test_a_member_asks_once_for_the_whole_team(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    for person in (cast.alice, cast.bob):
        client.force_login(person)
        part = client.post(_url(checkpoint), headers=HTMX).content.decode()
        assert 'hx-trigger="every 1s"' in part
    row = CheckpointStatistics.objects.get()
    assert (row.owner, row.team, row.job.kind, row.job.queue) == (
        cast.alice,
        cast.team,
        "statistics",
        "io",
    )
    event = AuditEvent.objects.get(action="checkpoint.statistics")
    assert (event.actor, event.object_id) == (cast.alice, str(checkpoint.pk))


def test_it_works_without_a_script(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    answer = client.post(_url(checkpoint))
    assert answer["Location"] == f"/checkpoints/{checkpoint.pk}#layers"
    page = client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert "Waiting for a worker" in page


def test_a_viewer_sees_the_values_and_cannot_ask(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.vera)
    assert client.post(_url(checkpoint), headers=HTMX).status_code == 403
    assert "Work out the values" not in client.get(_url(checkpoint), headers=HTMX).content.decode()
    make_statistics(cast, checkpoint)
    assert "1,234 zeros" in client.get(f"/checkpoints/{checkpoint.pk}").content.decode()


def test_it_takes_a_token_against_forgery(cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.alice)
    assert client.post(_url(checkpoint)).status_code == 403
    assert not CheckpointStatistics.objects.exists()


def test_one_on_its_way_says_how_long_and_is_cancelled(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    began = timezone.now() - timedelta(seconds=100)
    job = {"state": State.RUNNING, "fraction": 0.25, "started_at": began}
    row = make_statistics(cast, checkpoint, job=job)
    url = f"{_url(checkpoint)}/cancel"
    client.force_login(cast.vera)
    assert client.post(url).status_code == 403
    page = client.get(_url(checkpoint), headers=HTMX).content.decode()
    assert url not in page
    assert "25 %" in page
    assert "Time left 5:0" in page
    client.force_login(cast.bob)
    assert f'hx-post="{url}"' in client.get(_url(checkpoint), headers=HTMX).content.decode()
    part = client.post(url, headers=HTMX).content.decode()
    assert "disabled>Cancel" in part
    row.job.refresh_from_db()
    assert row.job.requested == "cancel"


def test_one_in_the_queue_is_cancelled_and_can_be_asked_for_again(
    client: Client, cast: Cast
) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    assert client.post(f"{_url(checkpoint)}/cancel").status_code == 404
    client.post(_url(checkpoint))
    answer = client.post(f"{_url(checkpoint)}/cancel")
    assert answer["Location"] == f"/checkpoints/{checkpoint.pk}#layers"
    assert CheckpointStatistics.objects.get().job.state == State.CANCELLED
    assert "Try again" in client.get(_url(checkpoint), headers=HTMX).content.decode()
    client.post(_url(checkpoint))
    assert CheckpointStatistics.objects.get().job.state == State.QUEUED


def test_the_page_polls_until_the_values_are_there(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    make_statistics(cast, checkpoint, job={"state": State.RUNNING, "fraction": 0.25})
    client.force_login(cast.alice)
    answer = client.get(_url(checkpoint), headers=HTMX)
    assert 'value="0.2500"' in answer.content.decode()
    assert 'hx-trigger="every 1s"' in answer.content.decode()
    assert "HX-Retarget" not in answer
    CheckpointStatistics.objects.all().delete()
    make_statistics(cast, checkpoint)
    answer = client.get(_url(checkpoint), headers=HTMX)
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#layers", "outerHTML")
    page = answer.content.decode()
    assert "every 1s" not in page
    assert ">Norm</th>" in page


def test_a_failed_look_says_why_and_is_tried_again(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    failed = {"state": State.FAILED, "error_code": "input_missing", "error_params": {"detail": "w"}}
    row = make_statistics(cast, checkpoint, job=failed)
    client.force_login(cast.alice)
    part = client.get(_url(checkpoint), headers=HTMX).content.decode()
    assert "not in the store any more (w)" in part
    assert "Try again" in part
    assert "every 1s" not in part
    client.post(_url(checkpoint), headers=HTMX)
    row.job.refresh_from_db()
    assert row.job.state == State.QUEUED
    assert Job.objects.filter(kind="statistics").count() == 1


# --- the owner's functions around the engine's real work ------------------------------------------


@pytest.fixture
def asked(cast: Cast) -> CheckpointStatistics:
    random = np.random.default_rng(0)
    tensors = {
        tensor.name: random.standard_normal(tensor.shape).astype(np.float32)
        for tensor in TINY.tensors()
    }
    tensors["transformer.wpe.weight"][:] = 0
    checkpoint = make_checkpoint(cast, files={"model.safetensors": save(tensors), "other": b"x"})
    return services.statistics_start(checkpoint=checkpoint, actor=cast.alice)


def test_the_engine_s_values_are_kept_on_the_row(
    asked: CheckpointStatistics, tmp_path: Path, client: Client, cast: Cast
) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    spec: dict[str, Any] = statistics_jobs.inputs(asked.job, dict(asked.job.spec), folder)
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "training", "statistics", str(tmp_path / "spec.json")]
    subprocess.run([*command, "--out", str(tmp_path)], check=True, capture_output=True, timeout=60)
    collected = statistics_jobs.collect(asked.job, tmp_path)
    assert statistics_jobs.collect(asked.job, tmp_path) == collected  # safe to repeat
    with transaction.atomic():
        statistics_jobs.finish(asked.job, collected)
    asked.refresh_from_db()
    assert asked.summary["zeros"] == 16 * 8
    assert set(asked.values) == {tensor.name for tensor in TINY.tensors()}
    assert asked.values["transformer.wpe.weight"]["norm"] == 0
    assert sum(asked.histograms["transformer.wte.weight"]) == 300 * 8
    assert "histogram" not in asked.values["transformer.wte.weight"]
    client.force_login(cast.vera)
    page = client.get(f"/checkpoints/{asked.checkpoint_id}").content.decode()
    assert "100.00%" in page


def test_weights_that_are_not_there_are_refused(
    asked: CheckpointStatistics, tmp_path: Path
) -> None:
    Checkpoint.objects.filter(pk=asked.checkpoint_id).update(manifest={})
    with pytest.raises(JobRefused):
        statistics_jobs.inputs(asked.job, dict(asked.job.spec), tmp_path)
