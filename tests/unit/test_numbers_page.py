"""``docs/numbers.md`` names commands and tests: each must be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "numbers.md").read_text()
#: ``path/to/file.py::test_name``; ``::name`` alone stands for the file named before it.
NAMED = re.findall(r"`((?:tests|benchmarks|docs|training)/[\w./-]+)?(?:::(\w+))?`", PAGE)
MODULES = re.findall(r"`(?:\.venv/bin/)?python -m ([\w.]+)", PAGE)
TARGETS = re.findall(r"`make ([\w-]+)(?: ARGS=([^`]*))?`", PAGE)


def named_tests() -> list[tuple[str, str]]:
    """(file, test) of each test named on the page."""
    found, path = [], ""
    for named, test in NAMED:
        path = named or path
        if test:
            found.append((path, test))
    return found


def test_it_names_tests_commands_and_targets() -> None:
    assert len(named_tests()) > 20
    assert {target for target, _ in TARGETS} >= {"test", "experiments", "bench", "parity"}


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED if path}))
def test_a_path_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("path", "test"), sorted(set(named_tests())))
def test_a_test_named_is_there(path: str, test: str) -> None:
    assert re.search(rf"^def {test}\(", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("module", sorted(set(MODULES)))
def test_a_module_named_can_be_run(module: str) -> None:
    path = ROOT / module.replace(".", "/")
    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@pytest.mark.parametrize(("target", "arguments"), sorted(set(TARGETS)))
def test_a_make_target_named_is_there(target: str, arguments: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for path in re.findall(r"tests/[\w./-]+", arguments):
        assert (ROOT / path).exists()
    if target in ("experiments", "bench") and arguments:
        folder = ROOT / "benchmarks" / ("experiments" if target == "experiments" else "")
        assert (folder / f"{arguments.strip(chr(34)).split()[0]}.py").exists()
