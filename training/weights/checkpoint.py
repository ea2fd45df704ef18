"""The checkpoint folder: weights only, no code, no pickle; ``transformers`` opens it as it is.

``docs/formats.md`` describes the files. ``card.json`` is written last, with the hash of every
other file in it, and the folder gets its name by one rename: a folder with a card is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES
from training.durable import durable_folder, json_bytes
from training.errors import TrainingError
from training.faults import fault_point
from training.hashing import file_hash
from training.interop.forms import FORMS, form_of
from training.interop.forms.form import read_config_json
from training.weights.card import (
    CARD_FILE,
    CARD_VERSION,
    CONFIG_FILE,
    ENSEMBLE,
    WEIGHTS_FILE,
    read_card,
    weights_sha256,
)
from training.weights.header import TensorInfo, read_header
from training.weights.tensors import MappedTensors, stored_hash, write_tensors

GENERATION_FILE = "generation_config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "special_tokens_map.json",
)

#: safetensors' names of the types that weights may have → PyTorch's.
WEIGHT_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class SavesItself(Protocol):
    """What a checkpoint needs of a tokenizer (:class:`training.data.tokenizers.TextTokenizer`)."""

    @property
    def special_ids(self) -> Mapping[str, int]: ...
    @property
    def control(self) -> Mapping[str, int]: ...

    def save(self, folder: Path, context: int | None = None) -> None: ...


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint; tensors are read only when asked for.

    Attributes:
        folder: Where it is.
        config: The model.
        card: ``card.json``.
        infos: Tensor name → where it lies, from the header alone.
        dropout: Rates in ``config.json``, by Hugging Face's names.
    """

    folder: Path
    config: BackboneConfig
    card: dict[str, Any]
    infos: dict[str, TensorInfo]
    dropout: dict[str, float]

    def tensors(self) -> MappedTensors:
        """Name → read-only array, mapped from the file when looked up."""
        return MappedTensors(self.infos)

    def tensor_hashes(self) -> dict[str, str]:
        """Tensor name → hash over its bytes, taken when it was written: from the card."""
        return {str(item["name"]): str(item["blake3"]) for item in self.card["tensors"]}

    @property
    def tokenizer_folder(self) -> Path:
        return self.folder

    @cached_property
    def weights_sha256(self) -> str:
        return str(self.card["weights_sha256"])


def write_checkpoint(
    folder: Path,
    config: BackboneConfig,
    tensors: Mapping[str, np.ndarray],
    tokenizer: SavesItself | None,
    card: Mapping[str, Any],
    *,
    dropout: Mapping[str, float] | None = None,
    extras: Callable[[Path], None] | None = None,
    prove: Callable[[Path, Mapping[str, str]], None] | None = None,
    verbatim: Mapping[str, TensorInfo] | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Write a checkpoint, whole or not at all.

    Fault points: ``checkpoint.tensor`` (once a tensor), ``checkpoint.tokenizer``,
    ``checkpoint.write``, ``checkpoint.card``, ``checkpoint.sync``, ``checkpoint.rename``.

    Args:
        folder: Where; what stands there is replaced.
        config: The model.
        tensors: Exactly the tensors that ``config`` names, as float32, float16 or bfloat16; looked
            up one at a time, so that a lazy mapping keeps memory low.
        tokenizer: Saved beside the weights; ``None`` for models without text.
        card: ``method``, ``made_by``, ``parents``, ``data``, ``scores``, ``steps``; the rest is
            filled in.
        dropout: Rates for ``config.json``; the engine takes its own from the run's spec.
        extras: Called with the temporary folder to add files (``adapter/``).
        prove: Called with the temporary folder and each tensor's hash once the weights are written;
            what it refuses is not kept.
        verbatim: Tensors that are copied from a file as they are; see
            :func:`training.weights.tensors.write_tensors`.
        progress: Told the share of the weights that has been written; see there.

    Returns:
        The complete card.

    Raises:
        TrainingError: ``disk_full_writing`` (nothing is left behind), ``checkpoint_tensors``.
    """
    complete: dict[str, Any] = {}

    def write_card(temporary: Path) -> None:
        complete["files"] = _describe_files(temporary)
        fault_point("checkpoint.card")
        (temporary / CARD_FILE).write_bytes(json_bytes(complete))

    with durable_folder(
        folder, point="checkpoint", what="the checkpoint", last=write_card
    ) as temporary:
        described = write_tensors(
            temporary / WEIGHTS_FILE,
            tensors,
            point="checkpoint",
            verbatim=verbatim,
            progress=progress,
        )
        if prove is not None:
            prove(temporary, {str(item["name"]): str(item["blake3"]) for item in described})
        _check_fit(config, {str(item["name"]): item for item in described})
        special = {} if tokenizer is None else dict(tokenizer.special_ids)
        types = {str(item["dtype"]) for item in described}
        stored = WEIGHT_TYPES[types.pop()] if len(types) == 1 else "float32"
        _write_json(
            temporary / CONFIG_FILE,
            FORMS[config.architecture].write(
                config, special=special, dtype=stored, dropout=dropout
            ),
        )
        if BACKBONES[config.architecture].writes:
            ends = {"bos_token_id": None, "eos_token_id": None} | special
            _write_json(temporary / GENERATION_FILE, {"_from_model_config": True} | ends)
        if tokenizer is not None:
            tokenizer.save(temporary, config.context)
        fault_point("checkpoint.tokenizer")
        if extras is not None:
            extras(temporary)
        complete.update(
            {"method": None, "made_by": {}, "parents": [], "data": None, "scores": {}, "steps": 0}
            | dict(card)
            | {
                "version": CARD_VERSION,
                "architecture": config.architecture,
                "parameters": config.parameter_count(),
                "tensors": described,
                "weights_sha256": weights_sha256(described),
                **({"control": list(tokenizer.control)} if tokenizer and tokenizer.control else {}),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
    return complete


def read_checkpoint(folder: Path, *, verify: bool = False) -> Checkpoint:
    """Open a checkpoint that we wrote; no tensor is read unless ``verify``.

    Args:
        folder: The checkpoint.
        verify: Also hash every tensor and every other file, and compare with the card.

    Raises:
        TrainingError: ``checkpoint_*``, ``weights_*`` or ``config_*``.
    """
    card = read_card(folder)
    if card.get("architecture") == ENSEMBLE:
        raise TrainingError("checkpoint_is_ensemble")
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise TrainingError("checkpoint_missing", folder=folder.name, file=name)
    payload = read_config_json(folder / CONFIG_FILE)
    form = form_of(payload)
    infos = read_header(folder / WEIGHTS_FILE).tensors
    config = form.read(payload, infos)
    _check_fit(
        config, {name: {"dtype": info.dtype, "shape": info.shape} for name, info in infos.items()}
    )
    if verify:
        for name, entry in card["files"].items():
            path = folder / name
            if not path.is_file() or file_hash(path) != entry["blake3"]:
                raise TrainingError("checkpoint_corrupt", file=name)
        told = {item["name"]: item["blake3"] for item in card["tensors"]}
        if told != {name: stored_hash(info) for name, info in infos.items()}:
            raise TrainingError("checkpoint_corrupt", file=WEIGHTS_FILE)
    return Checkpoint(folder, config, card, infos, form.dropout_of(payload))


def _describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Every file but the weights, whose tensors have hashes of their own."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != WEIGHTS_FILE:
            found[name] = {"blake3": file_hash(path), "size": path.stat().st_size}
    return found


def _check_fit(config: BackboneConfig, tensors: Mapping[str, Mapping[str, Any]]) -> None:
    """The tensors must be exactly those of the configuration."""
    wanted = {spec.name: spec.shape for spec in config.tensors()}
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"{name} does not belong to it" for name in tensors if name not in wanted]
    for name, tensor in tensors.items():
        shape = tuple(tensor["shape"])
        if name in wanted and shape != wanted[name]:
            problems.append(f"{name} is {list(shape)} and not {list(wanted[name])}")
        if tensor["dtype"] not in WEIGHT_TYPES:
            problems.append(f"{name} has the type {tensor['dtype']}")
    if problems:
        more = f" ({len(problems)} in all)" if len(problems) > 3 else ""
        raise TrainingError("checkpoint_tensors", detail="; ".join(problems[:3]) + more)


def _write_json(path: Path, payload: Any) -> None:
    path.write_bytes(json_bytes(payload))
