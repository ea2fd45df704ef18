"""A Wide & Deep run's spec: crosses as people write them, what is refused, its twin, its size."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from training.backbones.wide_deep.config import WideDeepConfig
from training.methods.task_related.table_spec import embedding_width
from training.methods.task_related.wide_deep import METHOD
from training.methods.task_related.wide_deep_spec import (
    WideDeepNetworkSpec,
    WideDeepSpec,
    config_of_sizes,
    scratch_twin,
)
from training.settings import problems

CONFIG = WideDeepConfig(
    numbers=[6], pieces=[4], categories=[5, 7], crosses=[9], embeddings=[2, 3], hidden=[8, 4]
)


def spec(**values: Any) -> WideDeepSpec:
    return WideDeepSpec.model_validate({"data": {"path": "d"}, **values})


@pytest.mark.parametrize(
    "typed", ["job × town", "job×town", "job, town", "job，town", ["job", "town"]]
)
def test_a_cross_is_read_as_people_write_it(typed: Any) -> None:
    assert spec(features={"crosses": [typed]}).features.crosses == [["job", "town"]]


def test_names_with_commas_stay_whole_between_crosses() -> None:
    found = spec(features={"crosses": ["pay, net × town"]}).features.crosses
    assert found == [["pay, net", "town"]]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"features": {"crosses": ["a × b", "a"]}}, "features.crosses.1"),
        ({"features": {"crosses": ["a × a"]}}, "features.crosses.0"),
        ({"features": {"crosses": ["a × b × c × d × e"]}}, "features.crosses.0"),
        ({"features": {"crosses": ["a × b"]}, "network": {"parts": "deep"}}, "features.crosses"),
        ({"source": {"checkpoint": "c"}, "network": {"hidden": [8]}}, "source"),
        ({"source": {"checkpoint": "c"}, "features": {"crosses": ["a × b"]}}, "source"),
        ({"network": {"hidden": []}}, "network.hidden"),
        ({"network": {"parts": "tall"}}, "network.parts"),
        ({"training": {"l1": -1}}, "training.l1"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**values)
    assert [one.field for one in problems(caught.value)] == [field]


def test_a_twin_is_shown_what_its_transfer_is_and_begins_with_random_weights() -> None:
    transfer = spec(source={"checkpoint": "c"}, training={"steps": 30}, seed=4)
    twin = scratch_twin(transfer, CONFIG)
    assert twin.source is None
    assert twin.features.checkpoint == "c"
    assert (twin.training, twin.seed, twin.data) == (transfer.training, 4, transfer.data)
    with pytest.raises(ValueError, match="only a transfer"):
        scratch_twin(twin, CONFIG)


@pytest.mark.parametrize(
    ("categories", "wanted", "width"), [(1, None, 2), (10, None, 6), (1000, None, 32), (10, 3, 3)]
)
def test_embeddings_are_as_wide_as_their_rule_says(
    categories: int, wanted: int | None, width: int
) -> None:
    assert embedding_width(categories, wanted) == width


@pytest.mark.parametrize("parts", ["both", "wide", "deep"])
def test_crosses_and_buckets_are_of_the_wide_part_alone(parts: Any) -> None:
    config = config_of_sizes(WideDeepNetworkSpec(parts=parts, hidden=[8]), [6], [4], [5, 7], [9], 3)
    names = {one.name: one.shape for one in config.tensors()}
    assert names["bias"] == (3,)
    wide = {name: shape for name, shape in names.items() if name.startswith("wide.")}
    deep = {name: shape for name, shape in names.items() if name.startswith("deep.")}
    assert bool(wide) == (parts != "deep")
    assert bool(deep) == (parts != "wide")
    if wide:
        assert wide["wide.cross.0.weight"] == (9, 3)
        assert wide["wide.number.0.weight"] == (6, 3)
    if deep:
        width = 2 + 4 + sum(config.embeddings)
        assert deep["deep.hidden.0.weight"] == (8, width)
        assert not any("cross" in name or "number" in name for name in deep)


def test_what_it_will_take_is_told_without_its_data() -> None:
    told = METHOD.estimate(spec(training={"steps": 20, "batch_size": 32}), CONFIG)
    count = CONFIG.parameter_count()
    assert told.parameters == told.trainable == count
    assert told.tokens == 640
    deep = sum(one.size for one in CONFIG.tensors() if one.name.startswith("deep."))
    # FTRL keeps two values of each weight, AdaGrad one.
    assert told.memory["optimizer"] == 4 * (2 * (count - deep) + deep)
