"""Which code made a result: the commit where there is one, else the package's version."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from training import __version__


@functools.cache
def code_version() -> str:
    """``0.1.0+0f3c2a9``: read from files, so that no git is needed; GRAFT_CODE_VERSION wins."""
    if given := os.environ.get("GRAFT_CODE_VERSION"):
        return given
    git = Path(__file__).resolve().parent.parent / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            head = _reference(git, head.removeprefix("ref: "))
        return f"{__version__}+{head[:12]}"
    except OSError:
        return __version__


def _reference(git: Path, name: str) -> str:
    loose = git / name
    if loose.exists():
        return loose.read_text().strip()
    for line in (git / "packed-refs").read_text().splitlines():
        if line.endswith(f" {name}"):
            return line.split(" ", 1)[0]
    raise FileNotFoundError(name)
