"""What is in a checkpoint, from its header, configuration and card alone; no tensor is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.interop.gpt2_config import from_huggingface, read_config_json
from training.weights.card import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, read_card
from training.weights.header import Header, read_header
from training.weights.plan import block_of


def inspect(path: Path) -> dict[str, Any]:
    """Layers, shapes and sizes as JSON.

    Args:
        path: A checkpoint's folder, or one safetensors file.

    Returns:
        ``tensors`` (``[{name, block, dtype, shape, parameters, bytes}]``, in the order of the
        file), ``blocks`` (``[{block, tensors, parameters, bytes}]``, in the model's order),
        ``parameters``, ``bytes``, ``dtypes``, ``metadata``; for a folder also ``config`` and
        ``architecture``, and for one of ours ``card`` (without its list of tensors).

    Raises:
        TrainingError: ``weights_*``, ``config_*`` or ``checkpoint_*``.
    """
    file = path / WEIGHTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise TrainingError("checkpoint_missing", folder=path.name, file=file.name)
    if file == path:
        return _describe(read_header(path))
    payload = _describe(read_header(path / WEIGHTS_FILE))
    if (path / CONFIG_FILE).is_file():
        config = from_huggingface(read_config_json(path / CONFIG_FILE))
        payload |= {"architecture": config.architecture, "config": config.model_dump(mode="json")}
    if (path / CARD_FILE).is_file():
        card = read_card(path)
        payload["card"] = {key: card[key] for key in card if key != "tensors"}
    return payload


def _describe(header: Header) -> dict[str, Any]:
    tensors = [
        {
            "name": info.name,
            "block": block_of(info.name),
            "dtype": info.dtype,
            "shape": list(info.shape),
            "parameters": info.size,
            "bytes": info.nbytes,
        }
        for info in header.tensors.values()
    ]
    blocks: dict[str, dict[str, Any]] = {}
    for info in header.tensors.values():
        name = block_of(info.name)
        block = blocks.setdefault(name, {"block": name, "tensors": 0, "parameters": 0, "bytes": 0})
        block["tensors"] += 1
        block["parameters"] += info.size
        block["bytes"] += info.nbytes
    infos = header.tensors.values()
    return {
        "parameters": sum(info.size for info in infos),
        "bytes": sum(info.nbytes for info in infos),
        "dtypes": sorted({info.dtype for info in infos}),
        "tensors": tensors,
        "blocks": sorted(blocks.values(), key=lambda block: _place(block["block"])),
        "metadata": header.metadata,
    }


def _place(block: str) -> float:
    if block.startswith("h."):
        return float(block[2:])
    return {"embeddings": -1.0, "final_norm": math.inf, "head": math.inf}[block]
