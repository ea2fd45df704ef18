"""Our own folder, as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from training import __version__
from training.errors import TrainingError
from training.weights.card import CARD_FILE, WEIGHTS_FILE
from training.weights.checkpoint import Checkpoint, read_checkpoint

OPEN = """\
from pathlib import Path
from training.weights.checkpoint import read_checkpoint
checkpoint = read_checkpoint(Path("."), verify=True)"""


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy the weights, every file that the card names, and the card."""
    for name in (WEIGHTS_FILE, *checkpoint.card["files"], CARD_FILE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkpoint.folder / name, folder / name)


def check(checkpoint: Checkpoint, folder: Path) -> str:
    """Read every byte again and compare with the card; gives the reader.

    Raises:
        TrainingError: ``checkpoint_corrupt``, ``export_differs``.
    """
    copied = read_checkpoint(folder, verify=True)
    if copied.card != checkpoint.card:
        raise TrainingError("export_changed", file=CARD_FILE)
    return f"Graft {__version__}"
