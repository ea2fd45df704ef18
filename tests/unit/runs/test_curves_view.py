"""The curves as JSON and CSV, thinned by tiers."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.runs import make_curve, make_run
from webapp.runs.curves import MOST_POINTS, tier_for
from webapp.runs.models import Point, Run


def get(client: Client, run: Run, **query: Any) -> dict[str, Any]:
    return client.get(f"/runs/{run.pk}/curves", query).json()


def test_it_gives_both_losses(alice: Client, cast: Cast) -> None:
    run = make_run(cast)
    make_curve(run, {1: 8.0, 2: 7.0}, "loss")
    make_curve(run, {0: 9.0, 2: None})
    answer = get(alice, run)
    assert answer["series"] == {
        "loss": {"steps": [1, 2], "values": [8.0, 7.0]},
        "validation_loss": {"steps": [0, 2], "values": [9.0, None]},
    }
    assert answer["live"] is True
    assert answer["total_steps"] == 400


def test_it_gives_what_came_since(alice: Client, cast: Cast) -> None:
    run = make_run(cast)
    make_curve(run, {1: 8.0, 2: 7.0, 3: 6.0}, "loss")
    assert get(alice, run, since=2)["series"]["loss"]["steps"] == [3]


def test_it_gives_the_metrics_asked_for_and_no_invented_ones(alice: Client, cast: Cast) -> None:
    run = make_run(cast)
    make_curve(run, {1: 0.1}, "learning_rate")
    answer = get(alice, run, names="learning_rate,password")
    assert list(answer["series"]) == ["learning_rate"]


def test_a_long_run_sends_a_thinned_curve_and_its_newest_point(
    alice: Client, cast: Cast, django_assert_num_queries: Any
) -> None:
    spec = {"training": {"steps": 100_000}}
    run = make_run(cast, spec=spec)
    Point.objects.bulk_create(
        Point(run=run, name="loss", step=step, tier=3 if step % 64 == 0 else 0, value=1.0)
        for step in range(1, 1000)
    )
    steps = get(alice, run)["series"]["loss"]["steps"]
    assert steps == [*range(64, 1000, 64), 999]


@pytest.mark.parametrize("steps", [1, 400, 2000, 2001, 30_000, 10_000_000])
@pytest.mark.parametrize("every", [1, 25, 64])
def test_no_tier_has_too_many_points(steps: int, every: int) -> None:
    spec = {"training": {"steps": steps}, "evaluation": {"every": every}}
    for name, interval in (("loss", 1), ("validation_loss", every)):
        power = 4 ** tier_for(spec, name)
        points = sum(1 for step in range(0, steps + 1, interval) if step % power == 0)
        assert points <= MOST_POINTS + 1


def test_csv_has_a_column_for_each_metric(alice: Client, cast: Cast) -> None:
    run = make_run(cast)
    make_curve(run, {1: 8.0, 2: 7.0}, "loss")
    make_curve(run, {2: 6.5})
    response = alice.get(f"/runs/{run.pk}/curves", {"format": "csv"})
    assert response.text.splitlines() == ["step,loss,validation_loss", "1,8.0,", "2,7.0,6.5"]
