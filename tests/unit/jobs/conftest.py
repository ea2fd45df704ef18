from __future__ import annotations

import pytest

from webapp.jobs.kinds import KINDS, Kind


@pytest.fixture(autouse=True)
def exercise_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training jobs whose outcome belongs to the tests' own owner."""
    monkeypatch.setitem(KINDS, "train", Kind("run", "train", "tests.factories.exercise"))
    monkeypatch.setitem(KINDS, "prepare", Kind("prepare", "io", "tests.factories.exercise"))
