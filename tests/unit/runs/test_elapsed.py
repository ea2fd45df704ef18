"""How long a run has been at work, over all its attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.factories import Cast
from tests.factories.runs import make_run, set_state
from webapp.jobs.models import JobEvent, State
from webapp.runs.models import Run
from webapp.runs.selectors import elapsed_s

BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def tell(run: Run, *events: tuple[str, int, dict[str, Any]]) -> None:
    """Events of the run's job: kind, seconds after it began, data."""
    for seq, (kind, after_s, data) in enumerate(events, 1):
        at = BEGAN + timedelta(seconds=after_s)
        JobEvent.objects.create(job=run.job, seq=seq, at=at, kind=kind, data=data)


FIRST = (
    ("started", 0, {"pid": 7}),
    ("started", 9, {"pid": 7, "devices": ["CPU"], "total_steps": 400}),
    ("checkpoint", 40, {"step": 50}),
    ("stopped", 60, {"step": 70}),
)


@pytest.mark.parametrize("state", [State.PAUSED, State.QUEUED, State.CANCELLED])
def test_the_clock_stands_still_while_nothing_is_at_work(cast: Cast, state: State) -> None:
    run = make_run(cast)
    tell(run, *FIRST)
    set_state(run, state, started_at=BEGAN)
    assert elapsed_s(run.job, BEGAN + timedelta(hours=5)) == 60


def test_attempts_add_up_without_the_pause_between_them(cast: Cast) -> None:
    run = make_run(cast)
    tell(run, *FIRST, ("started", 3600, {"pid": 8}), ("resumed", 3610, {"step": 70}))
    set_state(run, State.RUNNING, started_at=BEGAN + timedelta(hours=1))
    assert elapsed_s(run.job, BEGAN + timedelta(seconds=3630)) == 60 + 30


def test_the_clock_stands_still_until_a_new_attempt_s_process_speaks(cast: Cast) -> None:
    run = make_run(cast)
    tell(run, *FIRST)
    set_state(run, State.RUNNING, started_at=BEGAN + timedelta(hours=1))
    assert elapsed_s(run.job, BEGAN + timedelta(hours=1, seconds=5)) == 60


def test_attempts_of_the_same_process_number_are_two(cast: Cast) -> None:
    run = make_run(cast)
    tell(run, *FIRST, ("started", 3600, {"pid": 7}), ("resumed", 3610, {"step": 70}))
    set_state(run, State.RUNNING, started_at=BEGAN + timedelta(hours=1))
    assert elapsed_s(run.job, BEGAN + timedelta(seconds=3630)) == 60 + 30


def test_in_the_end_it_is_what_training_took(cast: Cast) -> None:
    run = make_run(cast)
    tell(run, *FIRST)
    set_state(run, State.SUCCEEDED, report={"duration_s": 51.5})
    assert elapsed_s(run.job) == 51.5


def test_before_its_process_speaks_nothing_is_known(cast: Cast) -> None:
    run = make_run(cast)
    set_state(run, State.RUNNING, started_at=BEGAN)
    assert elapsed_s(run.job) is None
