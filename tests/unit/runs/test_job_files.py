"""What goes into a training job's folder, and what comes out of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.factories import Cast, make_version
from tests.factories.runs import make_curve, make_run, make_source, set_state
from training.backbones.gpt2.config import GPT2Config
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import initial_weights
from webapp import storage
from webapp.datasets.models import DatasetVersion
from webapp.jobs.errors import JobRefused
from webapp.jobs.models import State
from webapp.runs import jobs
from webapp.runs.models import Run

TINY = GPT2Config(vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=1)


def stored(folder: Path, **files: str) -> dict[str, Any]:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return dict(storage.store_folder(folder))


@pytest.fixture
def version(cast: Cast, tmp_path: Path) -> DatasetVersion:
    return make_version(cast, manifest=stored(tmp_path / "a", train="some text"))


def resolved(run: Run, folder: Path) -> dict[str, Any]:
    return jobs.inputs(run.job, copy.deepcopy(run.job.spec), folder)


def test_data_and_source_are_put_in_place(
    cast: Cast, version: DatasetVersion, tmp_path: Path
) -> None:
    source = make_source(cast, manifest=stored(tmp_path / "b", weights="numbers"))
    run = make_run(cast, version=version, source=source)
    spec = resolved(run, tmp_path / "in")
    assert (Path(spec["data"]["path"]) / "train").read_text() == "some text"
    assert (Path(spec["source"]["checkpoint"]) / "weights").read_text() == "numbers"
    run.job.refresh_from_db()
    assert run.job.spec["data"]["path"].startswith("store:dataset/")


def test_a_twin_gets_the_sources_tokenizer(
    cast: Cast, version: DatasetVersion, tmp_path: Path
) -> None:
    source = make_source(cast, manifest=stored(tmp_path / "b", tokenizer="words"))
    run = make_run(cast, version=version, source=source, twin=True)
    spec = resolved(run.twin, tmp_path / "in")
    assert spec["source"] is None
    assert (Path(spec["tokenizer"]["checkpoint"]) / "tokenizer").read_text() == "words"


def test_a_run_as_source_stands_for_the_checkpoint_it_has_made(
    cast: Cast, version: DatasetVersion, tmp_path: Path
) -> None:
    first = make_run(cast)
    run = make_run(cast, version=version, source=first)
    with pytest.raises(JobRefused, match="not in the store"):
        resolved(run, tmp_path / "early")
    first.checkpoint = make_source(cast, manifest=stored(tmp_path / "b", weights="learned"))
    first.save()
    spec = resolved(run, tmp_path / "in")
    assert (Path(spec["source"]["checkpoint"]) / "weights").read_text() == "learned"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    card = {"method": "causal_lm", "scores": {"validation_loss": 4.5}, "steps": 10}
    write_checkpoint(tmp_path / "out/checkpoint", TINY, initial_weights(TINY, 0), None, card)
    return tmp_path / "out"


def test_the_checkpoint_becomes_a_row_with_its_parents(cast: Cast, out: Path) -> None:
    source = make_source(cast)
    run = make_run(cast, name="Mine", source=source, state=State.RUNNING)
    make_curve(run, {0: 9.0, 10: 4.5})
    collected = jobs.collect(run.job, out)
    jobs.finish(run.job, collected)
    jobs.finish(run.job, jobs.collect(run.job, out))  # a worker lost between the two does it again
    run.refresh_from_db()
    made = run.checkpoint
    assert made is not None
    card = json.loads((out / "checkpoint/card.json").read_text())
    assert (made.name, made.origin, made.job) == ("Mine", "trained", run.job)
    assert made.weights_sha256 == card["weights_sha256"]
    assert GPT2Config.model_validate(made.config) == TINY
    assert {item["name"] for item in made.tensors} == {tensor.name for tensor in TINY.tensors()}
    assert made.scores["validation_loss"] == 4.5
    assert list(made.parents.all()) == [source]
    assert made.dataset_version == run.dataset_version
    assert run.checkpoint.derived_runs.count() == 0
    assert storage.blob_exists(made.manifest["model.safetensors"]["blake3"])


def test_the_parent_of_a_transfer_from_a_run_is_what_that_run_made(cast: Cast, out: Path) -> None:
    first = make_run(cast)
    run = make_run(cast, source=first, state=State.RUNNING)
    first.checkpoint = make_source(cast)
    first.save()
    jobs.finish(run.job, jobs.collect(run.job, out))
    run.refresh_from_db()
    assert run.checkpoint is not None
    assert list(run.checkpoint.parents.all()) == [first.checkpoint]


def test_the_end_of_the_twin_brings_the_comparison(cast: Cast, out: Path) -> None:
    run = make_run(cast, source=make_source(cast), twin=True)
    make_curve(run, {0: 6.0, 10: 5.0})
    make_curve(run.twin, {0: 8.0, 10: 5.5})
    set_state(run, State.SUCCEEDED)
    set_state(run.twin, State.RUNNING)
    jobs.finish(run.twin.job, jobs.collect(run.twin.job, out))
    run.refresh_from_db()
    assert run.comparison["verdict"] == "helped"


def test_a_cancelled_twin_is_compared_as_far_as_it_came(cast: Cast) -> None:
    run = make_run(cast, source=make_source(cast), twin=True)
    make_curve(run, {0: 6.0, 10: 5.0})
    make_curve(run.twin, {0: 8.0})
    set_state(run, State.SUCCEEDED)
    set_state(run.twin, State.CANCELLED)
    jobs.ended(run.twin.job)
    run.refresh_from_db()
    assert run.comparison["twin"] == {"step": 0, "validation_loss": 8.0}
