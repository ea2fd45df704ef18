"""Which tensors are trained when, and how fast each learns."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.backbones.bert.config import BertConfig
from training.backbones.lora import factor_names, factor_specs, matrices_of_role
from training.backbones.resnet.config import ResNetConfig
from training.engine.phases import Phase, first_steps, one_phase, phase_at
from training.engine.policies import blocks_below_head, phases_of, rates_of

RESNET = ResNetConfig(depths=[1, 1], group_width=8, num_classes=3)
BERT = BertConfig(
    vocab_size=30,
    max_position_embeddings=16,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    head="classification",
    labels=["no", "yes"],
)

#: The head, then three blocks from the top down.
BLOCKS = [["head"], ["top.a", "top.b"], ["middle"], ["bottom"]]
WHOLE = ("head", "top.a", "top.b", "middle", "bottom")


def prefixes(names: list[str]) -> set[str]:
    """What stands before the second point of each name."""
    return {".".join(name.split(".")[:2]) for name in names}


# --- blocks ---------------------------------------------------------------------------------------


def test_blocks_of_an_image_network_go_from_the_head_down_to_the_stem() -> None:
    head, top, bottom, stem = blocks_below_head(RESNET, ())
    assert head == ["fc.weight", "fc.bias"]
    assert prefixes(top) == {"layer2.0"}
    assert prefixes(bottom) == {"layer1.0"}
    assert stem == ["conv1.weight", "bn1.weight", "bn1.bias"]


def test_blocks_of_an_encoder_go_from_the_head_down_to_the_embeddings() -> None:
    head, pooler, *layers, embeddings = blocks_below_head(BERT, ())
    assert head == ["classifier.weight", "classifier.bias"]
    assert pooler == ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    assert [{name.split(".")[3] for name in layer} for layer in layers] == [{"1"}, {"0"}]
    assert prefixes(embeddings) == {"bert.embeddings"}


@pytest.mark.parametrize("config", [RESNET, BERT], ids=["resnet", "bert"])
def test_every_tensor_is_in_one_block_but_for_the_running_statistics(
    config: ResNetConfig | BertConfig,
) -> None:
    found = [name for block in blocks_below_head(config, ()) for name in block]
    assert sorted(found) == sorted(spec.name for spec in config.tensors() if spec.trained)
    assert not [name for name in found if "running" in name]


def test_what_is_new_learns_with_the_head_wherever_it_stands() -> None:
    new = {"conv1.weight", "layer2.0.bn1.weight", "layer2.0.bn1.running_mean"}
    head, top, _bottom, stem = blocks_below_head(RESNET, new)
    assert head == ["conv1.weight", "layer2.0.bn1.weight", "fc.weight", "fc.bias"]
    assert "layer2.0.bn1.weight" not in top
    assert "layer2.0.bn1.bias" in top
    assert stem == ["bn1.weight", "bn1.bias"]


def test_a_block_that_is_new_altogether_is_none_below_the_head() -> None:
    pooler = ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    blocks = blocks_below_head(BERT, pooler)
    assert blocks[0] == [*pooler, "classifier.weight", "classifier.bias"]
    assert len(blocks) == len(blocks_below_head(BERT, ())) - 1
    assert all(blocks)


# --- phases ---------------------------------------------------------------------------------------


def phases(policy: Any, steps: int, share: float = 0.3, stages: int = 3) -> tuple[Phase, ...]:
    return phases_of(policy, BLOCKS, steps=steps, share=share, stages=stages)


def test_full_trains_everything_from_the_first_step() -> None:
    assert phases("full", 10) == (Phase(1, WHOLE, whole=True),)


def test_head_leaves_the_backbone_as_it_is_to_the_end() -> None:
    assert phases("head", 10) == (Phase(1, ("head",), whole=False),)


def test_lp_ft_trains_the_head_first_and_then_everything() -> None:
    assert phases("lp_ft", 10) == (
        Phase(1, ("head",), whole=False),
        Phase(4, WHOLE, whole=True),
    )


def test_gradual_unfreezes_from_the_top_down_in_stages_of_equal_length() -> None:
    assert phases("gradual", 12, share=0.5) == (
        Phase(1, WHOLE[:1], whole=False),
        Phase(3, WHOLE[:3], whole=False),
        Phase(5, WHOLE[:4], whole=False),
        Phase(7, WHOLE, whole=True),
    )


def test_fewer_stages_than_blocks_unfreeze_several_at_a_time() -> None:
    found = phases("gradual", 100, share=0.4, stages=2)
    assert [(phase.first, len(phase.names)) for phase in found] == [(1, 1), (21, 3), (41, 5)]


def test_stages_that_would_add_nothing_are_no_phases() -> None:
    found = phases("gradual", 100, share=0.6, stages=6)
    assert [(phase.first, len(phase.names)) for phase in found] == [
        (1, 1),
        (21, 3),
        (41, 4),
        (61, 5),
    ]


def test_of_phases_that_coincide_the_one_that_trains_more_stays() -> None:
    assert phases("gradual", 2, share=0.5) == (
        Phase(1, WHOLE[:3], whole=False),
        Phase(2, WHOLE, whole=True),
    )
    assert phases("lp_ft", 1, share=0.3) == (Phase(1, WHOLE, whole=True),)


@pytest.mark.parametrize("policy", ["gradual", "lp_ft"])
@given(steps=st.integers(1, 40), share=st.floats(0, 1, exclude_max=True), stages=st.integers(1, 32))
def test_a_run_of_any_length_ends_with_everything_trained(
    policy: str, steps: int, share: float, stages: int
) -> None:
    found = phases(policy, steps, share, stages)
    assert found[0].first == 1
    assert found[-1].first <= steps
    assert found[-1] == Phase(found[-1].first, WHOLE, whole=True)
    for one, following in pairwise(found):
        assert one.first < following.first
        assert set(one.names) < set(following.names)
        assert not one.whole


@pytest.mark.parametrize("policy", ["gradual", "lp_ft"])
def test_without_a_share_for_it_nothing_is_ever_frozen(policy: str) -> None:
    assert phases(policy, 20, share=0) == phases("full", 20)


def test_a_step_belongs_to_the_last_phase_that_has_begun() -> None:
    found = phases("lp_ft", 10)
    assert [phase_at(found, step).first for step in (1, 2, 3, 4, 5, 10)] == [1, 1, 1, 4, 4, 4]


def test_a_tensor_is_trained_first_where_a_phase_first_has_it() -> None:
    assert first_steps(phases("gradual", 12, share=0.5)) == {
        "head": 1,
        "top.a": 3,
        "top.b": 3,
        "middle": 5,
        "bottom": 7,
    }
    assert first_steps(phases("head", 12)) == {"head": 1}


def test_one_phase_is_the_whole_run() -> None:
    assert one_phase(iter(["a", "b"])) == (Phase(1, ("a", "b"), whole=True),)


# --- rates ----------------------------------------------------------------------------------------


def test_each_block_learns_slower_than_the_one_above_it() -> None:
    assert rates_of(BLOCKS, decay=0.5, head_rate=10) == {
        "head": 10,
        "top.a": 0.5,
        "top.b": 0.5,
        "middle": 0.25,
        "bottom": 0.125,
    }


def test_without_a_decay_all_learn_alike() -> None:
    assert set(rates_of(BLOCKS, decay=1, head_rate=1).values()) == {1}


def test_lora_s_factors_take_the_place_of_their_blocks() -> None:
    matrices = matrices_of_role(BERT, ["attention.query"])
    factors = factor_specs(matrices, 2)
    head, *blocks = blocks_below_head(BERT, (), factors)
    assert head == blocks_below_head(BERT, ())[0]
    assert blocks == [list(factor_names(matrix.name)) for matrix in reversed(matrices)]


def test_what_a_copy_asked_to_leave_alone_is_never_trained_unless_it_is_new() -> None:
    every = [name for block in blocks_below_head(RESNET, ()) for name in block]
    still = {name for name in every if name.startswith("conv1.")} | {"bn1.weight"}
    found = [
        name for block in blocks_below_head(RESNET, ["bn1.weight"], (), still) for name in block
    ]
    assert set(every) - set(found) == still - {"bn1.weight"}
