"""``card.json``: what made a checkpoint, and the hashes of all that is in it. Without NumPy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from training.errors import TrainingError

CARD_VERSION = 2

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "card.json"
#: What the card of an ensemble has for an architecture; its members' are inside it.
ENSEMBLE: Final = "ensemble"


#: What of a card tells what the head says: the names of classes, of a number, or of words' tags.
SAID = ("classes", "target", "tags")


def read_card(folder: Path) -> dict[str, Any]:
    """``card.json``, checked for its version.

    Raises:
        TrainingError: ``checkpoint_missing``, ``checkpoint_invalid`` or ``checkpoint_version``.
    """
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise TrainingError("checkpoint_missing", folder=folder.name, file=CARD_FILE) from error
    except ValueError as error:
        raise TrainingError("checkpoint_invalid", file=CARD_FILE, detail=str(error)) from error
    if not isinstance(card, dict) or not isinstance(card.get("files"), dict):
        raise TrainingError("checkpoint_invalid", file=CARD_FILE, detail="fields are missing")
    if card.get("version") != CARD_VERSION:
        raise TrainingError(
            "checkpoint_version", version=str(card.get("version")), known=CARD_VERSION
        )
    return card


def weights_sha256(tensors: Iterable[Mapping[str, Any]]) -> str:
    """Identity of weights: SHA-256 over the sorted lines ``name dtype shape blake3``.

    The same weights have the same identity whatever the file's order, metadata or name.
    """
    lines = sorted(
        f"{item['name']} {item['dtype']} {json.dumps(list(item['shape']))} {item['blake3']}\n"
        for item in tensors
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def carried(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a model made of this one's weights has in its card too: what it is shown of an example,
    and how pixels are normalised."""
    return {name: card[name] for name in ("images", "inputs") if name in card}
