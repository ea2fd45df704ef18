"""What the experiments hand to the engine, and what they refuse to call kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiments import kills, weight_copy
from tests.faults.kills import Disturbed

CURVE = {"loss": [[1, 2.0]]}


def test_every_copy_and_every_run_gets_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def work(command: str, content: dict[str, Any], _out: Path) -> dict[str, Any]:
        asked.append((command, content))
        return {"plan": {"notes": []}, "curves": {"validation_loss": [[1, 2.0]]}}

    monkeypatch.setattr(weight_copy, "work", work)
    monkeypatch.setattr(weight_copy, "difference", lambda *_folders: 0.0)
    weight_copy.one_seed(7, {"brown": tmp_path, "moby": tmp_path}, tmp_path)
    assert {command for command, _content in asked} == {"run", "transfer"}
    assert {content["seed"] for _command, content in asked} == {7}


def disturbed(**changes: Any) -> Disturbed:
    values = {"kills": 2, "gone_s": [0.5, 0.1], "most_trainers": 1, "curve": CURVE}
    return Disturbed(**values | changes)


def test_kills_that_broke_no_promise_pass() -> None:
    assert kills.broken("horse", disturbed(resumed_from=[5]), CURVE) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"curve": {"loss": [[1, 2.5]]}}, "another curve"),
        ({"most_trainers": 2}, "2 trainers"),
        ({"gone_s": [0.5, 5.5]}, "5.5 s"),
        ({"gone_s": [0.5]}, "1 of 2"),
    ],
)
def test_each_broken_promise_of_the_kills_is_named(changes: dict[str, Any], said: str) -> None:
    (problem,) = kills.broken("worker", disturbed(**changes), CURVE)
    assert said in problem
