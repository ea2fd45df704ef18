"""What is both written down and coded agrees."""

from __future__ import annotations

import re
from pathlib import Path

from webapp.jobs import diagram
from webapp.jobs.kinds import KINDS
from webapp.jobs.models import ENDED, LIVE, TRANSITIONS, State

ROOT = Path(__file__).parents[3]


def test_the_diagram_is_the_table() -> None:
    page = (ROOT / "docs/jobs.md").read_text()
    assert diagram.replaced(page) == page, "run manage.py job_states_diagram --write"


def test_every_edge_has_its_words_and_no_word_is_without_an_edge() -> None:
    edges = {(source, target) for source, targets in TRANSITIONS.items() for target in targets}
    assert set(diagram.CAUSES) == edges


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)
    assert not LIVE & ENDED
    assert not TRANSITIONS[State.SUCCEEDED]


def test_the_variables_that_settings_read_are_documented() -> None:
    read = set(re.findall(r'"((?:GRAFT|DATABASE|REDIS|STORAGE)_[A-Z_]+)"', source("settings.py")))
    read |= set(re.findall(r'"(GRAFT_PORT)"', source("jobs/management/commands/portal.py")))
    read |= set(re.findall(r'_flag\("(\w+)"\)', source("settings.py")))
    page = (ROOT / "docs/operations.md").read_text()
    known_elsewhere = {"DATABASE_URL", "GRAFT_DEBUG"} - set(re.findall(r"`(\w+)`", page))
    assert {name for name in read if f"`{name}`" not in page} - known_elsewhere <= {
        # Names of settings themselves, not of variables.
        "REDIS_URL",
        "STORAGE_URL",
    }


def test_every_queue_of_a_kind_is_described() -> None:
    page = (ROOT / "docs/jobs.md").read_text()
    for kind in KINDS.values():
        for queue in ("cpu", "gpu") if kind.queue == "train" else (kind.queue,):
            assert f"| `{queue}` |" in page


def source(path: str) -> str:
    return (ROOT / "webapp" / path).read_text()
