"""Features that jobs of this host computed, lent to the next ones; and how much is kept of them.

A training process writes below its own working directory and nowhere else. So what may be of use is
linked there before it starts, and what it computed is moved here once it has ended well.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from django.conf import settings


def folder() -> Path:
    """The cache of this host; entries are named by content, so teams cannot mix them up."""
    path = Path(settings.DATA_DIR) / "features"
    path.mkdir(parents=True, exist_ok=True)
    return path


def lend(weights: str, target: Path) -> None:
    """Link what was computed with these weights, or with random ones, into a job's own cache.

    Lent entries are dated 1970: the engine dates an entry that it uses, which :func:`keep` sees.
    """
    for entry in folder().glob("features-*"):
        own = target / entry.name
        if own.exists() or not _may_serve(entry, weights):
            continue
        try:
            shutil.copytree(entry, own, copy_function=_linked)
            os.utime(own, (0, 0))
        except OSError:  # somebody made room just now, or two jobs lend to one folder
            shutil.rmtree(own, ignore_errors=True)


def keep(source: Path) -> None:
    """Take over what a job computed, and note which of the lent entries it used."""
    for own in source.glob("features-*"):
        entry = folder() / own.name
        if entry.exists():
            if own.stat().st_mtime > 0:
                os.utime(entry)
            continue
        for path in own.iterdir():
            path.chmod(0o444)
        try:
            shutil.move(own, entry)
        except OSError:  # another job was quicker
            shutil.rmtree(own, ignore_errors=True)


def prune(limit: int) -> None:
    """Delete the entries that were used longest ago until the rest fits into ``limit`` bytes."""
    found = []
    for entry in folder().glob("features-*"):
        try:
            size = sum(path.stat().st_size for path in entry.iterdir())
            found.append((entry.stat().st_mtime, size, entry))
        except OSError:  # somebody else deleted it
            continue
    kept = 0
    for _used, size, entry in sorted(found, reverse=True):
        kept += size
        if kept > limit:
            shutil.rmtree(entry, ignore_errors=True)


def _may_serve(entry: Path, weights: str) -> bool:
    try:
        found = str(json.loads((entry / "features.json").read_text())["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return found == weights or found.startswith("random ")


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another device
        shutil.copy2(source, target)
