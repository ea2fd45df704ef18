"""An ensemble's checkpoint: the combination's numbers, and its members whole.

    config.json          kind, classes, combination, members with their hashes and inputs
    model.safetensors    ``weights``, or stacking's matrix; float32
    members/0/ …         the members' checkpoints, file for file
    card.json            as of any checkpoint; its hash of the weights is over all of them

``docs/decisions/0012-ensembles.md`` says why the members are in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from training.durable import durable_folder, json_bytes
from training.ensembles.combining import Combined
from training.ensembles.spec import Combination
from training.errors import TrainingError
from training.hashing import file_hash
from training.predicting.inputs import InputSizes
from training.settings import Settings
from training.weights.card import (
    CARD_FILE,
    CARD_VERSION,
    CONFIG_FILE,
    ENSEMBLE,
    WEIGHTS_FILE,
    read_card,
    weights_sha256,
)
from training.weights.checkpoint import Checkpoint, read_checkpoint
from training.weights.tensors import open_tensors, write_tensors


class MemberConfig(Settings):
    """A member, as ``config.json`` has it.

    Attributes:
        folder: Where its checkpoint is, below the ensemble's.
        architecture: Its own.
        parameters: Trained values.
        weights_sha256: Identity of its weights.
        inputs: What it is shown.
    """

    #: Never out of the ensemble's own folder, whoever wrote the file.
    folder: str = Field(pattern=r"^members/[0-9]{1,3}$")
    architecture: str
    parameters: int
    weights_sha256: str
    inputs: InputSizes


class EnsembleConfig(Settings):
    """``config.json``.

    Attributes:
        kind: Of the data.
        classes: Names, in the order of what is predicted.
        combination: How.
        chosen: The strength of stacking's regularisation; else 0.
        target: Of tables: which column is predicted.
    """

    architecture: Literal["ensemble"] = ENSEMBLE
    kind: Literal["text", "image", "table"]
    classes: list[str]
    combination: Combination
    chosen: float = 0.0
    target: str = ""
    members: list[MemberConfig] = Field(min_length=2)


@dataclass(frozen=True)
class Ensemble:
    """An opened ensemble."""

    config: EnsembleConfig
    card: dict[str, Any]
    combined: Combined
    members: list[Checkpoint]


def write_ensemble(
    folder: Path,
    config: EnsembleConfig,
    combined: Combined,
    members: Sequence[Checkpoint],
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """Write an ensemble, whole or not at all.

    Args:
        folder: Where; what stands there is replaced.
        config: Its description, a member for each of ``members``.
        combined: How they are combined.
        members: Whose folders are copied.
        card: ``made_by``, ``data``, ``scores``; the rest is filled in.

    Returns:
        The complete card.

    Raises:
        TrainingError: ``disk_full_writing``; nothing is left behind.
    """
    complete: dict[str, Any] = {}

    def write_card(temporary: Path) -> None:
        complete["files"] = {
            path.relative_to(temporary).as_posix(): {
                "blake3": file_hash(path),
                "size": path.stat().st_size,
            }
            for path in sorted(temporary.rglob("*"))
            if path.is_file() and path != temporary / WEIGHTS_FILE
        }
        (temporary / CARD_FILE).write_bytes(json_bytes(complete))

    with durable_folder(
        folder, point="checkpoint", what="the checkpoint", last=write_card
    ) as temporary:
        described = write_tensors(temporary / WEIGHTS_FILE, combined.arrays(), point="checkpoint")
        (temporary / CONFIG_FILE).write_bytes(json_bytes(config.model_dump(mode="json")))
        for one, member in zip(config.members, members, strict=True):
            _copy(member, temporary / one.folder)
            described += [
                {**tensor, "name": f"{one.folder.replace('/', '.')}.{tensor['name']}"}
                for tensor in member.card["tensors"]
            ]
        complete.update(
            {"method": ENSEMBLE, "scores": {}, "steps": 0}
            | dict(card)
            | {
                "version": CARD_VERSION,
                "architecture": ENSEMBLE,
                "classes": config.classes,
                "parents": [member.weights_sha256 for member in members],
                "parameters": sum(one.parameters for one in config.members)
                + sum(array.size for array in combined.arrays().values()),
                "tensors": described,
                "weights_sha256": weights_sha256(described),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
    return complete


def _copy(member: Checkpoint, target: Path) -> None:
    """A member's files: those of its card, and nothing else that may lie beside them."""
    for name in (*member.card["files"], WEIGHTS_FILE, CARD_FILE):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(member.folder / name, target / name)


def is_ensemble(folder: Path) -> bool:
    """Whether a folder is an ensemble's checkpoint.

    Raises:
        TrainingError: ``checkpoint_missing``, ``checkpoint_invalid``, ``checkpoint_version``.
    """
    return bool(read_card(folder).get("architecture") == ENSEMBLE)


def read_config(folder: Path) -> EnsembleConfig:
    """``config.json`` of an ensemble.

    Raises:
        TrainingError: ``checkpoint_invalid``.
    """
    try:
        return EnsembleConfig.model_validate(json.loads((folder / CONFIG_FILE).read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise TrainingError("checkpoint_invalid", file=CONFIG_FILE, detail=str(error)) from error


def read_ensemble(folder: Path) -> Ensemble:
    """Open an ensemble; no weights of its members are read.

    Raises:
        TrainingError: ``ensemble_expected``: it is another checkpoint; ``checkpoint_*``,
            ``weights_*``.
    """
    card = read_card(folder)
    if card.get("architecture") != ENSEMBLE:
        raise TrainingError("ensemble_expected", field="checkpoint")
    config = read_config(folder)
    tensors = open_tensors(folder / WEIGHTS_FILE)
    try:
        arrays = {name: np.array(tensors[name]) for name in tensors}
        combined = Combined.of(config.combination, arrays, config.chosen)
    except KeyError as error:
        raise TrainingError(
            "checkpoint_invalid", file=WEIGHTS_FILE, detail=f"{error} is missing"
        ) from error
    members = [read_checkpoint(folder / one.folder) for one in config.members]
    for one, member in zip(config.members, members, strict=True):
        if member.weights_sha256 != one.weights_sha256:
            raise TrainingError("checkpoint_corrupt", file=one.folder)
    return Ensemble(config, card, combined, members)
