"""``docs/events.md`` and :data:`training.events.KINDS` describe the same events."""

import re
from pathlib import Path

import pytest

from training.events import KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_kind_has_a_section_and_every_section_a_kind():
    assert list(SECTIONS) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_section_names_every_field(kind):
    # A field list ends at the first colon or bracket of its part; prose follows.
    parts = re.sub(r"\([^)]*\)|\[[^\]]*\]|\{[^}]*\}", "", KINDS[kind]).split(":")[0]
    fields = re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", KINDS[kind])
    fields += [part.split()[0] for part in re.split(r"[,;] ", parts) if part.split()]
    for field in set(fields) - {"for", "also", "while"}:
        assert re.search(rf"`[^`]*\b{field}\b[^`]*`", SECTIONS[kind]), field
