"""What is in a checkpoint, from its header, configuration and card alone; no tensor is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.interop.forms import read_config
from training.interop.forms.form import read_config_json
from training.weights.blocks import Blocks, blocks_of
from training.weights.card import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, read_card
from training.weights.header import Header, read_header


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
    header, blocks = read_header(file), Blocks()
    about: dict[str, Any] = {}
    if path.is_dir() and (path / CONFIG_FILE).is_file():
        config = read_config(read_config_json(path / CONFIG_FILE), header.tensors)
        about = {"architecture": config.architecture, "config": config.model_dump(mode="json")}
        blocks = Blocks(blocks_of(config))
    if path.is_dir() and (path / CARD_FILE).is_file():
        card = read_card(path)
        about["card"] = {key: card[key] for key in card if key != "tensors"}
    return _describe(header, blocks) | about


def _describe(header: Header, known: Blocks) -> dict[str, Any]:
    infos = list(header.tensors.values())
    block_of = {info.name: known.of(info.name) for info in infos}
    tensors = [
        {
            "name": info.name,
            "block": block_of[info.name],
            "dtype": info.dtype,
            "shape": list(info.shape),
            "parameters": info.size,
            "bytes": info.nbytes,
        }
        for info in infos
    ]
    blocks: dict[str, dict[str, Any]] = {}
    for info in infos:
        name = block_of[info.name]
        block = blocks.setdefault(name, {"block": name, "tensors": 0, "parameters": 0, "bytes": 0})
        block["tensors"] += 1
        block["parameters"] += info.size
        block["bytes"] += info.nbytes
    return {
        "parameters": sum(info.size for info in infos),
        "bytes": sum(info.nbytes for info in infos),
        "dtypes": sorted({info.dtype for info in infos}),
        "tensors": tensors,
        "blocks": sorted(blocks.values(), key=lambda block: known.key(block["block"])),
        "metadata": header.metadata,
    }
