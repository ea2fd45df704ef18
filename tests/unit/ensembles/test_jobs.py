"""What the worker does for an ensemble, and members that are trained together first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.datasets import make_images, make_labelled, make_version
from tests.factories.ensembles import make_classifier, make_ensemble, make_report
from tests.factories.runs import make_run, make_source, set_state
from tests.unit.heads.test_jobs import entry, names
from tests.unit.runs.test_form_classification import form_of, posted, transfer
from training.backbones.resnet.config import PRESETS as RESNETS
from training.ensembles.combining import combine
from training.ensembles.folder import EnsembleConfig, write_ensemble
from training.ensembles.members import as_member
from training.ensembles.spec import EnsembleSpec
from training.predicting.inputs import InputSizes
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.initial import initial_weights
from webapp.checkpoints.models import Checkpoint
from webapp.ensembles import jobs, selectors, services
from webapp.ensembles.models import Ensemble
from webapp.heads import feature_cache
from webapp.jobs.models import State
from webapp.jobs.supervisor import work_folder
from webapp.runs.models import Run

NANO = RESNETS["nano"].model_copy(update={"num_classes": 2})


def test_inputs_hold_data_and_members_and_what_was_predicted_before(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_ensemble(cast, job={"state": State.QUEUED})
    monkeypatch.setattr(jobs, "place_files", lambda _reference, folder: str(folder))
    one, two = row.members.order_by("created_at")
    entry(feature_cache.folder(), "one", one.weights_sha256)
    entry(feature_cache.folder(), "two", two.weights_sha256)
    entry(feature_cache.folder(), "other", "ab" * 32)
    spec = jobs.inputs(row.job, json.loads(json.dumps(row.job.spec)), tmp_path)
    assert spec["data"]["path"] == str(tmp_path / "data")
    assert [one["checkpoint"] for one in spec["members"]] == [
        str(tmp_path / "member-0"),
        str(tmp_path / "member-1"),
    ]
    assert names(work_folder(row.job.pk) / "cache") == {"one", "two"}
    EnsembleSpec.model_validate(spec)


def written(folder: Path, seed: int) -> Path:
    """A network that says which classes it tells apart."""
    weights = initial_weights(NANO, seed)
    write_checkpoint(folder, NANO, weights, None, {"classes": ["cat", "dog"]})
    return folder


def finished(cast: Cast, out: Path, members: list[Checkpoint]) -> None:
    """What the engine leaves of an ensemble."""
    report = make_report(members)
    out.mkdir()
    (out / "report.json").write_text(json.dumps(report))
    opened = [
        as_member(read_checkpoint(written(out.parent / f"m{n}", n)), n + 1, InputSizes())
        for n in range(2)
    ]
    combined = combine("mean", [0, 0], None, [], 0)  # type: ignore[arg-type]
    write_ensemble(
        out / "checkpoint",
        EnsembleConfig(
            kind="image",
            classes=["cat", "dog"],
            combination="mean",
            members=[one.config() for one in opened],
        ),
        combined,
        [one.checkpoint for one in opened],
        {"scores": {"test_accuracy": 0.78}},
    )


def test_the_outcome_is_a_checkpoint_with_all_members_as_its_sources(
    cast: Cast, tmp_path: Path
) -> None:
    row = make_ensemble(cast, job={"state": State.RUNNING}, name="Both eyes")
    members = list(row.members.order_by("created_at"))
    finished(cast, tmp_path / "out", members)
    jobs.finish(row.job, jobs.collect(row.job, tmp_path / "out"))
    row.refresh_from_db()
    made = row.checkpoint
    assert (made.name, made.origin, made.architecture) == ("Both eyes", "ensemble", "ensemble")
    assert (made.task, made.method) == ("image_classification", "ensemble")
    assert set(made.parents.all()) == set(members)
    assert made.dataset_version == row.dataset_version
    assert "members/1/model.safetensors" in made.manifest
    assert made.parameters == 2 * NANO.parameter_count() + 2
    assert (row.accuracy, row.best_accuracy) == (0.78, 0.75)
    # Once more, as after a crash between the two: the same row.
    jobs.finish(row.job, jobs.collect(row.job, tmp_path / "out"))
    assert Checkpoint.objects.filter(architecture="ensemble").count() == 1


# --- trained together -----------------------------------------------------------------------------


@pytest.fixture
def images(cast: Cast, tmp_path: Path) -> Any:
    return make_images(cast, folder=tmp_path)


def test_members_from_one_specification_and_their_ensemble_after_them(
    alice: Client, cast: Cast, images: Any
) -> None:
    form = form_of(cast, how="scratch", data=str(images.pk), seed="7", name="Eyes")
    form.values |= {"members": "3", "combination": "weights", "action": "start"}
    answer = alice.post("/runs/new", posted(form))
    row = Ensemble.objects.get()
    assert answer["Location"] == f"/ensembles/{row.pk}"
    runs = list(Run.objects.order_by("created_at"))
    assert [run.job.spec["seed"] for run in runs] == [7, 8, 9]
    assert [run.name for run in runs] == [f"Eyes · seed {seed}" for seed in (7, 8, 9)]
    others = [{**run.job.spec, "seed": 0} for run in runs]
    assert others[0] == others[1] == others[2]
    assert row.job.state == State.WAITING
    assert set(row.job.after.all()) == {run.job for run in runs}
    spec = EnsembleSpec.model_validate(row.job.spec)
    assert [one.checkpoint for one in spec.members] == [f"store:run/{run.pk}" for run in runs]
    assert (spec.combination, spec.seed) == ("weights", 7)
    assert f"/runs/{runs[1].pk}" in alice.get(f"/ensembles/{row.pk}").content.decode()
    assert f"/ensembles/{row.pk}" in alice.get(f"/runs/{runs[1].pk}").content.decode()
    # When the runs have made their checkpoints, those are its members.
    for run in runs:
        run.checkpoint = make_classifier(cast)
        run.save()
    assert jobs.members(row.job) == [run.checkpoint for run in runs]


def test_what_the_source_of_a_member_learned_from_goes_along(cast: Cast) -> None:
    """Also where the source is a run that is not done, and has a source of its own."""
    oldest, older, version = (make_version(cast, name=name) for name in ("Oldest", "Older", "New"))
    begun = make_source(cast, dataset_version=oldest)
    first = make_run(cast, version=older, source=begun)
    runs = [make_run(cast, version=version, source=first, spec={"seed": n}) for n in (0, 1)]
    row = services.ensemble_of_runs(
        name="", runs=runs, settings={}, owner=cast.alice, team=cast.team
    )
    wanted = {f"store:dataset/{one.pk}" for one in (oldest, older)}
    for one in EnsembleSpec.model_validate(row.job.spec).members:
        assert set(one.trained_on) == wanted


def test_one_member_is_a_run_as_ever(alice: Client, cast: Cast, images: Any) -> None:
    form = form_of(cast, how="scratch", data=str(images.pk))
    form.values |= {"action": "start"}
    assert form.values["members"] == "1"
    answer = alice.post("/runs/new", posted(form))
    assert answer["Location"] == f"/runs/{Run.objects.get().pk}"
    assert not Ensemble.objects.exists()


@pytest.mark.parametrize("typed", ["0", "6", "two", "2.5", "3" * 5000])
def test_a_number_of_members_that_makes_no_sense_is_refused(
    cast: Cast, images: Any, typed: str
) -> None:
    form = form_of(cast, how="scratch", data=str(images.pk), members=typed)
    assert form.validate() is None
    assert form.errors["members"] == ["Write a number from 1 to 5."]


def test_only_the_first_of_several_has_a_twin(alice: Client, cast: Cast, images: Any) -> None:
    source = make_source(cast, config=NANO, architecture="resnet", card={})
    form = transfer(cast, images, source)
    form.values |= {"members": "2", "twin": True, "action": "start"}
    alice.post("/runs/new", posted(form))
    assert Run.objects.exclude(twin_of=None).count() == 1
    assert Run.objects.count() == 3
    assert len(Ensemble.objects.get().job.spec["members"]) == 2


def test_when_a_member_fails_the_ensemble_fails_with_it(
    alice: Client, cast: Cast, images: Any
) -> None:
    form = form_of(cast, how="scratch", data=str(images.pk), members="2")
    form.values |= {"action": "start"}
    alice.post("/runs/new", posted(form))
    from webapp.jobs.transitions import end

    first = Run.objects.order_by("created_at").first()
    assert first is not None
    set_state(first, State.RUNNING)
    end(first.job, State.FAILED)
    row = Ensemble.objects.get()
    assert (row.job.state, row.job.error_code) == (State.FAILED, "predecessor_failed")
    # What is offered is what helps: the ensemble itself cannot be tried again now.
    page = alice.get(f"/ensembles/{row.pk}").content.decode()
    assert "Open the member that did not succeed and try it again" in page
    assert f"/ensembles/{row.pk}/retry" not in page
    alice.post(f"/runs/{first.pk}/retry")
    row.job.refresh_from_db()
    assert row.job.state == State.WAITING


# --- snapshots ------------------------------------------------------------------------------------


def test_a_run_s_snapshots_are_an_ensemble_at_one_click(alice: Client, cast: Cast) -> None:
    run = run_with_snapshots(cast)
    page = alice.get(f"/runs/{run.pk}").content.decode()
    assert "Ensemble of its snapshots" in page
    answer = alice.post(f"/ensembles/snapshots/{run.pk}")
    row = Ensemble.objects.get()
    assert answer["Location"] == f"/ensembles/{row.pk}"
    spec = EnsembleSpec.model_validate(row.job.spec)
    assert [one.checkpoint for one in spec.members] == [
        f"store:checkpoint/{one.pk}" for one in selectors.snapshots_of(run)
    ]
    assert spec.combination == "mean"


def run_with_snapshots(cast: Cast) -> Run:
    """A finished run of two cycles."""
    from tests.factories.runs import make_run

    run = make_run(cast, version=make_labelled(cast))
    run.method = "classification"
    run.save()
    members = [make_classifier(cast, job=run.job, name=f"cycle {n}") for n in (1, 2)]
    told = [{"number": n, "weights_sha256": m.weights_sha256} for n, m in enumerate(members, 1)]
    set_state(run, State.SUCCEEDED, report={"snapshots": told})
    return run


def test_without_snapshots_there_is_nothing_to_click(alice: Client, cast: Cast) -> None:
    run = run_with_snapshots(cast)
    run.job.report = {}
    run.job.save()
    assert "Ensemble of its snapshots" not in alice.get(f"/runs/{run.pk}").content.decode()
    assert alice.post(f"/ensembles/snapshots/{run.pk}").status_code == 404


def test_snapshots_become_checkpoints_of_the_run(cast: Cast, tmp_path: Path, images: Any) -> None:
    from webapp.runs import jobs as run_jobs
    from webapp.runs import services

    form = form_of(cast, how="scratch", data=str(images.pk), training__cycles="2")
    spec = form.validate()
    assert spec is not None, form.errors
    run = services.run_create(name="Cyclic", spec=spec, owner=cast.alice, team=cast.team)
    out = tmp_path / "o"
    for number, seed in ((1, 1), (2, 2)):
        card = {"classes": ["cat", "dog"], "snapshot": {"number": number, "of": 2, "step": number}}
        folder = out / "snapshots" / str(number)
        write_checkpoint(folder, NANO, initial_weights(NANO, seed), None, card)
    # The best weights are those of the second cycle's end.
    write_checkpoint(out / "checkpoint", NANO, initial_weights(NANO, 2), None, {})
    for _again in range(2):
        run_jobs.finish(run.job, run_jobs.collect(run.job, out))
    rows = Checkpoint.objects.filter(job=run.job).order_by("created_at")
    assert [row.name for row in rows] == ["Cyclic", "Cyclic · cycle 1 of 2"]
    run.refresh_from_db()
    assert run.checkpoint == rows[0]
