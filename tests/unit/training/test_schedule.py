import math

import pytest
from pydantic import ValidationError

from training.engine.schedule import learning_rate
from training.methods.task_related.classification_spec import ClassificationTrainingSpec
from training.settings import problems
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


# --- cycles ---------------------------------------------------------------------------------------


def cyclic(**settings):
    defaults = {"steps": 10, "cycles": 3, "learning_rate": 0.1, "warmup_steps": 0}
    return ClassificationTrainingSpec(**(defaults | settings))


def test_a_cyclic_rate_is_the_paper_s():
    """α₀/2 (cos(π mod(t − 1, ⌈T/M⌉) / ⌈T/M⌉) + 1), written out for T = 10, M = 3."""
    found = [learning_rate(cyclic(), step) for step in range(1, 11)]
    cycle = [0.05 * (math.cos(math.pi * part / 4) + 1) for part in range(4)]
    assert found == pytest.approx([*cycle, *cycle, *cycle[:2]])
    assert found[0] == found[4] == found[8] == 0.1


@pytest.mark.parametrize(
    ("steps", "cycles", "ends"),
    [(10, 3, [4, 8, 10]), (12, 3, [4, 8, 12]), (9, 4, [3, 6, 9]), (5, 5, [1, 2, 3, 4, 5])],
)
def test_a_cycle_ends_where_the_next_begins_and_with_the_run(steps, cycles, ends):
    assert cyclic(steps=steps, cycles=cycles).cycle_ends == ends


def test_without_cycles_nothing_changes():
    assert cyclic(cycles=1).cycle_ends == []
    plain = ClassificationTrainingSpec(steps=10, learning_rate=0.1, warmup_steps=0)
    assert learning_rate(cyclic(cycles=1), 7) == learning_rate(plain, 7)


def test_the_warm_up_holds_the_first_cycle_back():
    rates = [learning_rate(cyclic(warmup_steps=2), step) for step in (1, 2, 5)]
    assert rates == pytest.approx([0.05, 0.05 * (math.cos(math.pi / 4) + 1), 0.1])


def test_more_cycles_than_steps_are_refused_at_their_field():
    with pytest.raises(ValidationError) as refused:
        cyclic(steps=2, cycles=3, warmup_steps=0)
    (problem,) = problems(refused.value)
    assert (problem.field, problem.params) == ("cycles", {"steps": 2})
