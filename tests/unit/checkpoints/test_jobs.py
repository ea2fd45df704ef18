"""The owner's functions around real work of the engine: a real import and a real copy."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from safetensors.numpy import save_file

from tests.factories import Cast, make_upload
from tests.factories.checkpoints import TINY
from training.data.tokenizer import Tokenizer
from training.interop.forms.gpt2 import FORM
from training.spec import TokenizerSpec
from training.weights.plan_settings import PlanSettings
from webapp import storage
from webapp.checkpoints import jobs, probe_jobs, services
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.datasets.models import Upload
from webapp.jobs.errors import JobRefused


def _foreign_folder(folder: Path) -> Path:
    """GPT-2 as ``save_pretrained`` writes it, with random weights."""
    folder.mkdir()
    random = np.random.default_rng(0)
    save_file(
        {
            tensor.name: random.standard_normal(tensor.shape).astype(np.float32)
            for tensor in TINY.tensors()
        },
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    tokenizer = Tokenizer.train(["a small text, and another one"], TINY.vocab_size)
    tokenizer.save(folder)
    config = FORM.write(TINY, special=tokenizer.special_ids)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _engine(row: CheckpointImport, folder: Path, command: str) -> Path:
    """What the worker does, without a worker."""
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    spec = jobs.inputs(row.job, dict(row.job.spec), inputs)
    (folder / "spec.json").write_text(json.dumps(spec))
    subprocess.run(
        [sys.executable, "-m", "training", command, folder / "spec.json", "--out", folder],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


def _finish(row: CheckpointImport, out: Path) -> Checkpoint:
    collected = jobs.collect(row.job, out)
    assert jobs.collect(row.job, out) == collected  # safe to repeat
    with transaction.atomic():
        jobs.finish(row.job, collected)
    row.refresh_from_db()
    assert row.checkpoint is not None
    return row.checkpoint


@pytest.fixture
def imported(cast: Cast, tmp_path: Path) -> CheckpointImport:
    sent = []
    for path in sorted(_foreign_folder(tmp_path / "mine").iterdir()):
        upload = make_upload(cast, path.read_bytes(), filename=path.name)
        Upload.objects.filter(pk=upload.pk).update(relative_path=f"mine/{path.name}")
        upload.refresh_from_db()
        sent.append(upload)
    files = services.files_of_uploads(sent)
    below = {path.removeprefix("mine/"): entry for path, entry in files.items()}
    return services.import_from_folder(name="Mine", files=below, team=cast.team, owner=cast.alice)


def test_uploaded_files_become_a_checkpoint_and_its_copy_another(
    imported: CheckpointImport, cast: Cast, tmp_path: Path
) -> None:
    checkpoint = _finish(imported, _engine(imported, tmp_path / "import", "import"))
    assert checkpoint.origin == "upload"
    assert checkpoint.config == TINY.model_dump()
    assert checkpoint.parameters == TINY.parameter_count()
    assert {"model.safetensors", "config.json", "card.json"} <= checkpoint.manifest.keys()
    assert "tensors" not in checkpoint.card
    assert all(storage.blob_exists(entry["blake3"]) for entry in checkpoint.manifest.values())

    row = services.copy_start(
        name="Deeper",
        source=checkpoint,
        model=TINY.model_copy(update={"n_layer": 3}),
        settings=PlanSettings(new_layers="identity"),
        tokenizer=TokenizerSpec(kind="source"),
        seed=0,
        owner=cast.alice,
    )
    copied = _finish(row, _engine(row, tmp_path / "copy", "transfer"))
    assert copied.config["n_layer"] == 3
    assert list(copied.parents.all()) == [checkpoint]
    assert copied.weights_sha256 != checkpoint.weights_sha256

    into = services.copy_start(
        name="Both",
        source=checkpoint,
        model=TINY.model_copy(update={"n_layer": 3}),
        base=copied,
        settings=PlanSettings(),
        tokenizer=TokenizerSpec(kind="source"),
        seed=0,
        owner=cast.alice,
    )
    both = _finish(into, _engine(into, tmp_path / "into", "transfer"))
    assert both.config == copied.config
    assert set(both.parents.all()) == {checkpoint, copied}
    assert both.card["transfer"]["initialised"] == 12  # the third layer's, which stay as they were
    assert both.weights_sha256 == copied.weights_sha256  # it began as the same copy

    probe = row.probe_job
    assert probe is not None
    folder = tmp_path / "probe"
    folder.mkdir()
    spec = probe_jobs.inputs(probe, dict(probe.spec), folder)
    assert (Path(spec["one"]) / "card.json").read_bytes() != (
        Path(spec["other"]) / "card.json"
    ).read_bytes()
    probe.report = dict.fromkeys(probe_jobs.KEPT, 0.5)
    probe_jobs.finish(probe, None)
    copied.refresh_from_db()
    assert copied.probe["largest"] == 0.5


def test_uploads_are_stored_once_and_a_retry_finds_them(
    imported: CheckpointImport, tmp_path: Path
) -> None:
    for attempt in ("first", "second"):
        folder = tmp_path / attempt
        folder.mkdir()
        spec = jobs.inputs(imported.job, dict(imported.job.spec), folder)
        assert (Path(spec["path"]) / "config.json").is_file()
    imported.refresh_from_db()
    assert all(entry["blake3"] for entry in imported.manifest.values())


def test_an_upload_that_is_gone_is_named(imported: CheckpointImport, tmp_path: Path) -> None:
    Upload.objects.filter(filename="config.json").delete()
    with pytest.raises(JobRefused) as refused:
        jobs.inputs(imported.job, dict(imported.job.spec), tmp_path)
    assert refused.value.params == {"detail": "config.json"}


def test_the_progress_of_a_download_is_kept(imported: CheckpointImport) -> None:
    events: list[dict[str, Any]] = [
        {"kind": "phase", "name": "downloading", "bytes": 1, "total_bytes": 9, "bytes_per_s": 2},
        {"kind": "log", "text": "…"},
        {"kind": "phase", "name": "downloading", "bytes": 5, "total_bytes": 9, "bytes_per_s": 3},
    ]
    jobs.ingest(imported.job, events)
    imported.refresh_from_db()
    assert imported.progress == {"bytes": 5, "total_bytes": 9, "bytes_per_s": 3}
    jobs.ingest(imported.job, [{"kind": "phase", "name": "checking"}])
    imported.refresh_from_db()
    assert imported.progress == {}
