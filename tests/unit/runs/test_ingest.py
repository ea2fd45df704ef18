"""Events of a training job become points and last values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories import Cast
from tests.factories.runs import make_run
from webapp.runs.jobs import ingest, tier
from webapp.runs.models import Point, Run


def metric(step: int, **values: float | None) -> dict[str, Any]:
    return {"kind": "metric", "seq": step + 2, "step": step, "values": values}


def resumed(step: int) -> dict[str, Any]:
    return {"kind": "resumed", "seq": 1, "step": step}


def points(run: Run) -> list[tuple[str, int, float | None]]:
    rows = Point.objects.filter(run=run).order_by("name", "step")
    return list(rows.values_list("name", "step", "value"))


def last_values(run: Run) -> tuple[float | None, ...]:
    run.refresh_from_db()
    return run.loss, run.validation_loss, run.best_validation_loss, run.best_step


EVENTS = [
    metric(0, validation_loss=9.0),
    metric(1, loss=8.5, learning_rate=0.1),
    metric(2, loss=8.0, learning_rate=0.2),
    metric(2, validation_loss=8.1),
    metric(3, loss=7.5, learning_rate=0.3),
    metric(4, loss=7.0, learning_rate=0.4),
    metric(4, validation_loss=8.4),
]


def test_points_and_last_values_are_stored(cast: Cast) -> None:
    run = make_run(cast)
    ingest(run.job, EVENTS)
    assert ("loss", 3, 7.5) in points(run)
    assert len(points(run)) == 11
    assert last_values(run) == (7.0, 8.4, 8.1, 2)


def test_the_same_batch_twice_changes_nothing(cast: Cast) -> None:
    run = make_run(cast)
    ingest(run.job, EVENTS)
    before = points(run), last_values(run)
    ingest(run.job, EVENTS)
    assert (points(run), last_values(run)) == before


def test_a_resume_voids_what_came_after_its_step(cast: Cast) -> None:
    run = make_run(cast)
    ingest(run.job, EVENTS)
    ingest(run.job, [resumed(1)])
    assert {step for _name, step, _value in points(run)} == {0, 1}
    assert last_values(run) == (8.5, 9.0, 9.0, 0)


def test_a_resume_within_a_batch_voids_only_what_came_before_it(cast: Cast) -> None:
    run = make_run(cast)
    ingest(run.job, EVENTS[:3])
    ingest(run.job, [*EVENTS[3:], resumed(2), metric(3, loss=7.4), metric(4, validation_loss=7.9)])
    assert ("loss", 3, 7.4) in points(run)
    assert ("loss", 4, 7.0) not in points(run)
    assert last_values(run) == (7.4, 7.9, 7.9, 4)


def test_two_resumes_in_a_batch_cut_to_the_earlier(cast: Cast) -> None:
    run = make_run(cast)
    ingest(run.job, EVENTS)
    ingest(run.job, [resumed(1), metric(2, loss=1.0), resumed(3), metric(4, loss=2.0)])
    assert [step for name, step, _v in points(run) if name == "loss"] == [1, 2, 4]


def test_a_log_read_anew_voids_everything(cast: Cast) -> None:
    run = make_run(cast)
    ingest(run.job, EVENTS)
    ingest(run.job, [resumed(-1), metric(0, validation_loss=9.5)])
    assert points(run) == [("validation_loss", 0, 9.5)]
    assert last_values(run) == (None, 9.5, 9.5, 0)


def test_what_is_not_finite_is_kept_as_nothing_and_is_never_the_best(cast: Cast) -> None:
    run = make_run(cast)
    ingest(run.job, [metric(0, validation_loss=9.0), metric(1, validation_loss=None)])
    assert points(run)[-1] == ("validation_loss", 1, None)
    assert last_values(run) == (None, None, 9.0, 0)


def test_other_events_ask_the_database_nothing(cast: Cast, django_assert_num_queries: Any) -> None:
    run = make_run(cast)
    with django_assert_num_queries(0):
        ingest(run.job, [{"kind": "log", "seq": 1, "text": "hello"}])


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 9), (1, 0), (4, 1), (6, 0), (16, 2), (48, 2), (64, 3), (4**12, 9)]
)
def test_the_tier_is_how_often_four_divides_the_step(step: int, expected: int) -> None:
    assert tier(step) == expected
