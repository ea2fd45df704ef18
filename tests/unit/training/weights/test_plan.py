"""Which tensor comes from where."""

from __future__ import annotations

import json
import time
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.backbones.bert.config import BertConfig
from training.backbones.contract import BackboneConfig
from training.backbones.densenet.config import DenseNetConfig
from training.backbones.gpt2.config import GPT2Config
from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.backbones.opt.config import OPTConfig
from training.backbones.registry import BACKBONES
from training.backbones.resnet.config import ResNetConfig
from training.backbones.roberta.config import RobertaConfig
from training.errors import TrainingError
from training.weights.blocks import block_by_name, blocks_of
from training.weights.operators import Slice
from training.weights.plan import REASONS, Plan, Row
from training.weights.plan_settings import PlanSettings
from training.weights.planner import make_plan
from training.weights.rules import parse_rules

SMALL = GPT2Config(vocab_size=300, n_positions=16, n_embd=32, n_layer=3, n_head=4)


def shapes_of(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    return {spec.name: spec.shape for spec in config.tensors()}


def plan(target: GPT2Config, source: GPT2Config = SMALL, **options: Any) -> Plan:
    return make_plan(target, source, shapes_of(source), **options)


def changed(**values: object) -> GPT2Config:
    return SMALL.model_copy(update=values)


def rows(made: Plan) -> dict[str, Row]:
    return {row.target: row for row in made.rows}


def test_the_same_shape_is_copied_whole_and_by_name() -> None:
    made = plan(SMALL)
    assert all(row.action == "copy" and row.sources == [row.target] for row in made.rows)
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


@pytest.mark.parametrize(("positions", "copied", "action"), [(24, 16, "pad"), (8, 8, "slice")])
def test_the_common_positions_are_copied(positions: int, copied: int, action: str) -> None:
    row = rows(plan(changed(n_positions=positions)))["transformer.wpe.weight"]
    assert (row.action, row.parts[0].shape, row.copied) == (action, (copied, 32), copied * 32)
    assert row.reason.code == "positions"
    assert f"the first {copied} are copied" in row.reason.sentence


def test_a_larger_vocabulary_of_the_same_tokenizer_keeps_the_common_rows() -> None:
    row = rows(plan(changed(vocab_size=320)))["transformer.wte.weight"]
    assert (row.action, row.copied, row.reason.code) == ("pad", 300 * 32, "vocabulary")


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


def test_a_layer_whose_place_another_takes_is_said_to_be_passed_over() -> None:
    deep = changed(n_layer=4)
    made = plan(changed(n_layer=2), deep, settings=PlanSettings(layers="spread"))
    assert {(item.block, item.reason.code) for item in made.left_behind} == {
        ("layer.1", "layer_not_taken"),
        ("layer.3", "layer_dropped"),
    }
    made = plan(SMALL, settings=PlanSettings(rules=["layer.2 -> layer.1", "skip layer.2"]))
    assert {(item.block, item.reason.code) for item in made.left_behind} == {
        ("layer.1", "layer_not_taken")
    }
    made = plan(SMALL, settings=PlanSettings(rules=["h.0.ln_1.weight -> h.0.ln_2.weight"]))
    said = {item.source: item.reason.sentence for item in made.left_behind}
    assert said == {
        "transformer.h.0.ln_2.weight": "Its place in this model is taken by "
        "transformer.h.0.ln_1.weight."
    }


@pytest.mark.parametrize("more", [{}, {"n_inner": 96}])
def test_a_moved_layer_is_noted_whatever_else_is_said_of_it(more: dict[str, int]) -> None:
    deep = changed(n_layer=4, scale_attn_by_inverse_layer_idx=True)
    flat = deep.model_copy(update={"n_layer": 2, "n_embd": 16} | more)
    made = plan(flat, deep, settings=PlanSettings(layers="spread", width="cut"))
    assert "layers_moved" in {note.code for note in made.notes}
    same = deep.model_copy(update={"n_embd": 16})
    rules = ["h.{i}.mlp.* -> h.{i}.mlp.*"]
    made = plan(same, deep, settings=PlanSettings(rules=rules, width="cut"))
    assert "layers_moved" not in {note.code for note in made.notes}


def test_every_architecture_s_activation_is_called_by_its_name() -> None:
    other = BERT.model_copy(update={"hidden_act": "relu"})
    assert [note.code for note in between(other, BERT).notes] == ["activation_differs"]


def test_left_behind_is_in_the_order_people_count() -> None:
    deep = changed(n_layer=12)
    blocks = [item.block for item in plan(SMALL, deep).left_behind]
    assert list(dict.fromkeys(blocks)) == [f"layer.{layer}" for layer in range(3, 12)]


def test_another_width_copies_nothing_and_says_so() -> None:
    made = plan(changed(n_embd=64))
    assert made.parameters_copied == 0
    assert {row.reason.code for row in made.rows} == {"width_differs", "inner_width_differs"}
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
    assert (row.action, row.sources, row.reason.code) == (
        "copy",
        ["transformer.wte.weight"],
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
        ("features.denseblock1.conv.weight", "features.denseblock1.conv"),
        ("layer1.0.conv1.weight", "layer1.0"),
        ("conv1.weight", "conv1"),
        ("weight", "weight"),
    ],
)
def test_tensors_of_unknown_models_are_grouped_by_name(name: str, block: str) -> None:
    assert block_by_name(name) == block


# --- what does not simply fit ---------------------------------------------------------------------


def with_settings(target: GPT2Config, source: GPT2Config = SMALL, **values: object) -> Plan:
    return plan(target, source, settings=PlanSettings.model_validate(values))


def layers_of(made: Plan) -> dict[str, set[str]]:
    """Block of the new model → blocks of the source that something in it comes from."""
    blocks = {spec.name: spec.block for spec in changed(n_layer=12).tensors()}
    return {part.block: set(part.sources) for part in made.coverage(blocks)}


def test_every_other_layer_is_taken_when_they_are_spread() -> None:
    deep = changed(n_layer=8)
    found = layers_of(with_settings(changed(n_layer=4), deep, layers="spread"))
    assert [found[f"layer.{n}"] for n in range(4)] == [{f"layer.{2 * n}"} for n in range(4)]


@pytest.mark.parametrize(("ours", "theirs"), [(6, 3), (5, 3), (12, 5), (7, 4)])
def test_spread_over_more_layers_each_is_used_once_and_in_order(ours: int, theirs: int) -> None:
    made = with_settings(changed(n_layer=ours), changed(n_layer=theirs), layers="spread")
    used = [found for n in range(ours) for found in layers_of(made)[f"layer.{n}"]]
    assert used == [f"layer.{n}" for n in range(theirs)]
    assert not made.left_behind


def test_new_layers_that_pass_on_what_they_get_end_in_zeros() -> None:
    made = with_settings(changed(n_layer=5), new_layers="identity")
    new = [row for row in made.rows if row.block in ("layer.3", "layer.4")]
    zeros = {row.target.split(".", 3)[3] for row in new if row.fill == "zeros"}
    assert zeros == {
        "attn.c_proj.weight",
        "attn.c_proj.bias",
        "mlp.c_proj.weight",
        "mlp.c_proj.bias",
    }
    assert {row.action for row in new if row.fill == "zeros"} == {"grow"}
    assert not made.notes


@pytest.mark.parametrize(
    ("positions", "action", "code"),
    [("interpolate", "interpolate", "positions_stretched"), ("tile", "tile", "positions_repeated")],
)
def test_positions_are_stretched_or_repeated(positions: str, action: str, code: str) -> None:
    row = rows(with_settings(changed(n_positions=40), positions=positions))[
        "transformer.wpe.weight"
    ]
    assert (row.action, row.reason.code, row.whole) == (action, code, True)


def test_a_larger_width_keeps_what_both_have() -> None:
    made = rows(with_settings(changed(n_embd=64, n_head=8), width="cut"))
    qkv = made["transformer.h.0.attn.c_attn.weight"]
    assert [part.at for part in qkv.parts] == [(0, 0), (0, 64), (0, 128)]
    assert {part.shape for part in qkv.parts} == {(32, 32)}
    assert qkv.copied == 3 * 32 * 32
    assert made["transformer.h.0.mlp.c_fc.weight"].parts[0].shape == (32, 128)


def test_a_width_grows_only_by_a_whole_factor_with_its_heads() -> None:
    def codes(**values: object) -> set[str]:
        made = with_settings(changed(**values), width="grow")
        return {row.reason.code for row in made.rows if "attn" in row.target}

    assert codes(n_embd=64, n_head=8) == {"width_grown"}
    assert codes(n_embd=48, n_head=6) == {"width_no_multiple"}
    assert codes(n_embd=64, n_head=4) == {"width_no_multiple"}
    inner = rows(with_settings(changed(n_inner=150), width="grow"))
    assert inner["transformer.h.0.mlp.c_fc.weight"].reason.code == "width_grown"


def test_rows_go_by_token_where_the_tokenizers_differ() -> None:
    token_rows = [[4], [1, 2], [], *([[7]] * 297)]
    row = rows(plan(SMALL, same_tokenizer=False, token_rows=token_rows))["transformer.wte.weight"]
    assert row.action == "map_tokens"
    assert row.reason.params == {"same": 298, "parts": 1, "new": 1, "target": 300}
    assert row.copied == 299 * 32


# --- rules ----------------------------------------------------------------------------------------


def ruled(target: GPT2Config, *rules: str) -> Plan:
    return with_settings(target, rules=list(rules))


@pytest.mark.parametrize("rule", ["layer.{i} -> layer.{2i}", "h.{i} -> h.{2*i}"])
def test_a_rule_puts_layers_where_one_wants_them(rule: str) -> None:
    found = layers_of(ruled(changed(n_layer=6), rule))
    assert [found[f"layer.{n}"] for n in range(6)] == [
        {f"layer.{n // 2}"} if n % 2 == 0 else set() for n in range(6)
    ]


def test_a_rule_may_name_tensors_and_use_stars() -> None:
    made = rows(ruled(SMALL, "h.2.mlp.* -> h.0.mlp.*"))
    row = made["transformer.h.0.mlp.c_fc.weight"]
    assert row.sources == ["transformer.h.2.mlp.c_fc.weight"]
    assert row.reason.params == {"rule": "h.2.mlp.* -> h.0.mlp.*"}
    # What a rule speaks of is not also used where it would have gone by itself.
    assert made["transformer.h.2.mlp.c_fc.weight"].action == "initialise"
    assert made["transformer.h.0.attn.c_attn.weight"].sources == [
        "transformer.h.0.attn.c_attn.weight"
    ]


def test_skipped_tensors_start_afresh_and_frozen_ones_are_marked() -> None:
    made = ruled(SMALL, "skip layer.1", "freeze embeddings  # as in the paper", "")
    assert {row.block for row in made.rows if row.action == "initialise"} == {"layer.1"}
    assert made.frozen == ["transformer.wte.weight", "transformer.wpe.weight"]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (["layer.{i} => layer.{i"], "rule_unreadable"),
        (["layer.{i} -> layer.{j}"], "rule_unreadable"),
        (["layer.* -> layer.3"], "rule_unreadable"),
        (["skip h.{i}"], "rule_unreadable"),
        (["forget everything"], "rule_unreadable"),
        (["layer.{i} -> layer.{i//0}"], "rule_unreadable"),
        (["decoder.{i} -> layer.{i}"], "rule_matches_nothing"),
        (["layer.{i} -> layer.{i+7}"], "rule_matches_nothing"),
        (["freeze decoder"], "rule_matches_nothing"),
        (["layer.0 -> layer.1", "layer.2 -> layer.1"], "rule_two_sources"),
        (["h.0.ln_1 -> h.1.ln_1", "h.2.ln_1 -> h.1.ln_1"], "rule_two_sources"),
        (["layer.{i} -> layer.{" + "9" * 5000 + "i}"], "rule_unreadable"),
        (["layer.{i} -> layer.{i//9999999}"], "rule_unreadable"),
        (["skip " + "h" * 200], "rule_unreadable"),
        (["wte.weight -> wpe.weight"], "rule_does_not_fit"),
        (["h.0.attn.c_attn -> h.0.mlp.c_fc"], "rule_does_not_fit"),
        (["h.0.attn.c_attn.weight -> wte.weight"], "rule_does_not_fit"),
        (["h.0.attn.c_attn.bias -> h.0.ln_1.bias"], "rule_does_not_fit"),
        (["h.0.attn.c_attn -> h.0.attn.c_proj"], "rule_does_not_fit"),
        (["layer.{i} -> layer.{i}"] * 201, "rules_too_many"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_and_named(rules: list[str], code: str) -> None:
    with pytest.raises(TrainingError) as caught:
        ruled(SMALL, *rules)
    assert (caught.value.code, caught.value.field) == (code, "rules")
    assert str(caught.value).endswith((".", "…"))


@pytest.mark.parametrize(
    "left", ["*" * 60 + "z", "*a" * 60 + "z", "{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}z", "*.*.*.{i}*.z"]
)
@pytest.mark.parametrize("name", ["a" * 200, "a." * 100, "1" * 200, "1." * 100, "a.1" * 66 + "\n"])
def test_a_rule_that_does_not_match_says_so_at_once(left: str, name: str) -> None:
    (rule,) = parse_rules([f"skip {left}"] if "{" not in left else [f"{left} -> {left}"])
    start = time.process_time()
    assert not rule.matches(name)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("rule", "name", "target"),
    [
        ("*.{i}.*.w -> *.{i+1}.*.w", "a.b.3.c.d.w", "a.b.4.c.d.w"),
        ("*.0.* -> *.1.*", "stage.0.0.conv", "stage.1.0.conv"),
        ("*{i} -> *{2i}", "h.12.w", "h.24.w"),
        ("*.w* -> *.v*", "a.w.w", "a.v.w"),
        ("a*b*c -> *x*", "a1b2b3c", "1x2b3"),
        ("h.{i} -> h.{i}", "h." + "1" * 5000, None),
        ("h.{i} -> h.{i}", "h.²", None),
    ],
)
def test_stars_and_numbers_go_over(rule: str, name: str, target: str | None) -> None:
    (made,) = parse_rules([rule])
    assert made.target(name) == target


@pytest.mark.parametrize("name", ["layer.².weight", "layer.norm.weight", "h." + "9" * 5000, "²"])
def test_an_odd_name_in_the_source_is_left_behind(name: str) -> None:
    made = make_plan(SMALL, SMALL, shapes_of(SMALL) | {name: (3,)})
    assert [(item.source, item.reason.code) for item in made.left_behind] == [
        (name, "not_in_target")
    ]


# --- between architectures ------------------------------------------------------------------------

WIDE = {"vocab_size": 300, "num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32}
BERT = BertConfig.model_validate(
    {**WIDE, "intermediate_size": 128, "max_position_embeddings": 16, "head": "none"}
)
ROBERTA = RobertaConfig.model_validate(
    {**WIDE, "intermediate_size": 128, "max_position_embeddings": 18, "head": "none"}
)


def between(target: BackboneConfig, source: BackboneConfig, **values: object) -> Plan:
    shapes = {spec.name: spec.shape for spec in source.tensors()}
    return make_plan(target, source, shapes, settings=PlanSettings.model_validate(values))


def test_query_key_and_value_are_split_and_turned() -> None:
    made = rows(between(BERT, SMALL))
    query = made["bert.encoder.layer.1.attention.self.query.weight"]
    assert query.sources == ["transformer.h.1.attn.c_attn.weight"]
    assert [step.op for step in query.parts[0].steps] == ["split", "transpose"]
    assert query.whole
    value = made["bert.encoder.layer.1.attention.self.value.bias"]
    assert (value.action, value.parts[0].steps[0].model_dump()["part"]) == ("split", 2)


def test_query_key_and_value_are_joined_and_turned() -> None:
    made = rows(between(SMALL, BERT))
    qkv = made["transformer.h.2.attn.c_attn.weight"]
    assert (qkv.action, qkv.whole) == ("join", True)
    assert [part.at for part in qkv.parts] == [(0, 0), (0, 32), (0, 64)]
    assert {tuple(step.op for step in part.steps) for part in qkv.parts} == {("transpose",)}
    assert made["transformer.h.0.mlp.c_fc.weight"].action == "transpose"


def test_other_names_for_the_same_work_are_copied_whole() -> None:
    made = between(ROBERTA, BERT)
    row = rows(made)["roberta.encoder.layer.0.output.dense.weight"]
    assert (row.action, row.sources) == ("copy", ["bert.encoder.layer.0.output.dense.weight"])
    assert [note.code for note in made.notes] == ["architecture_differs"]


def test_positions_go_behind_the_rows_that_an_architecture_reserves() -> None:
    there = rows(between(ROBERTA, BERT))["roberta.embeddings.position_embeddings.weight"]
    assert (there.parts[0].at, there.parts[0].shape) == ((2, 0), (16, 32))
    back = rows(between(BERT, ROBERTA))["bert.embeddings.position_embeddings.weight"]
    assert (back.parts[0].at, back.parts[0].shape) == ((0, 0), (16, 32))
    assert back.parts[0].steps[0].model_dump() == {
        "op": "slice",
        "axis": 0,
        "start": 2,
        "stop": 18,
    }


OPT = OPTConfig(
    vocab_size=300,
    max_position_embeddings=16,
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    ffn_dim=128,
)
POSITIONS = "model.decoder.embed_positions.weight"


@pytest.mark.parametrize(
    ("positions", "context", "steps", "code", "copied"),
    [
        ("first", 24, [], "positions", 18),
        ("first", 8, ["slice"], "positions", 10),
        ("interpolate", 24, ["interpolate"], "positions_stretched", 26),
        ("interpolate", 8, ["interpolate"], "positions_stretched", 10),
        ("tile", 24, ["tile"], "positions_repeated", 26),
    ],
)
def test_reserved_rows_are_copied_apart_from_the_positions(
    positions: str, context: int, steps: list[str], code: str, copied: int
) -> None:
    longer = OPT.model_copy(update={"max_position_embeddings": context})
    row = rows(between(longer, OPT, positions=positions))[POSITIONS]
    reserved, others = row.parts
    assert (reserved.at, reserved.shape, reserved.steps) == (
        (0, 0),
        (2, 32),
        (Slice(axis=0, stop=2),),
    )
    assert (others.at, others.shape) == ((2, 0), (copied - 2, 32))
    assert others.steps[0] == Slice(axis=0, start=2, stop=18)
    assert [step.op for step in others.steps[1:]] == steps
    assert (row.reason.code, row.copied) == (code, copied * 32)
    assert row.reason.params["source"] == 16
    assert row.reason.params["target"] == context


@pytest.mark.parametrize("positions", ["interpolate", "tile"])
def test_the_setting_holds_where_another_number_of_rows_is_reserved(positions: str) -> None:
    longer = OPT.model_copy(update={"max_position_embeddings": 24})
    (part,) = rows(between(longer, SMALL, positions=positions))[POSITIONS].parts
    assert (part.at, part.shape) == ((2, 0), (24, 32))
    assert [step.op for step in part.steps] == [positions]
    further = SMALL.model_copy(update={"n_positions": 24})
    (part,) = rows(between(further, OPT, positions=positions))["transformer.wpe.weight"].parts
    assert (part.at, part.shape) == ((0, 0), (24, 32))
    assert [step.op for step in part.steps] == ["slice", positions]


def test_a_growth_that_nothing_could_make_up_for_is_refused() -> None:
    plain = OPT.model_copy(update={"layer_norm_elementwise_affine": False})
    wider = {"hidden_size": 64, "num_attention_heads": 8}
    made = between(plain.model_copy(update=wider), plain, width="grow")
    row = rows(made)["model.decoder.embed_tokens.weight"]
    assert (row.action, row.reason.code) == ("initialise", "width_head_tied")
    untied = plain.model_copy(update={"tie_word_embeddings": False})
    assert between(untied.model_copy(update=wider), untied, width="grow").share == 1


@pytest.mark.parametrize("config", [BERT, ROBERTA, OPT])
def test_another_number_of_heads_is_noted_everywhere(config: BackboneConfig) -> None:
    other = config.model_copy(update={"num_attention_heads": 8})
    assert [note.code for note in between(other, config).notes] == ["heads_differ"]


def test_the_place_of_opt_s_layer_norms_is_noted() -> None:
    last = OPT.model_copy(update={"do_layer_norm_before": False})
    (note,) = between(last, OPT).notes
    assert (note.code, note.params["name"]) == ("setting_differs", "do_layer_norm_before")


def test_what_only_one_of_them_has_stays_behind_or_starts_afresh() -> None:
    made = between(SMALL, BERT)
    left = {item.source for item in made.left_behind}
    assert "bert.embeddings.token_type_embeddings.weight" in left
    assert rows(made)["transformer.ln_f.weight"].action == "initialise"


def test_a_rule_may_go_between_architectures() -> None:
    made = between(BERT, SMALL, rules=["layer.{i} -> layer.{2i}"])
    found = rows(made)
    assert found["bert.encoder.layer.2.attention.self.key.weight"].sources == [
        "transformer.h.1.attn.c_attn.weight"
    ]
    assert found["bert.encoder.layer.1.attention.self.key.weight"].action == "initialise"


@pytest.mark.parametrize("source", sorted(BACKBONES))
@pytest.mark.parametrize("target", sorted(BACKBONES))
def test_every_architecture_has_a_plan_from_every_other(source: str, target: str) -> None:
    one, other = (next(iter(BACKBONES[name].presets.values())) for name in (source, target))
    made = between(other, one, width="cut")
    for row in made.rows:
        for part in row.parts:
            ends = [start + size for start, size in zip(part.at, part.shape, strict=True)]
            assert all(end <= size for end, size in zip(ends, row.shape, strict=True))
    assert source != target or made.share == 1


@pytest.mark.parametrize(
    ("config", "source", "target", "share"),
    [
        (DenseNetConfig(depths=[2, 2], num_classes=3), "stage.0.0", "stage.0.1", 0.5),
        (MobileNetV3Config(num_classes=3), "stage.1.0", "stage.1.1", 0.01),
        (MobileNetV3Config(num_classes=3), "stage.2.1", "stage.2.2", 1),
        (ResNetConfig(num_classes=3), "stage.0.1", "stage.0.2", 1),
    ],
)
def test_a_rule_moves_a_block_whose_tensors_have_only_names(
    config: BackboneConfig, source: str, target: str, share: float
) -> None:
    made = between(config, config, rules=[f"{source} -> {target}"])
    block = [row for row in made.rows if row.block == target]
    assert sum(row.copied for row in block) >= share * sum(row.parameters for row in block)
    for row in block:
        if row.parts:
            (name,) = row.sources
            assert name.rpartition(".")[2] == row.target.rpartition(".")[2]
            assert row.reason.code == "rule"


def test_without_roles_nothing_is_taken_for_the_same_in_another_architecture() -> None:
    for row in between(DenseNetConfig(num_classes=3), ResNetConfig(num_classes=3)).rows:
        assert row.block == "head" or all(name == row.target for name in row.sources)


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


#: Every choice that a person has, and the default ones, often.
SETTINGS = st.just(PlanSettings()) | st.builds(
    PlanSettings,
    **{
        name: st.sampled_from(get_args(info.annotation))
        for name, info in PlanSettings.model_fields.items()
        if get_args(info.annotation) and name != "rules"
    },
)


@given(target=CONFIGS, source=CONFIGS, same=st.booleans(), settings=SETTINGS)
def test_any_plan_covers_the_model_once_and_survives_json(
    target: GPT2Config, source: GPT2Config, same: bool, settings: PlanSettings
) -> None:
    made = plan(target, source, same_tokenizer=same, settings=settings)
    assert [row.target for row in made.rows] == [spec.name for spec in target.tensors()]
    for row in made.rows:
        assert 0 <= row.copied <= row.parameters
        if settings == PlanSettings():
            assert bool(row.parts) == (row.action != "initialise")
        else:
            # What computes the same may be made of constants alone: a layer that adds nothing.
            assert bool(row.parts) == (row.action not in ("initialise", "grow") or row.copied > 0)
        if row.action == "copy":
            assert row.parts[0].source_shape == row.shape
            assert row.whole
    used = {name for row in made.rows for name in row.sources}
    assert used | {item.source for item in made.left_behind} == set(shapes_of(source))
    assert not used & {item.source for item in made.left_behind}
    reasons = [*made.rows, *made.left_behind]
    assert all(item.reason.sentence for item in reasons)
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_every_reason_can_be_said() -> None:
    assert all(sentence.endswith(".") for sentence in REASONS.values())
