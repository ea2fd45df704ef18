"""Which tensor comes from where."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.backbones.gpt2.config import GPT2Config
from training.errors import TrainingError
from training.weights.plan import REASONS, Plan, Row, block_by_name, blocks_of, make_plan

SMALL = GPT2Config(vocab_size=300, n_positions=16, n_embd=32, n_layer=3, n_head=4)


def shapes_of(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    return {spec.name: spec.shape for spec in config.tensors()}


def plan(target: GPT2Config, source: GPT2Config = SMALL, **options: object) -> Plan:
    return make_plan(target, source, shapes_of(source), **options)  # type: ignore[arg-type]


def changed(**values: object) -> GPT2Config:
    return SMALL.model_copy(update=values)


def rows(made: Plan) -> dict[str, Row]:
    return {row.target: row for row in made.rows}


def test_the_same_shape_is_copied_whole_and_by_name() -> None:
    made = plan(SMALL)
    assert all(row.action == "copy" and row.source == row.target for row in made.rows)
    assert made.share == 1
    assert not made.left_behind
    assert not made.notes
    assert made.counts() == {
        "copied": 40,
        "initialised": 0,
        "left_behind": 0,
        "parameters_copied": SMALL.parameter_count(),
        "parameters_total": SMALL.parameter_count(),
    }


@pytest.mark.parametrize(("positions", "copied"), [(24, 16), (8, 8)])
def test_the_common_positions_are_copied(positions: int, copied: int) -> None:
    row = rows(plan(changed(n_positions=positions)))["transformer.wpe.weight"]
    assert (row.action, row.rows, row.copied) == ("copy_rows", copied, copied * 32)
    assert row.reason.code == "positions"
    assert f"the first {copied} are copied" in row.reason.sentence


def test_a_larger_vocabulary_of_the_same_tokenizer_keeps_the_common_rows() -> None:
    row = rows(plan(changed(vocab_size=320)))["transformer.wte.weight"]
    assert (row.action, row.rows, row.reason.code) == ("copy_rows", 300, "vocabulary")


def test_with_another_tokenizer_embeddings_start_afresh_even_at_the_same_size() -> None:
    untied = changed(tie_word_embeddings=False)
    made = rows(make_plan(untied, untied, shapes_of(untied), same_tokenizer=False))
    for name in ("transformer.wte.weight", "lm_head.weight"):
        assert (made[name].action, made[name].reason.code) == ("initialise", "tokenizer_differs")
    assert made["transformer.wpe.weight"].action == "copy"


def test_layers_beyond_the_source_are_new() -> None:
    made = plan(changed(n_layer=5))
    new = [row for row in made.rows if row.block in ("layer.3", "layer.4")]
    assert {(row.action, row.reason.code) for row in new} == {("initialise", "layer_added")}
    assert {block.block: block.copied > 0 for block in made.coverage()} == {
        "embeddings": True,
        "layer.0": True,
        "layer.1": True,
        "layer.2": True,
        "layer.3": False,
        "layer.4": False,
        "final_norm": True,
    }


def test_layers_beyond_the_target_stay_behind() -> None:
    made = plan(changed(n_layer=1))
    assert {item.block for item in made.left_behind} == {"layer.1", "layer.2"}
    assert {item.reason.code for item in made.left_behind} == {"layer_dropped"}
    assert len(made.left_behind) == 24


def test_left_behind_is_in_the_order_people_count() -> None:
    deep = changed(n_layer=12)
    blocks = [item.block for item in plan(SMALL, deep).left_behind]
    assert list(dict.fromkeys(blocks)) == [f"layer.{layer}" for layer in range(3, 12)]


def test_another_width_copies_nothing_and_says_so() -> None:
    made = plan(changed(n_embd=64))
    assert made.parameters_copied == 0
    assert {row.reason.code for row in made.rows} == {"width_differs"}
    assert [note.code for note in made.notes] == ["nothing_copied"]
    assert {item.reason.code for item in made.left_behind} == {"not_used"}


def test_another_inner_width_loses_only_the_feed_forward_layers() -> None:
    made = rows(plan(changed(n_inner=96)))
    assert made["transformer.h.0.mlp.c_fc.weight"].reason.code == "inner_width_differs"
    assert made["transformer.h.0.mlp.c_fc.bias"].action == "initialise"
    assert made["transformer.h.0.mlp.c_proj.weight"].action == "initialise"
    assert made["transformer.h.0.mlp.c_proj.bias"].action == "copy"
    assert made["transformer.h.0.attn.c_attn.weight"].action == "copy"


def test_an_untied_head_starts_from_a_tied_source_s_embedding() -> None:
    row = rows(plan(changed(tie_word_embeddings=False)))["lm_head.weight"]
    assert (row.action, row.source, row.reason.code) == (
        "copy",
        "transformer.wte.weight",
        "head_from_embedding",
    )


def test_a_tied_target_leaves_an_untied_source_s_head_behind() -> None:
    made = plan(SMALL, changed(tie_word_embeddings=False))
    assert [(item.source, item.reason.code) for item in made.left_behind] == [
        ("lm_head.weight", "head_tied")
    ]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("transformer.h.1.mlp.c_fc.weight", 1),
        ("h.1.*", 12),
        ("*.mlp.*", 12),
        ("transformer.wte.weight", 1),
    ],
)
def test_what_is_asked_for_starts_afresh(pattern: str, count: int) -> None:
    made = plan(SMALL, reinitialise=[pattern])
    afresh = [row for row in made.rows if row.action == "initialise"]
    assert len(afresh) == count
    assert {row.reason.code for row in afresh} == {"asked"}
    assert len(made.left_behind) == count


@pytest.mark.parametrize("pattern", ["h.3.*", "decoder.*", "", "TRANSFORMER.*"])
def test_a_pattern_that_matches_nothing_is_refused_and_named(pattern: str) -> None:
    with pytest.raises(TrainingError) as caught:
        plan(SMALL, reinitialise=["h.0.*", pattern])
    assert caught.value.code == "pattern_matches_nothing"
    assert caught.value.field == "source.reinitialise"
    assert caught.value.params["pattern"] == pattern


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("n_head", 8, "heads_differ"),
        ("activation_function", "relu", "activation_differs"),
        ("layer_norm_epsilon", 1e-3, "setting_differs"),
        ("scale_attn_by_inverse_layer_idx", True, "setting_differs"),
    ],
)
def test_a_setting_that_makes_equal_weights_compute_something_else_is_noted(
    field: str, value: object, code: str
) -> None:
    made = plan(changed(**{field: value}))
    assert [note.code for note in made.notes] == [code]
    assert str(value) in made.notes[0].sentence


def test_tensors_are_grouped_by_block() -> None:
    blocks = blocks_of(changed(n_layer=12, tie_word_embeddings=False))
    assert blocks["transformer.h.11.ln_1.weight"] == "layer.11"
    assert blocks["transformer.ln_f.bias"] == "final_norm"
    assert blocks["transformer.wpe.weight"] == "embeddings"
    assert blocks["lm_head.weight"] == "head"


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("encoder.layer.3.output.bias", "encoder.layer.3"),
        ("features.denseblock1.conv.weight", "features"),
        ("weight", "weight"),
    ],
)
def test_tensors_of_unknown_models_are_grouped_by_name(name: str, block: str) -> None:
    assert block_by_name(name) == block


CONFIGS = st.builds(
    GPT2Config,
    vocab_size=st.sampled_from([256, 300]),
    n_positions=st.sampled_from([8, 16]),
    n_embd=st.sampled_from([16, 32]),
    n_layer=st.integers(1, 3),
    n_head=st.sampled_from([2, 4]),
    n_inner=st.sampled_from([None, 24]),
    tie_word_embeddings=st.booleans(),
)


@given(target=CONFIGS, source=CONFIGS, same=st.booleans())
def test_any_plan_covers_the_model_once_and_survives_json(
    target: GPT2Config, source: GPT2Config, same: bool
) -> None:
    made = plan(target, source, same_tokenizer=same)
    assert [row.target for row in made.rows] == [spec.name for spec in target.tensors()]
    for row in made.rows:
        assert 0 <= row.copied <= row.parameters
        assert (row.source is None) == (row.action == "initialise")
        if row.action == "copy":
            assert row.source_shape == row.shape
    used = {row.source for row in made.rows} - {None}
    assert used | {item.source for item in made.left_behind} == set(shapes_of(source))
    assert not used & {item.source for item in made.left_behind}
    reasons = [*made.rows, *made.left_behind]
    assert all(item.reason.sentence for item in reasons)
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_every_reason_can_be_said() -> None:
    assert all(sentence.endswith(".") for sentence in REASONS.values())
