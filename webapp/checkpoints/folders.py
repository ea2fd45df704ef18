"""From the engine's ``checkpoint/`` folder to what a row needs, and back; for workers.

Reads JSON and the safetensors header only: no TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.ensembles.folder import read_config as read_ensemble_config
from training.interop.forms import read_config
from training.interop.forms.form import read_config_json
from training.settings import Settings
from training.weights.card import ENSEMBLE, read_card
from training.weights.header import read_header
from webapp import storage


@dataclass(frozen=True)
class StoredFolder:
    """A checkpoint folder whose files are in the store; keywords of ``checkpoint_create``.

    Attributes:
        folder_manifest: ``{path: {blake3, size}}``.
        card: ``card.json``.
        config: The model as its configuration's fields.
        tensors: ``{name, dtype, shape}`` each.
        scores: The card's.
    """

    folder_manifest: dict[str, dict[str, Any]]
    card: dict[str, Any]
    config: dict[str, Any]
    tensors: list[dict[str, Any]]
    scores: dict[str, Any]

    def fields(self) -> dict[str, Any]:
        return dict(vars(self))


def store_checkpoint(folder: Path) -> StoredFolder:
    """Put a checkpoint folder into the store; safe to repeat.

    Raises:
        TrainingError: It is not a checkpoint.
        StoreFull: No space left.
    """
    card = read_card(folder)
    header = read_header(folder / "model.safetensors")
    config: Settings
    if card.get("architecture") == ENSEMBLE:
        config = read_ensemble_config(folder)
    else:
        config = read_config(read_config_json(folder / "config.json"), header.tensors)
    return StoredFolder(
        folder_manifest=storage.store_folder(folder, link=True),
        card={key: value for key, value in card.items() if key != "tensors"},
        config=config.model_dump(mode="json"),
        tensors=[
            {"name": info.name, "dtype": info.dtype, "shape": list(info.shape)}
            for info in header.tensors.values()
        ],
        scores=card.get("scores") or {},
    )
