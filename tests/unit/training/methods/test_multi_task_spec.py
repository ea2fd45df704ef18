"""A multi-task run's spec: targets as people write them, what is refused, its twins, its size."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from training.backbones.multi_task.config import PRESETS, MultiTaskConfig
from training.backbones.wide_deep.config import WideDeepConfig
from training.data.table_tasks import task_key
from training.methods.task_related.multi_task import METHOD
from training.methods.task_related.multi_task_spec import (
    MultiTaskSpec,
    config_of_tasks,
    scratch_twin,
    single_task_twin,
)
from training.settings import problems

NANO = PRESETS["nano"]


def spec(**values: Any) -> MultiTaskSpec:
    return MultiTaskSpec.model_validate({"data": {"path": "d"}, **values})


@pytest.mark.parametrize(
    ("typed", "target", "weight", "written"),
    [
        ("pay", "pay", 1, "pay"),
        (" hours a week = 0.5", "hours a week", 0.5, "hours a week = 0.5"),
        ("pay=2", "pay", 2, "pay = 2"),
        ("a = b = 3", "a = b", 3, "a = b = 3"),
        ({"target": "a=b"}, "a=b", 1, "a=b = 1"),
    ],
)
def test_a_target_is_read_as_people_write_it_and_written_so_that_it_is_read_again(
    typed: Any, target: str, weight: float, written: str
) -> None:
    found = spec(tasks=[typed])
    assert (found.tasks[0].target, found.tasks[0].weight) == (target, weight)
    assert found.model_dump(mode="json")["tasks"] == [written]
    assert MultiTaskSpec.model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"tasks": ["pay", "pay = 2"]}, "tasks.1"),
        ({"tasks": ["pay = 0"]}, "tasks.0.weight"),
        ({"tasks": ["pay = much"]}, "tasks.0.weight"),
        ({"tasks": ["= 2"]}, "tasks.0.target"),
        ({"tasks": ["a", "b = 2"], "training": {"weighting": "uncertainty"}}, "tasks.1"),
        ({"training": {"weighting": "guessed"}}, "training.weighting"),
        ({"training": {"main_share": 1.5}}, "training.main_share"),
        ({"source": {"checkpoint": "c"}, "network": {"hidden": [8]}}, "source"),
        ({"features": {"checkpoint": "c", "pieces": 3}}, "source"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**values)
    assert [one.field for one in problems(caught.value)] == [field]


def test_a_scratch_twin_keeps_the_tasks_and_a_single_task_twin_all_else() -> None:
    transfer = spec(source={"checkpoint": "c"}, tasks=["a", "b = 2"], seed=4)
    twin = scratch_twin(transfer, NANO)
    assert (twin.source, twin.features.checkpoint) == (None, "c")
    assert (twin.tasks, twin.training, twin.seed) == (transfer.tasks, transfer.training, 4)
    with pytest.raises(ValueError, match="only a transfer"):
        scratch_twin(twin, NANO)

    several = spec(tasks=["a", "b"], training={"weighting": "uncertainty", "steps": 60}, seed=4)
    single = single_task_twin(several)
    assert single is not None
    assert single.only_main
    assert single.training.weighting == "fixed"
    assert (single.training.steps, single.seed, single.data) == (60, 4, several.data)
    assert (single.features, single.network) == (several.features, several.network)
    assert single_task_twin(single) is None
    assert single_task_twin(spec(tasks=["a"])) is None
    # Which targets there are is the table's to say.
    assert single_task_twin(spec()) is not None


def test_heads_are_called_by_their_targets() -> None:
    assert task_key("hours-per-week") == "hours-per-week"
    odd = [task_key(name) for name in ("hours per week", "hours,per,week", "收入", "a.b", "x" * 90)]
    assert len(set(odd)) == len(odd)
    names = [
        one.name for one in config_of_tasks(NANO, [(key, 2) for key in odd], learned=True).tensors()
    ]
    assert f"task.{odd[0]}.log_variance" in names


def test_a_trunk_has_the_names_and_shapes_that_wide_and_deep_has() -> None:
    wide_deep = WideDeepConfig(
        numbers=[6], pieces=[4], categories=[5, 7], embeddings=[2, 3], hidden=[8, 4]
    )
    ours = config_of_tasks(wide_deep, [("a", 2), ("b", 1)], learned=False)
    assert ours.trunk() == wide_deep.trunk()
    own = [one.name for one in ours.tensors() if one not in ours.trunk()]
    assert own == ["task.a.weight", "task.a.bias", "task.b.weight", "task.b.bias"]
    assert ours.heads_of(["b"]) == own[2:]
    assert ours.heads_of([]) == []


def test_a_configuration_says_outputs_for_each_task() -> None:
    with pytest.raises(ValidationError):
        MultiTaskConfig(tasks=["a", "b"], outputs=[2])
    with pytest.raises(ValidationError):
        MultiTaskConfig(tasks=["a.b"], outputs=[2])


def test_what_it_will_take_is_told_without_its_data() -> None:
    told = METHOD.estimate(spec(training={"steps": 60, "batch_size": 32}), NANO)
    assert told.parameters == NANO.parameter_count()
    assert told.tokens == 60 * 32
