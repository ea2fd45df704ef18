import math

import pytest

from training.engine.schedule import learning_rate
from training.spec import TrainingSpec


def spec(**settings):
    defaults = {"steps": 100, "learning_rate": 0.01, "warmup_steps": 10, "final_learning_rate": 0.1}
    return TrainingSpec(**(defaults | settings))


def test_it_rises_linearly_from_the_first_step_to_the_peak():
    rates = [learning_rate(spec(), step) for step in range(1, 11)]
    assert rates == pytest.approx([0.001 * step for step in range(1, 11)])


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_it_ends_at_the_final_share_of_the_peak(schedule):
    assert learning_rate(spec(schedule=schedule), 100) == pytest.approx(0.001)


def test_cosine_is_halfway_down_in_the_middle():
    assert learning_rate(spec(), 55) == pytest.approx(0.01 * (0.1 + 0.9 * 0.5))
    assert learning_rate(spec(), 30) == pytest.approx(
        0.01 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 20 / 90)))
    )


def test_constant_stays_and_no_warm_up_starts_at_the_peak():
    assert learning_rate(spec(schedule="constant"), 100) == 0.01
    assert learning_rate(spec(warmup_steps=0, schedule="constant"), 1) == 0.01


def test_a_run_that_is_all_warm_up_has_a_rate_at_every_step():
    assert learning_rate(spec(steps=10), 10) == pytest.approx(0.01)
