"""What is typed becomes a spec, or a sentence at the field; nothing typed is lost."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.http import QueryDict

from tests.factories import Cast, make_version
from tests.factories.runs import make_run, make_source, make_spec, set_state
from training.backbones.gpt2.config import PRESETS
from training.spec import RunSpec
from webapp.jobs.models import State
from webapp.runs.drafts import draft
from webapp.runs.form_causal_lm import CausalLMForm, preset_of, preset_values
from webapp.runs.spec_yaml import read_yaml


def form_of(cast: Cast, *, submitted: bool = True, **values: Any) -> CausalLMForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    return CausalLMForm(typed, cast.team, submitted=submitted)


def posted(form: CausalLMForm) -> QueryDict:
    """What a browser sends of a form."""
    data = QueryDict(mutable=True)
    for name, value in form.values.items():
        if value is True:
            data[name] = "on"
        elif isinstance(value, list):
            data.setlist(name, value)
        elif value is not False:
            data[name] = value
    return data


def test_a_new_form_with_data_is_a_valid_spec(cast: Cast) -> None:
    version = make_version(cast)
    spec = form_of(cast, data=str(version.pk)).validate()
    assert spec is not None
    assert spec.model == PRESETS["nano"]
    assert spec.data.path == f"store:dataset/{version.pk}"
    assert spec.tokenizer.kind == "train"
    assert spec.source is None


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_spec_with_its_own_dimensions(cast: Cast, name: str) -> None:
    values = preset_values(name) | {"data": str(make_version(cast).pk), "how": "scratch"}
    spec = CausalLMForm(values, cast.team, submitted=True).validate()
    assert spec is not None
    assert spec.model == PRESETS[name]
    assert preset_of(CausalLMForm.blank() | values) == name


def test_a_spec_survives_the_way_through_form_and_browser(cast: Cast) -> None:
    version, source = make_version(cast), make_source(cast)
    changed = {
        "seed": 9,
        "training": {
            "packing": False,
            "clip_norm": None,
            "learning_rate": 3e-5,
            "epsilon": 1e-9,
            "lora": {"rank": 4, "targets": ["c_fc"]},
        },
        "evaluation": {"prompts": ["Call me", "白日依山尽"]},
    }
    spec = RunSpec.model_validate(make_spec(version, source).model_dump() | changed)
    form = CausalLMForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert CausalLMForm.from_post(posted(form), cast.team).validate() == spec


def test_what_cannot_be_understood_stays_as_typed_with_a_sentence(cast: Cast) -> None:
    form = form_of(
        cast,
        data=str(make_version(cast).pk),
        training__steps="many",
        training__learning_rate="2",
        training__dropout="",
        evaluation__every="0",
    )
    assert form.validate() is None
    assert form.values["training.steps"] == "many"
    assert form.errors["training.steps"] == ["Write a whole number."]
    assert form.errors["training.learning_rate"] == ["Must be 1 or less."]
    assert form.errors["training.dropout"] == ["Write a number."]
    assert form.errors["evaluation.every"] == ["Must be 1 or more."]


@pytest.mark.parametrize(
    ("values", "name", "sentence"),
    [
        ({"training.warmup_steps": "500"}, "training.warmup_steps", "warm-up is longer"),
        ({"model.n_head": "3"}, "model.n_embd", "multiple of the number of heads"),
        ({"training.sequence_length": "256"}, "training.sequence_length", "holds 128 tokens"),
        ({"tokenizer.kind": "source"}, "tokenizer.kind", "no source to take a tokenizer"),
        ({"lora": True}, "lora", "it needs a source"),
        ({"devices.count": "32"}, "training.batch_size", "at least 32 sequences"),
        ({"evaluation.prompts": "x\n" * 9}, "evaluation.prompts", "At most 8"),
        ({"evaluation.prompts": "ok\n" + "x" * 2001}, "evaluation.prompts", "Line 2: Write at"),
        ({"training.learning_rate": "nan"}, "training.learning_rate", "Write a finite number."),
        ({"training.clip_norm": "inf"}, "training.clip_norm", "Write a finite number."),
    ],
)
def test_contradictions_are_said_at_the_field(
    cast: Cast, values: dict[str, Any], name: str, sentence: str
) -> None:
    form = CausalLMForm({"data": str(make_version(cast).pk)} | values, cast.team, submitted=True)
    assert form.validate() is None
    assert set(form.errors) == {name}
    assert sentence in form.errors[name][0]


def test_a_low_rank_update_needs_at_least_one_layer(cast: Cast) -> None:
    values = {"data": str(make_version(cast).pk), "how": "transfer", "lora": True}
    values |= {"source": f"checkpoint/{make_source(cast).pk}", "training.lora.targets": []}
    form = CausalLMForm(values | {"tokenizer.kind": "source"}, cast.team, submitted=True)
    form.validate()
    assert set(form.errors) == {"training.lora.targets"}


def test_empty_choices_are_only_named_when_the_form_is_sent(cast: Cast) -> None:
    early = form_of(cast, submitted=False, how="transfer", tokenizer__kind="source")
    early.validate()
    assert early.errors == {}
    sent = form_of(cast, how="transfer", tokenizer__kind="source")
    sent.validate()
    assert sent.errors == {
        "data": ["Choose the data to learn from."],
        "source": ["Choose the model to start from."],
    }


def test_another_teams_data_and_source_do_not_exist(cast: Cast) -> None:
    version = make_version(cast, team=cast.other_team, owner=cast.mallory)
    source = make_source(cast, team=cast.other_team, owner=cast.mallory)
    form = form_of(
        cast,
        data=str(version.pk),
        how="transfer",
        source=f"checkpoint/{source.pk}",
        tokenizer__kind="source",
    )
    assert form.validate() is None
    assert form.errors["data"][-1] == "This data set is no longer there."
    assert "no longer there" in form.errors["source"][-1]


def test_the_sources_context_bounds_the_sequence(cast: Cast) -> None:
    form = form_of(
        cast,
        data=str(make_version(cast).pk),
        how="transfer",
        source=f"checkpoint/{make_source(cast).pk}",
        tokenizer__kind="source",
        training__sequence_length="129",
    )
    assert form.validate() is None
    assert form.errors["training.sequence_length"] == [
        "The model's context holds 128 tokens at most."
    ]


def test_a_corpus_shorter_than_a_sequence_is_refused(cast: Cast) -> None:
    version = make_version(cast)
    version.summary["splits"]["train"]["tokens"] = 100
    version.save()
    form = form_of(cast, data=str(version.pk), tokenizer__kind="gpt2")
    assert form.validate() is None
    assert "has 100 tokens" in form.errors["training.sequence_length"][0]


def test_a_model_that_does_not_fit_is_refused_with_the_numbers(cast: Cast) -> None:
    values = preset_values("gpt2-xl") | {"training.batch_size": "4096"}
    checked = draft(CausalLMForm(values | {"data": str(make_version(cast).pk)}, cast.team))
    assert checked.outlook is not None
    assert not checked.outlook.fits
    (sentence,) = checked.form.errors["memory"]
    assert "There is not enough memory" in sentence
    assert "GB" in sentence or "TB" in sentence


def test_a_plan_shows_what_a_deeper_model_takes_over(cast: Cast) -> None:
    values = preset_values("nano") | {
        "data": str(make_version(cast).pk),
        "how": "transfer",
        "source": f"checkpoint/{make_source(cast).pk}",
        "architecture": "own",
        "tokenizer.kind": "source",
        "model.n_layer": "6",
    }
    plan = draft(CausalLMForm(values, cast.team)).plan
    assert plan is not None
    assert [block.percent for block in plan.blocks] == [100, 100, 100, 100, 100, 0, 0, 100]


def test_a_plan_knows_a_run_that_has_not_ended(cast: Cast) -> None:
    first = make_run(cast)
    values = {"how": "transfer", "source": f"run/{first.pk}", "tokenizer.kind": "source"}
    checked = draft(CausalLMForm({"data": str(make_version(cast).pk)} | values, cast.team))
    assert checked.form.spec is not None
    assert checked.plan is not None
    assert checked.plan.percent == 100
    set_state(first, State.FAILED)
    again = draft(CausalLMForm({"data": str(make_version(cast, name="B").pk)} | values, cast.team))
    assert again.plan is None


def test_a_pattern_that_matches_nothing_is_said_at_its_field(cast: Cast) -> None:
    values = {"how": "transfer", "source": f"checkpoint/{make_source(cast).pk}"}
    values |= {"tokenizer.kind": "source", "source.reinitialise": "nothing.*"}
    checked = draft(CausalLMForm({"data": str(make_version(cast).pk)} | values, cast.team))
    assert set(checked.form.errors) == {"source.reinitialise"}


def test_yaml_fills_the_form(cast: Cast) -> None:
    text = yaml.safe_dump({"seed": 3, "training": {"steps": 77}, "model": {"n_layer": 2}})
    form = CausalLMForm.from_yaml(text, CausalLMForm({"data": "kept"}, cast.team))
    assert form.errors == {}
    assert form.values["seed"] == "3"
    assert form.values["training.steps"] == "77"
    assert form.values["model.n_layer"] == "2"
    assert form.values["data"] == "kept"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "is not YAML"),
        ("just words", "settings with names"),
        ("a: &x [1]\nb: *x", "Aliases"),
        ("x" * 60_000, "too long"),
        ("!!python/object/apply:os.system ['true']", "YAML"),
        ("training: {speed: 3}", "training.speed: There is no such setting."),
    ],
)
def test_wrong_yaml_gets_a_sentence_and_changes_nothing(
    cast: Cast, text: str, sentence: str
) -> None:
    before = CausalLMForm({}, cast.team)
    form = CausalLMForm.from_yaml(text, before)
    assert sentence in form.errors["yaml"][0]
    assert form.values["training.steps"] == before.values["training.steps"]


def test_the_yaml_shown_is_the_spec(cast: Cast) -> None:
    form = form_of(cast, data=str(make_version(cast).pk))
    assert RunSpec.model_validate(read_yaml(form.as_yaml())) == form.validate()


def test_the_yaml_of_an_unfinished_form_is_in_the_schemas_order(cast: Cast) -> None:
    found = list(read_yaml(form_of(cast, training__steps="many").as_yaml()))
    assert found == [name for name in RunSpec.model_fields if name in found]
