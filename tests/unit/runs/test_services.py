"""Making runs, twins, descriptions and comparisons."""

from __future__ import annotations

import pytest

from tests.factories import Cast, make_version
from tests.factories.runs import make_curve, make_run, make_source, make_spec, set_state
from training.spec import RunSpec
from webapp.accounts.models import AuditEvent
from webapp.jobs.models import State
from webapp.runs import services
from webapp.runs.models import Run


def test_a_run_freezes_its_spec_and_is_queued(cast: Cast) -> None:
    version = make_version(cast)
    spec = make_spec(version, seed=7)
    run = services.run_create(
        name="First", spec=spec, owner=cast.bob, team=cast.team, tags=["a", "b", "a"], notes="Why"
    )
    assert RunSpec.model_validate(run.job.spec) == spec
    assert (run.job.kind, run.job.queue, run.job.state) == ("train", "cpu", State.QUEUED)
    assert [tag.name for tag in run.tags.all()] == ["a", "b"]
    assert (run.dataset_version, run.notes, run.owner) == (version, "Why", cast.bob)
    event = AuditEvent.objects.get(action="run.create")
    assert (event.actor, event.object_id, event.team) == (cast.bob, str(run.pk), cast.team)


def test_a_run_without_a_name_gets_one_from_data_and_source(cast: Cast) -> None:
    version = make_version(cast, name="Moby")
    assert make_run(cast, version=version, name="").name == "Moby, from scratch"
    assert make_run(cast, version=version, source=make_source(cast), name="").name == "Nano → Moby"


def test_a_twin_differs_only_in_its_start(cast: Cast) -> None:
    source = make_source(cast)
    run = make_run(cast, source=source, twin=True, spec={"seed": 5}, tags=["whales"])
    transfer, twin = run.job.spec, run.twin.job.spec
    different = {key for key in transfer if transfer[key] != twin[key]}
    assert different == {"source", "model", "tokenizer"}
    assert twin["source"] is None
    assert twin["model"] == source.config
    assert twin["tokenizer"]["kind"] == "checkpoint"
    assert twin["tokenizer"]["checkpoint"] == transfer["source"]["checkpoint"]
    assert (run.twin.source_checkpoint, run.twin.dataset_version) == (None, run.dataset_version)
    assert [tag.name for tag in run.twin.tags.all()] == ["whales"]


def test_a_twin_trains_everything_where_its_transfer_trains_low_rank_updates(cast: Cast) -> None:
    lora = {"training": {"lora": {"rank": 4}}}
    version = make_version(cast)
    spec = make_spec(version, make_source(cast)).model_dump() | lora
    run = services.run_create(
        name="L", spec=RunSpec.model_validate(spec), owner=cast.alice, team=cast.team, twin=True
    )
    assert run.job.spec["training"]["lora"]["rank"] == 4
    assert run.twin.job.spec["training"]["lora"] is None


def test_a_run_from_scratch_has_no_twin(cast: Cast) -> None:
    run = make_run(cast, twin=True)
    assert not Run.objects.filter(twin_of=run).exists()


def test_a_run_waits_for_its_data_and_for_the_run_it_starts_from(cast: Cast) -> None:
    version = make_version(cast, state=State.RUNNING, job={"lease_expires_at": "2099-01-01T00:00Z"})
    first = make_run(cast)
    run = make_run(cast, version=version, source=first, twin=True)
    for one in (run, run.twin):
        assert one.job.state == State.WAITING
        assert set(one.job.after.all()) == {version.job, first.job}
    assert run.source_run == first


def test_a_twin_run_again_waits_for_the_run_whose_tokenizer_it_takes(cast: Cast) -> None:
    first = make_run(cast)
    twin = make_run(cast, source=first, twin=True).twin
    again = services.run_create(
        name="", spec=RunSpec.model_validate(twin.job.spec), owner=cast.alice, team=cast.team
    )
    assert list(again.job.after.all()) == [first.job]
    assert again.source_run is None


def test_a_run_that_has_its_checkpoint_is_named_by_that(cast: Cast) -> None:
    first = make_run(cast, state=State.SUCCEEDED)
    first.checkpoint = make_source(cast)
    first.save()
    run = make_run(cast, source=first)
    assert (run.source_checkpoint, run.source_run) == (first.checkpoint, None)
    assert run.job.spec["source"]["checkpoint"] == f"store:checkpoint/{first.checkpoint.pk}"
    assert run.job.state == State.QUEUED


def test_what_another_team_has_is_refused(cast: Cast) -> None:
    theirs = make_source(cast, team=cast.other_team, owner=cast.mallory)
    with pytest.raises(services.RunRefused):
        make_run(cast, source=theirs)
    version = make_version(cast, name="Theirs", team=cast.other_team, owner=cast.mallory)
    with pytest.raises(services.RunRefused):
        make_run(cast, version=version)
    assert not Run.objects.exists()


def test_a_source_that_ended_without_a_checkpoint_is_refused(cast: Cast) -> None:
    first = make_run(cast, state=State.FAILED)
    with pytest.raises(services.RunRefused):
        make_run(cast, source=first)


def test_describing_a_run_is_written_down(cast: Cast) -> None:
    run = make_run(cast)
    services.run_describe(run=run, actor=cast.bob, name="New", notes="Learned much", tags=["x"])
    run.refresh_from_db()
    assert (run.name, run.notes) == ("New", "Learned much")
    event = AuditEvent.objects.get(action="run.describe")
    assert event.data == {"changed": ["name", "notes"], "tags": ["x"]}


def test_transfer_and_twin_are_compared_once_both_have_ended(cast: Cast) -> None:
    run = make_run(cast, source=make_source(cast), twin=True)
    twin = run.twin
    make_curve(run, {0: 6.0, 10: 5.2, 20: 5.0})
    make_curve(twin, {0: 8.0, 10: 6.0, 20: 5.5})
    set_state(run, State.SUCCEEDED)
    services.comparison_update(run)
    run.refresh_from_db()
    assert run.comparison == {}
    services.comparison_update(twin)  # in the transaction that ends it
    run.refresh_from_db()
    assert run.comparison["verdict"] == "helped"
    assert run.comparison["reached_step"] == 10
    assert run.comparison["share"] == 0.5


def test_a_run_without_a_twin_is_compared_with_nothing(cast: Cast) -> None:
    run = make_run(cast)
    services.comparison_update(run)
    run.refresh_from_db()
    assert run.comparison == {}


def test_the_sample_is_made_once_and_waits_for_its_data(cast: Cast) -> None:
    for name in ("Brown corpus", "Moby-Dick"):
        version = make_version(cast, name=name, state=State.QUEUED)
        version.dataset.is_sample = True
        version.dataset.save()
    run = services.sample_transfer_create(team=cast.team, owner=cast.alice)
    again = services.sample_transfer_create(team=cast.team, owner=cast.alice)
    assert run == again
    assert Run.objects.count() == 3
    assert run.source_run is not None
    assert run.source_run.job.state == State.WAITING
    assert run.twin.job.after.count() == 2


def test_the_sample_needs_the_sample_data(cast: Cast) -> None:
    with pytest.raises(services.RunRefused):
        services.sample_transfer_create(team=cast.team, owner=cast.alice)
