"""The layouts of the forms and the schemas agree."""

from __future__ import annotations

from typing import Any

import pytest

from training.methods.registry import GENERATIVE_METHODS, LOOP_METHODS, SIAMESE_METHODS
from webapp.runs.dotted import flat
from webapp.runs.estimates import OUTLOOKS
from webapp.runs.forms import FORMS
from webapp.runs.layouts import CAUSAL_LM, LAYOUTS
from webapp.runs.methods import METHODS
from webapp.runs.sources import MODELS
from webapp.runs.twins import SCRATCH, WITHOUT_SOURCE
from webapp.runs.verdicts import SENTENCES

#: Told in other ways than by a setting's input.
ELSEWHERE = {
    "version",
    "method",
    "data.path",
    "source.checkpoint",
    "tokenizer.checkpoint",
    "inputs.checkpoint",
    "views.checkpoint",
    "features.checkpoint",
    "model.architecture",
    "model.vocab_size",
    "model.num_classes",
    "judge.checkpoint",
}
#: Specs with every part there.
WHOLE: dict[str, dict[str, Any]] = {
    "causal_lm": {
        "data": {"path": "d"},
        "model": {"n_inner": 8},
        "source": {"checkpoint": "c"},
        "training": {"lora": {}},
    },
    "classification": {
        "data": {"path": "d"},
        "source": {"checkpoint": "c"},
        "training": {"lora": {}},
    },
    "regression": {
        "data": {"path": "d"},
        "source": {"checkpoint": "c"},
        "training": {"lora": {}},
    },
    "conditional_lm": {
        "data": {"path": "d"},
        "model": {"n_inner": 8},
        "source": {"checkpoint": "c"},
        "training": {"lora": {}},
    },
    "token_classification": {
        "data": {"path": "d"},
        "source": {"checkpoint": "c"},
        "training": {"lora": {}},
    },
    "wide_deep": {"data": {"path": "d"}, "source": {"checkpoint": "c"}},
    "multi_task": {"data": {"path": "d"}, "source": {"checkpoint": "c"}},
    **{
        method: {"data": {"path": "d"}, "source": {"checkpoint": "c"}} for method in SIAMESE_METHODS
    },
    **{
        method: {"data": {"path": "d"}, "source": {"checkpoint": "c"}, "model": {}}
        for method in GENERATIVE_METHODS
    },
}
SETTINGS = [(method, path) for method, layout in LAYOUTS.items() for path in layout.paths]


def test_every_method_of_the_loop_has_all_that_pages_need() -> None:
    for known in (METHODS, LAYOUTS, FORMS, MODELS, OUTLOOKS):
        assert set(known) == set(LOOP_METHODS)


def test_a_method_whose_runs_from_scratch_can_have_twins_has_words_for_them() -> None:
    assert {name for name, form in FORMS.items() if form.twin_from_scratch} == set(WITHOUT_SOURCE)
    assert {pair.key for pair in (SCRATCH, *WITHOUT_SOURCE.values())} == set(SENTENCES)


@pytest.mark.parametrize("method", LAYOUTS)
def test_every_setting_of_the_schema_has_an_input_and_no_other(method: str) -> None:
    layout = LAYOUTS[method]
    assert layout.spec is LOOP_METHODS[method].settings
    whole = layout.spec.model_validate(WHOLE[method]).model_dump()
    # A classifier's network is chosen whole, by one input that is no setting.
    parts = {path for path in flat(whole, layout) if path not in ("model", "examples")}
    assert set(layout.paths) - {"examples"} == parts - ELSEWHERE


@pytest.mark.parametrize(("method", "path"), SETTINGS)
def test_every_setting_has_a_title_and_a_sentence_of_help(method: str, path: str) -> None:
    setting = LAYOUTS[method].setting(path)
    assert setting.title
    assert setting.help.endswith((".", ")"))


def test_ranges_are_read_from_the_schema() -> None:
    assert CAUSAL_LM.range_text("training.batch_size") == "1 … 4,096"
    assert CAUSAL_LM.range_text("training.learning_rate") == "> 0 … 1"
    assert CAUSAL_LM.range_text("training.dropout") == "0 … < 1"
    assert CAUSAL_LM.range_text("evaluation.every") == "from 1"
    assert CAUSAL_LM.range_text("training.schedule") == ""


def test_widgets_follow_from_types() -> None:
    widgets = {path: CAUSAL_LM.widget(path) for path in CAUSAL_LM.paths}
    assert widgets["training.steps"] == "integer"
    assert widgets["training.learning_rate"] == "number"
    assert widgets["training.packing"] == "checkbox"
    assert widgets["training.schedule"] == "select"
    assert widgets["training.lora.targets"] == "checkboxes"
    assert widgets["evaluation.prompts"] == "lines"
    assert CAUSAL_LM.nullable("training.clip_norm")
    assert not CAUSAL_LM.nullable("training.steps")
