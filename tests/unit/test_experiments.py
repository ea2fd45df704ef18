"""``python -m benchmarks.experiments``: what they ask for, and what is done about a missed bar."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.experiments import __main__ as experiments
from benchmarks.experiments import (
    conditional_text,
    exports,
    images,
    kills,
    weight_copy,
    wise_ft,
)
from tests.faults.kills import Disturbed
from training.weights.merge import interpolate

ROOT = Path(__file__).parents[2]


def test_each_experiment_has_its_module() -> None:
    for name, module in experiments.EXPERIMENTS.items():
        assert module == f"benchmarks.experiments.{name}"
        assert (ROOT / "benchmarks" / "experiments" / f"{name}.py").exists()


def test_a_missed_bar_does_not_keep_the_others_from_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command[-1])
        return subprocess.CompletedProcess(command, 1 if command[-1] in ("merge", "lite0") else 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("sys.argv", ["experiments"])

    with pytest.raises(SystemExit) as ended:
        experiments.main()

    assert ran == list(experiments.EXPERIMENTS)
    assert ended.value.code == "Failed: merge, lite0."


@pytest.mark.parametrize(("found", "kept"), [(9e-5, True), (2e-4, False), (float("nan"), False)])
def test_a_network_over_the_bar_is_named(
    found: float, kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(*_values: Any) -> None:
        return None

    for name in ("loaded", "write_theirs"):
        monkeypatch.setattr(f"tests.parity.test_images.{name}", nothing)
    monkeypatch.setattr("tests.parity.test_images.difference", lambda *_values: found)
    monkeypatch.setattr("tests.parity.ours.import_folder", nothing)

    assert ends(lambda: images.main(["resnet50"])) is kept
    assert "| resnet50 | timm |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("proof", "kept"),
    [
        ({"runtime": "one 1.0", "largest_difference": 9e-5, "largest_output": 3.0}, True),
        ({"runtime": "one 1.0", "largest_difference": 2e-4, "largest_output": 30.0}, False),
        (None, False),
    ],
    ids=["within", "over", "refused"],
)
def test_an_export_over_the_bar_or_refused_is_named(
    proof: dict[str, Any] | None, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "make_checkpoint", lambda folder, _preset: folder)
    monkeypatch.setattr(exports, "export", lambda *_values: proof)
    monkeypatch.setattr(exports, "beside_pytorch", lambda _folder: (1e-6, 3.0))

    assert ends(lambda: exports.main(["--preset", "nano", "--formats", "onnx"])) is kept


def ends(command: Callable[[], None]) -> bool:
    """Whether a command ends without naming what missed the bar."""
    try:
        command()
    except SystemExit as ended:
        return "is missed by" not in str(ended.code)
    return True


# --- what they hand to the engine, and what they refuse to call kept -----------------------------

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


def test_what_is_fine_tuned_from_few_labels_can_be_interpolated(tmp_path: Path) -> None:
    one, other = (
        wise_ft.save({"dense/kernel": np.full((2, 3), value, np.float32)}, tmp_path / str(value))
        for value in (1.0, 3.0)
    )
    assert np.allclose(interpolate(one, other, 0.7)["dense/kernel"], 2.4)


def test_texts_of_a_class_are_held_to_every_bar_that_was_written_down() -> None:
    def side(accuracy: float, copied: float | None) -> dict[str, Any]:
        return {"class_accuracy": accuracy, "copied": copied}

    def report(**changes: Any) -> dict[str, Any]:
        values = {"right": 0.6, "copied": 0.05, "low": 0.01, "loss": 4.9, "bayes": 0.65} | changes
        scores = {"model": {"accuracy": values["bayes"]}, "majority": {"accuracy": 0.45}}
        sides = {"labelled": side(values["right"], values["copied"]), "real": side(0.9, None)}
        written = {"sides": sides, "bayes": {"scores": scores}}
        written["gap"] = {"interval": [values["low"], 0.3]}
        return {"written": written, "best": {"validation_loss": values["loss"]}}

    twin = {"best": {"validation_loss": 5.0}}
    assert conditional_text.below(report(), twin) == []
    for change in ({"right": 0.59}, {"copied": 0.06}, {"low": 0.0}, {"loss": 5.0}, {"bayes": 0.64}):
        assert len(conditional_text.below(report(**change), twin)) == 1, change
