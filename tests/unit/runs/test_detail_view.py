"""One run's page and the part of it that polls."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import Cast, make_version
from tests.factories.runs import make_curve, make_run, make_source, set_state
from webapp.jobs.models import JobEvent, State
from webapp.runs.models import Run
from webapp.runs.services import comparison_update


def event(run: Run, seq: int, kind: str, step: int | None = None, **data: Any) -> None:
    JobEvent.objects.create(
        job=run.job, seq=seq, at=timezone.now(), kind=kind, step=step, data=data
    )


def test_another_teams_run_does_not_exist(client: Client, cast: Cast) -> None:
    run = make_run(cast)
    client.force_login(cast.mallory)
    for part in ("", "/live", "/curves", "/report", "/spec.yaml", "/edit"):
        assert client.get(f"/runs/{run.pk}{part}").status_code == 404


def test_a_running_run_shows_how_far_it_is_and_polls(alice: Client, cast: Cast) -> None:
    run = make_run(cast)
    live = {"tokens_per_s": 12345.6, "steps_per_s": 6.25, "eta_s": 75, "rss_bytes": 2**30}
    set_state(
        run, State.RUNNING, step=57, total_steps=400, fraction=0.1425, phase="training", live=live
    )
    text = alice.get(f"/runs/{run.pk}").text
    for part in ("57", "of 400 steps", "14 %", "12.3 k", "6.25", "1:15", "1.0 GiB", "Training"):
        assert part in text
    assert 'hx-trigger="every 2s"' in text


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED, State.PAUSED])
def test_polling_ends_by_omission(alice: Client, cast: Cast, state: str) -> None:
    run = make_run(cast, state=state)
    assert "every 2s" not in alice.get(f"/runs/{run.pk}").text
    assert "every 2s" not in alice.get(f"/runs/{run.pk}/live").text


def test_it_goes_on_polling_while_the_twin_works(alice: Client, cast: Cast) -> None:
    run = make_run(cast, source=make_source(cast), twin=True)
    set_state(run, State.SUCCEEDED)
    assert "every 2s" in alice.get(f"/runs/{run.pk}/live").text


def test_a_failed_run_says_why_what_was_kept_and_what_to_do(alice: Client, cast: Cast) -> None:
    run = make_run(
        cast,
        state=State.FAILED,
        job={
            "error_code": "nan_loss",
            "error_field": "training.learning_rate",
            "error_params": {"value": "NaN", "step": 64, "kept_step": 50},
        },
    )
    event(run, 1, "checkpoint", 50)
    text = alice.get(f"/runs/{run.pk}").text
    assert "The loss became NaN at step 64." in text
    assert "the complete state of step 50" in text
    assert f"/runs/new?like={run.pk}#training-learning_rate" in text
    assert "Go on from step 50" in text


def test_a_waiting_run_says_for_what(alice: Client, cast: Cast) -> None:
    version = make_version(cast, name="Moby", state=State.QUEUED)
    run = make_run(cast, version=version, source=make_run(cast, name="The first"))
    text = alice.get(f"/runs/{run.pk}").text
    assert "Waits for" in text
    assert "The first" in text
    assert "Moby" in text


def test_a_queued_run_says_how_many_are_before_it(alice: Client, cast: Cast) -> None:
    first, second = make_run(cast), make_run(cast)
    for run in (first, second):
        set_state(run, State.QUEUED, queued_at=timezone.now())
    assert "Next in its queue" in alice.get(f"/runs/{first.pk}").text
    assert "1 before it in the queue." in alice.get(f"/runs/{second.pk}").text


def test_samples_and_log_stand_there_after_a_refresh(alice: Client, cast: Cast) -> None:
    run = make_run(cast)
    event(run, 1, "started", host="studio")
    event(run, 2, "sample", 0, prompt="Once", text=" <b>upon</b>")
    event(run, 3, "log", level="warning", text="Short text")
    text = alice.get(f"/runs/{run.pk}").text
    assert "Started on studio." in text
    assert "&lt;b&gt;upon" in text
    assert "Short text" in text


def test_of_a_long_log_the_end_is_shown(alice: Client, cast: Cast) -> None:
    run = make_run(cast)
    JobEvent.objects.bulk_create(
        JobEvent(job=run.job, seq=n, at=timezone.now(), kind="log", data={"text": f"line {n}."})
        for n in range(1, 521)
    )
    text = alice.get(f"/runs/{run.pk}").text
    assert "line 520." in text
    assert "line 21." in text
    assert "line 20." not in text


def test_polling_brings_only_what_is_new(alice: Client, cast: Cast) -> None:
    run = make_run(cast, state=State.RUNNING)
    event(run, 1, "sample", 0, prompt="P", text="old text")
    event(run, 2, "sample", 5, prompt="P", text="new text")
    event(run, 3, "log", level="info", text="new line")
    text = alice.get(f"/runs/{run.pk}/live", {"seq": 1}).text
    assert "new text" in text
    assert "new line" in text
    assert "old text" not in text
    assert "?seq=3" in text


def test_viewers_see_everything_and_no_buttons(client: Client, cast: Cast) -> None:
    run = make_run(cast, state=State.RUNNING)
    client.force_login(cast.vera)
    text = client.get(f"/runs/{run.pk}").text
    assert "A run" in text
    for part in ("do-pause", "do-cancel", "Run again", f"/runs/{run.pk}/edit"):
        assert part not in text


def test_the_outcome_comes_by_polling_once_both_have_ended(alice: Client, cast: Cast) -> None:
    run = make_run(cast, source=make_source(cast), twin=True)
    make_curve(run, {0: 6.0, 10: 5.0})
    make_curve(run.twin, {0: 8.0, 10: 5.5})
    set_state(run, State.SUCCEEDED)
    set_state(run.twin, State.SUCCEEDED)
    comparison_update(run.twin)
    text = alice.get(f"/runs/{run.pk}/live", {"outcome": "running-queued-"}).text
    for part in ("outcome", "run-actions", "where"):
        assert f'id="{part}" hx-swap-oob="true"' in text
    assert "The transfer helped" in text
    again = alice.get(f"/runs/{run.pk}/live", {"outcome": "succeeded-succeeded-compared"}).text
    assert "The transfer helped" not in again


def test_the_page_takes_a_fixed_number_of_queries(
    alice: Client, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    run = make_run(cast, source=make_source(cast), twin=True, tags=["a"])
    set_state(run, State.RUNNING)
    for seq in range(1, 60):
        event(run, seq, "sample" if seq % 2 else "log", seq, prompt="P", text="t")
    alice.get(f"/runs/{run.pk}")
    with django_assert_max_num_queries(22):
        alice.get(f"/runs/{run.pk}")
    with django_assert_max_num_queries(16):
        alice.get(f"/runs/{run.pk}/live")


def test_the_spec_can_be_downloaded_as_yaml(alice: Client, cast: Cast) -> None:
    run = make_run(cast, spec={"seed": 99})
    response = alice.get(f"/runs/{run.pk}/spec.yaml")
    assert "seed: 99" in response.text
    assert response["Content-Disposition"].startswith("attachment")


def test_a_run_that_failed_with_its_source_says_what_to_try_again_first(
    alice: Client, cast: Cast
) -> None:
    first = make_run(cast, name="The first")
    run = make_run(cast, source=first)
    set_state(first, State.FAILED)
    set_state(run, State.FAILED, error_code="predecessor_failed")
    text = alice.get(f"/runs/{run.pk}").text
    assert "Try that again first" in text
    assert "do-retry" not in text
    assert "do-retry" in alice.get(f"/runs/{first.pk}").text


def test_lineage_leads_from_the_run_to_its_relatives(alice: Client, cast: Cast) -> None:
    root = make_source(cast, name="Root")
    source = make_source(cast, name="Source")
    source.parents.add(root)
    run = make_run(cast, source=source, name="At work")
    page = alice.get(f"/runs/{run.pk}").content.decode()
    for checkpoint in (root, source):
        assert f'href="/checkpoints/{checkpoint.pk}" title="{checkpoint.name}"' in page
    here = page.split('aria-current="true"><b>')[1]
    assert here.startswith("At work")
    # Once it has made a checkpoint, the graph is about that one, and leads to it.
    made = make_source(cast, name="Made")
    made.parents.add(source)
    Run.objects.filter(pk=run.pk).update(checkpoint=made)
    page = alice.get(f"/runs/{run.pk}").content.decode()
    assert f'lineage-here origin-trained" href="/checkpoints/{made.pk}"' in page
    assert f'href="/checkpoints/{root.pk}" title="Root"' in page


def test_lineage_shows_the_run_itself_before_newer_ones(alice: Client, cast: Cast) -> None:
    source = make_source(cast, name="Source")
    run = make_run(cast, source=source, name="The oldest")
    for number in range(4):
        make_run(cast, source=source, name=f"Newer {number}")
    page = alice.get(f"/runs/{run.pk}").content.decode()
    assert 'aria-current="true"><b>The oldest' in page


def test_a_run_from_scratch_without_a_checkpoint_has_no_graph(alice: Client, cast: Cast) -> None:
    page = alice.get(f"/runs/{make_run(cast).pk}").content.decode()
    assert "lineage-node" not in page
