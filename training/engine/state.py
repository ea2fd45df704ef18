"""The complete training state on disk: written whole, checked by hash, two kept.

A state holds what training changes (weights, optimiser slots, the best weights so far) and the
step; batches, dropout and the learning rate are computed from the seed and the step, so nothing
else is hidden anywhere. Tensors that LoRA leaves frozen come again from the source and the seed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.durable import durable_folder, json_bytes
from training.errors import TrainingError
from training.faults import fault_point
from training.hashing import file_hash
from training.weights.tensors import open_tensors, write_tensors

VERSION = 2
KEPT = 2
WEIGHTS, OPTIMIZER, BEST = "weights.safetensors", "optimizer.safetensors", "best.safetensors"


@dataclass
class Position:
    """Where a run stands; ``state.json`` without the hashes.

    Attributes:
        step: Updates done.
        tokens: Real tokens trained on; examples, where the task counts these.
        seed: The run's.
        spec_sha256: Of the frozen spec; another spec's state is never continued.
        elapsed_s: Time spent training, earlier processes' included.
        threads: TensorFlow's threads, taken again on resume.
        data: ``{epoch, index}`` of the next sequence, for people; the step decides.
        best: ``{step, validation_loss}`` or None before the first look.
        before: Scores before the first step.
    """

    step: int
    tokens: int
    seed: int
    spec_sha256: str
    elapsed_s: float
    threads: tuple[int, int]
    data: dict[str, int] = field(default_factory=dict)
    best: dict[str, float] | None = None
    before: dict[str, Any] | None = None


@dataclass
class Saved:
    """A state that was found complete; the tensors are mapped from its files."""

    folder: Path
    position: Position
    weights: Mapping[str, np.ndarray]
    optimizer: Mapping[str, np.ndarray]
    best: Mapping[str, np.ndarray] | None


def save(
    root: Path,
    position: Position,
    weights: Mapping[str, np.ndarray],
    optimizer: Mapping[str, np.ndarray],
    best: Mapping[str, np.ndarray] | None,
) -> Path:
    """Write ``root/step-N`` and remove all but the last :data:`KEPT`.

    The best weights are written only when they are new: a state whose own weights are the best, or
    an earlier state with the same best, shares its file by a hard link.

    Raises:
        TrainingError: ``disk_full_writing``; the states already there stay.
    """
    target = root / f"step-{position.step:08d}"
    files: dict[str, str] = {}
    what = f"the training state of step {position.step}"

    def finish(folder: Path) -> None:
        document = {"version": VERSION, **asdict(position), "files": files}
        (folder / "state.json").write_bytes(json_bytes(document))

    with durable_folder(target, point="state", what=what, last=finish) as folder:
        files[WEIGHTS] = _write(folder / WEIGHTS, weights, "state.weights")
        files[OPTIMIZER] = _write(folder / OPTIMIZER, optimizer, "state.optimizer")
        if best is not None and position.best is not None:
            files[BEST] = _keep_best(root, folder, position, files[WEIGHTS], best)
    fault_point("state.saved")
    for old in sorted(root.glob("step-*"))[:-KEPT]:
        fault_point("state.prune")
        shutil.rmtree(old, ignore_errors=True)
    return target


def newest(root: Path, spec_sha256: str, warn: Callable[[str], None]) -> Saved | None:
    """The newest state that is complete; damaged ones are told of and passed over.

    Raises:
        TrainingError: ``state_of_another_run`` when the folder belongs to another spec.
    """
    for folder in sorted(root.glob("step-*"), reverse=True):
        try:
            saved = _open(folder)
        except (OSError, ValueError, KeyError, TypeError, TrainingError) as error:
            warn(f"The state {folder.name} is damaged and was passed over: {error}")
            continue
        if saved.position.spec_sha256 != spec_sha256:
            raise TrainingError("state_of_another_run")
        return saved
    return None


def _open(folder: Path) -> Saved:
    document = json.loads((folder / "state.json").read_text())
    if document.pop("version") != VERSION:
        raise ValueError("unknown version")
    files = document.pop("files")
    for name, expected in files.items():
        if file_hash(folder / name) != expected:
            raise ValueError(f"{name} is not what was written")
    document["threads"] = tuple(document["threads"])
    return Saved(
        folder,
        Position(**document),
        open_tensors(folder / WEIGHTS),
        open_tensors(folder / OPTIMIZER),
        open_tensors(folder / BEST) if BEST in files else None,
    )


def _keep_best(
    root: Path, folder: Path, position: Position, weights_hash: str, best: Mapping[str, np.ndarray]
) -> str:
    assert position.best is not None
    if position.best["step"] == position.step:
        os.link(folder / WEIGHTS, folder / BEST)
        return weights_hash
    for earlier in sorted(root.glob("step-*"), reverse=True):
        try:
            document = json.loads((earlier / "state.json").read_text())
            if document["best"]["step"] == position.best["step"]:
                os.link(earlier / BEST, folder / BEST)
                return str(document["files"][BEST])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return _write(folder / BEST, best, "state.best")


def _write(path: Path, tensors: Mapping[str, np.ndarray], point: str) -> str:
    write_tensors(path, tensors, point=point)
    return file_hash(path)
