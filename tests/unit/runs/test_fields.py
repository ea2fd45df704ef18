"""The layout of the form and the schema agree."""

from __future__ import annotations

import pytest

from training.spec import RunSpec
from webapp.runs import fields
from webapp.runs.forms import _paths

#: Told in other ways than by a setting's input.
ELSEWHERE = {
    "version",
    "method",
    "data.path",
    "source.checkpoint",
    "tokenizer.checkpoint",
    "model.architecture",
    "model.vocab_size",
}


def schema_paths() -> set[str]:
    spec = {
        "data": {"path": "d"},
        "model": {"n_inner": 8},
        "source": {"checkpoint": "c"},
        "training": {"lora": {}},
    }
    return _paths(RunSpec.model_validate(spec).model_dump())


def test_every_setting_of_the_schema_has_an_input_and_no_other() -> None:
    assert set(fields.paths()) == schema_paths() - ELSEWHERE


@pytest.mark.parametrize("path", fields.paths())
def test_every_setting_has_a_title_and_a_sentence_of_help(path: str) -> None:
    setting = fields.setting(path)
    assert setting.title
    assert setting.help.endswith((".", ")"))


def test_ranges_are_read_from_the_schema() -> None:
    assert fields.range_text("training.batch_size") == "1 … 4,096"
    assert fields.range_text("training.learning_rate") == "> 0 … 1"
    assert fields.range_text("training.dropout") == "0 … < 1"
    assert fields.range_text("evaluation.every") == "from 1"
    assert fields.range_text("training.schedule") == ""


def test_widgets_follow_from_types() -> None:
    widgets = {path: fields.widget(path) for path in fields.paths()}
    assert widgets["training.steps"] == "integer"
    assert widgets["training.learning_rate"] == "number"
    assert widgets["training.packing"] == "checkbox"
    assert widgets["training.schedule"] == "select"
    assert widgets["training.lora.targets"] == "checkboxes"
    assert widgets["evaluation.prompts"] == "lines"
    assert fields.nullable("training.clip_norm")
    assert not fields.nullable("training.steps")
