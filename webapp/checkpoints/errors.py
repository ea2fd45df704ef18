"""Why something about a checkpoint cannot be done."""

from __future__ import annotations


class StageMoved(Exception):
    """Somebody else has put the checkpoint into another stage meanwhile."""
