"""``docs/formats.md`` and the commands of ``python -m training`` describe the same things."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from training.__main__ import WORKERS
from training.command_specs import AboutSpec, DrawSpec, ExportSpec, GenerateSpec, PushSpec
from training.estimate import Estimate

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
WORKING = PAGE.split("## A working directory")[1].split("\n## ")[0]
ANSWERING = PAGE.split("## Commands that only answer")[1].split("\n## ")[0]


@pytest.mark.parametrize("command", WORKERS)
def test_a_command_with_a_working_directory_is_named(command: str) -> None:
    assert f"`{command}`" in WORKING


def test_the_other_commands_are_those_of_the_table() -> None:
    source = (Path(__file__).parents[2] / "training" / "__main__.py").read_text()
    answering = set(re.findall(r'add\(\s*"(\w+)", _(?!work)\w+', source))
    assert answering == set(re.findall(r"^\| `(\w+)", ANSWERING, re.MULTILINE))


def test_every_field_of_an_estimate_is_named() -> None:
    row = next(line for line in ANSWERING.splitlines() if line.startswith("| `estimate"))
    assert {field.name for field in fields(Estimate)} <= set(re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize("spec", [GenerateSpec, ExportSpec, PushSpec, AboutSpec, DrawSpec])
def test_a_spec_written_out_is_whole(spec: type[GenerateSpec]) -> None:
    """Written in braces, in the order of the fields, without ``version``."""
    names = ", ".join(name for name in spec.model_fields if name != "version")
    assert f"{{{names}}}" in " ".join(PAGE.split())
