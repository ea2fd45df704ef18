from __future__ import annotations

import sys
from pathlib import Path

import pytest

from webapp.jobs.kinds import KINDS, Kind

TINY_ENGINE = Path(__file__).parents[2] / "faults" / "tiny_engine.py"


@pytest.fixture(autouse=True)
def tiny_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run the stand-in for the engine, and belong to the tests' own owner."""
    monkeypatch.setenv("GRAFT_ENGINE", f"{sys.executable} {TINY_ENGINE}")
    owner = "tests.factories.exercise"
    monkeypatch.setitem(KINDS, "train", Kind("run", "train", owner))
    monkeypatch.setitem(KINDS, "prepare", Kind("run", "io", owner, deadline_s=1.0))
    monkeypatch.setitem(KINDS, "generate", Kind("generate", "interactive", owner, deadline_s=30))
