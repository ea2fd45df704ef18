"""The page of a checkpoint's exports, and what the worker does for one."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import TINY, make_checkpoint
from tests.factories.exports import make_export
from training.backbones.gpt2.config import GPT2Config
from training.backbones.gpt3.config import GPT3Config
from training.command_specs import ExportSpec
from training.interop.exports import EXPORTS
from webapp.accounts.models import AuditEvent
from webapp.checkpoints import export_jobs
from webapp.checkpoints.models import Checkpoint, CheckpointExport
from webapp.jobs.models import Job, State


def _url(checkpoint: Checkpoint) -> str:
    return f"/checkpoints/{checkpoint.pk}/export"


def test_the_page_names_every_form_and_who_opens_it(alice: Client, cast: Cast) -> None:
    page = alice.get(_url(make_checkpoint(cast))).content.decode()
    for export in EXPORTS.values():
        assert export.title in page
        assert export.opened_by in page.replace("&#x27;", "'")
    assert page.count('name="format"') == len(EXPORTS)


def test_the_checkpoint_s_page_leads_there(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    assert _url(checkpoint) in alice.get(f"/checkpoints/{checkpoint.pk}").content.decode()


@pytest.mark.parametrize(
    ("form", "kind", "queue"),
    [("onnx", "export", "cpu"), ("saved_model", "export", "cpu"), ("graft", "export_folder", "io")],
)
def test_a_form_becomes_a_job_with_a_frozen_spec(
    alice: Client, cast: Cast, form: str, kind: str, queue: str
) -> None:
    checkpoint = make_checkpoint(cast)
    answer = alice.post(_url(checkpoint), {"format": form})
    assert answer["Location"] == _url(checkpoint)
    row = CheckpointExport.objects.get()
    assert (row.checkpoint, row.format, row.owner) == (checkpoint, form, cast.alice)
    assert (row.job.kind, row.job.queue, row.job.state) == (kind, queue, "queued")
    spec = ExportSpec.model_validate(row.job.spec)
    assert (spec.format, spec.checkpoint) == (form, f"store:checkpoint/{checkpoint.pk}")
    event = AuditEvent.objects.get(action="checkpoint.export")
    assert (event.actor, event.object_id, event.data) == (
        cast.alice,
        str(checkpoint.pk),
        {"format": form},
    )


def test_asking_twice_makes_one_export(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    for _ in range(2):
        alice.post(_url(checkpoint), {"format": "onnx"})
    assert CheckpointExport.objects.count() == Job.objects.filter(kind="export").count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        make_export(cast, checkpoint=checkpoint)


def test_an_unknown_form_is_refused(alice: Client, cast: Cast) -> None:
    assert alice.post(_url(make_checkpoint(cast)), {"format": "pickle"}).status_code == 400
    assert not CheckpointExport.objects.exists()


def test_what_a_form_cannot_hold_has_its_reason_in_place_of_a_button(
    alice: Client, cast: Cast
) -> None:
    large = GPT2Config(n_embd=1280, n_layer=36, n_head=20)
    checkpoint = make_checkpoint(cast, config=large)
    page = alice.get(_url(checkpoint)).content.decode()
    assert page.count('name="format"') == len(EXPORTS) - 2
    assert "ONNX holds 2.0 GB in one file, and these weights take 3.1 GB" in page
    answer = alice.post(_url(checkpoint), {"format": "onnx"}, follow=True)
    assert "Choose another form" in answer.content.decode()
    assert not CheckpointExport.objects.exists()


def test_a_gpt3_has_a_form_for_transformers_only_where_it_is_a_gpt2(
    alice: Client, cast: Cast
) -> None:
    sizes = TINY.model_dump(exclude={"architecture"})
    for window, offered in ((4, False), (None, True)):
        checkpoint = make_checkpoint(cast, config=GPT3Config(**sizes, window=window))
        page = alice.get(_url(checkpoint)).content.decode()
        assert ('value="huggingface"' in page) == offered
        assert ("no class that opens this gpt3 model" in page) != offered
        alice.post(_url(checkpoint), {"format": "huggingface"}, follow=True)
        assert CheckpointExport.objects.filter(checkpoint=checkpoint).exists() == offered


def test_an_architecture_of_another_version_is_refused_in_every_form(
    alice: Client, cast: Cast
) -> None:
    checkpoint = make_checkpoint(cast)
    Checkpoint.objects.filter(pk=checkpoint.pk).update(architecture="gpt9")
    page = alice.get(_url(checkpoint)).content.decode()
    assert page.count("gpt9 models cannot be written as") == len(EXPORTS)
    assert 'name="format"' not in page


def test_a_viewer_may_look_and_take_but_not_make(client: Client, cast: Cast) -> None:
    row = make_export(cast)
    client.force_login(cast.vera)
    page = client.get(_url(row.checkpoint)).content.decode()
    assert 'name="format"' not in page
    assert client.get(f"/checkpoints/exports/{row.pk}/download").status_code == 200
    assert client.post(_url(row.checkpoint), {"format": "keras"}).status_code == 403
    for action in ("retry", "cancel"):
        assert client.post(f"/checkpoints/exports/{row.pk}/{action}").status_code == 403


def test_another_team_sees_none_of_it(client: Client, cast: Cast) -> None:
    row = make_export(cast)
    client.force_login(cast.mallory)
    assert client.get(_url(row.checkpoint)).status_code == 404
    assert client.get(f"/checkpoints/exports/{row.pk}/download").status_code == 404
    for action in ("retry", "cancel"):
        assert client.post(f"/checkpoints/exports/{row.pk}/{action}").status_code == 404


def test_a_finished_one_shows_its_proof_and_the_lines_that_open_it(
    alice: Client, cast: Cast
) -> None:
    row = make_export(cast)
    page = alice.get(_url(row.checkpoint)).content.decode()
    assert "2.1e-06" in page
    assert "1e-04" in page
    assert "ONNX Runtime 1.32.0" in page
    assert "tokens int32 [batch, 16]" in page
    assert '<pre class="code" id="open-onnx" tabindex="0">import onnxruntime</pre>' in page
    assert f"/checkpoints/exports/{row.pk}/download" in page


def test_the_zip_has_every_file(alice: Client, cast: Cast) -> None:
    row = make_export(cast, checkpoint=make_checkpoint(cast, name="Moby Dick!"))
    answer: Any = alice.get(f"/checkpoints/exports/{row.pk}/download")
    body = b"".join(answer.streaming_content)
    assert int(answer["Content-Length"]) == len(body)
    assert answer["Content-Disposition"] == 'attachment; filename="moby-dick-onnx.zip"'
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert set(archive.namelist()) == {
            "moby-dick-onnx/model.onnx",
            "moby-dick-onnx/tokenizer/vocab.json",
        }


def test_a_missing_file_is_said_before_anything_is_sent(
    alice: Client, cast: Cast, data_folder: Path
) -> None:
    row = make_export(cast)
    for path in (data_folder / "files").rglob(row.manifest["model.onnx"]["blake3"]):
        path.unlink()
    answer = alice.get(f"/checkpoints/exports/{row.pk}/download", follow=True)
    assert "not in the store any more" in answer.content.decode()


def test_nothing_can_be_taken_before_it_is_proved(alice: Client, cast: Cast) -> None:
    row = make_export(cast, job={"state": State.RUNNING})
    answer = alice.get(f"/checkpoints/exports/{row.pk}/download")
    assert answer["Location"] == _url(row.checkpoint)


@pytest.mark.parametrize(
    ("state", "polls"),
    [(State.QUEUED, True), (State.RUNNING, True), (State.SUCCEEDED, False), (State.FAILED, False)],
)
def test_polling_ends_with_the_job(alice: Client, cast: Cast, state: State, polls: bool) -> None:
    row = make_export(cast, job={"state": state})
    page = alice.get(_url(row.checkpoint), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert ('hx-trigger="every 2s"' in page) is polls


def test_a_failed_one_says_why_and_is_tried_again(alice: Client, cast: Cast) -> None:
    job = {
        "state": State.FAILED,
        "error_code": "export_differs",
        "error_params": {"largest": "0.5", "allowed": "0.0001"},
    }
    row = make_export(cast, job=job)
    assert "differ by up to 0.5" in alice.get(_url(row.checkpoint)).content.decode()
    alice.post(f"/checkpoints/exports/{row.pk}/retry")
    row.job.refresh_from_db()
    assert row.job.state == State.QUEUED
    # A second press finds it in the queue.
    answer = alice.post(f"/checkpoints/exports/{row.pk}/retry", follow=True)
    assert "changed in the meantime" in answer.content.decode()


def test_one_on_its_way_is_cancelled_and_can_be_started_again(alice: Client, cast: Cast) -> None:
    row = make_export(cast, job={"state": State.QUEUED})
    alice.post(f"/checkpoints/exports/{row.pk}/cancel")
    row.job.refresh_from_db()
    assert row.job.state == State.CANCELLED
    alice.post(_url(row.checkpoint), {"format": "onnx"})
    row.job.refresh_from_db()
    assert row.job.state == State.QUEUED


def test_the_page_costs_the_same_however_much_there_is(
    alice: Client, cast: Cast, django_assert_num_queries: Any
) -> None:
    checkpoint = make_checkpoint(cast)
    alice.get(_url(checkpoint))
    for form in EXPORTS:
        make_export(cast, checkpoint=checkpoint, format=form)
    with django_assert_num_queries(6):
        alice.get(_url(checkpoint))


def test_the_worker_s_part_around_the_real_engine(cast: Cast, tmp_path: Path) -> None:
    """In, out and the row; the form without TensorFlow, so that it is quick."""
    from training.data.tokenizer import Tokenizer
    from training.weights.checkpoint import write_checkpoint
    from training.weights.initial import initial_tensors

    source = tmp_path / "source"
    tokenizer = Tokenizer.train(["a small text, and another one"], TINY.vocab_size)
    write_checkpoint(source, TINY, initial_tensors(TINY.tensors(), 1), tokenizer, {})
    files = {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file()}
    checkpoint = make_checkpoint(cast, files=files)
    row = make_export(
        cast,
        checkpoint=checkpoint,
        format="huggingface",
        job={"state": State.RUNNING, "kind": "export_folder"},
    )

    out = tmp_path / "work"
    (out / "inputs").mkdir(parents=True)
    spec = {"checkpoint": f"store:checkpoint/{checkpoint.pk}", "format": "huggingface"}
    resolved = export_jobs.inputs(row.job, spec, out / "inputs")
    (out / "spec.json").write_text(json.dumps(resolved))
    command = ["-m", "training", "export", str(out / "spec.json"), "--out", str(out), "--quiet"]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    collected = export_jobs.collect(row.job, out)
    assert export_jobs.collect(row.job, out) == collected  # safe to repeat
    with transaction.atomic():
        export_jobs.finish(row.job, collected)

    row.refresh_from_db()
    same = "model.safetensors"
    assert row.manifest[same]["blake3"] == checkpoint.manifest[same]["blake3"]
    assert row.size == sum(entry["size"] for entry in row.manifest.values())
    assert row.proof["kind"] == "bytes"
    assert "GPT2LMHeadModel" in row.proof["open"]
