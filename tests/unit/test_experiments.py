"""``python -m benchmarks.experiments``: what it does when a bar is missed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiments import __main__ as experiments
from benchmarks.experiments import exports, images

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
