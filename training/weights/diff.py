"""What two checkpoints differ in: settings, tensors by name, and how far apart their values are.

Tensors whose hashes stand on both cards are compared by these; only those that differ are read, a
slice at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import TrainingError
from training.hashing import file_hash
from training.interop.forms import read_config
from training.interop.forms.form import read_config_json
from training.weights.blocks import Blocks, blocks_of
from training.weights.card import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, read_card
from training.weights.checkpoint import TOKENIZER_FILES
from training.weights.header import read_header
from training.weights.tensors import NUMPY_TYPES, MappedTensors, slices


@dataclass
class _Sums:
    """What the distance of two vectors follows from; those of slices and tensors add up."""

    values: int = 0
    squares_a: float = 0.0
    squares_b: float = 0.0
    products: float = 0.0
    squares_apart: float = 0.0
    most: float = 0.0

    def add(self, other: _Sums) -> None:
        self.values += other.values
        self.squares_a += other.squares_a
        self.squares_b += other.squares_b
        self.products += other.products
        self.squares_apart += other.squares_apart
        # max() would let a NaN pass by.
        self.most = float(np.maximum(self.most, other.most))

    def to_json(self) -> dict[str, float | None]:
        lengths = math.sqrt(self.squares_a) * math.sqrt(self.squares_b)
        apart = math.sqrt(self.squares_apart)
        found = {
            "relative_l2": apart / math.sqrt(self.squares_a) if self.squares_a else None,
            "cosine": self.products / lengths if lengths else None,
            "max_abs": self.most if self.values else None,
        }
        return {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in found.items()
        }


@dataclass(frozen=True)
class _Side:
    """One of the two: a checkpoint's folder, or a safetensors file alone."""

    tensors: MappedTensors
    hashes: dict[str, str]
    config: dict[str, Any]
    files: dict[str, str]
    blocks: dict[str, str]


def diff(a: Path, b: Path) -> dict[str, Any]:
    """Compare two checkpoints.

    Args:
        a: A checkpoint's folder, ours or Hugging Face's, or one safetensors file.
        b: The other.

    Returns:
        ``equal``; ``config``: ``[{name, a, b}]`` of the settings that differ; ``files``: names of
        tokenizer files that differ; ``only_a``, ``only_b``: names of tensors; ``same``: how many
        tensors have the same type, shape and bytes; ``different``: ``[{name, block, shape, dtype,
        relative_l2, cosine, max_abs}]`` of the others, ``shape`` and ``dtype`` as ``[a's, b's]``;
        ``blocks``: ``[{block, same, different, only_a, only_b, relative_l2, cosine, max_abs}]`` in
        the model's order; and ``relative_l2``, ``cosine`` and ``max_abs`` over all.

        ``relative_l2`` is ‖b − a‖ / ‖a‖. The numbers of blocks, and those over all, are of the
        tensors in ``different`` that have the same shape. They are null where there are none, where
        a length is zero, and where values are not finite.

    Raises:
        TrainingError: ``checkpoint_missing``, ``weights_*``, ``config_*``, ``checkpoint_*``.
    """
    one, two = _open(a), _open(b)
    known = Blocks(two.blocks | one.blocks)
    blocks: dict[str, dict[str, Any]] = {}
    sums: dict[str, _Sums] = {}
    found: dict[str, list[Any]] = {"only_a": [], "only_b": [], "different": []}
    for name in dict.fromkeys((*one.tensors, *two.tensors)):
        block = known.of(name)
        counts = blocks.setdefault(
            block, {"block": block, "same": 0, "different": 0, "only_a": 0, "only_b": 0}
        )
        total = sums.setdefault(block, _Sums())
        if name in one.tensors and name in two.tensors:
            if _same(name, one, two):
                counts["same"] += 1
                continue
            infos = one.tensors.infos[name], two.tensors.infos[name]
            apart = _apart(name, one, two)
            total.add(apart)
            kind, entry = (
                "different",
                {
                    "name": name,
                    "block": block,
                    "shape": [list(info.shape) for info in infos],
                    "dtype": [info.dtype for info in infos],
                    **apart.to_json(),
                },
            )
        else:
            kind, entry = ("only_a" if name in one.tensors else "only_b"), name
        counts[kind] += 1
        found[kind].append(entry)
    whole = _Sums()
    for block, total in sums.items():
        blocks[block] |= total.to_json()
        whole.add(total)
    config, files = _unlike(one.config, two.config), _unlike(one.files, two.files)
    return {
        "equal": not (config or files or any(found.values())),
        "config": config,
        "files": [item["name"] for item in files],
        **found,
        "same": sum(counts["same"] for counts in blocks.values()),
        "blocks": sorted(blocks.values(), key=lambda item: known.key(item["block"])),
        **whole.to_json(),
    }


def _open(path: Path) -> _Side:
    file = path / WEIGHTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise TrainingError("checkpoint_missing", folder=path.name, file=file.name)
    infos = read_header(file).tensors
    hashes: dict[str, str] = {}
    config: dict[str, Any] = {}
    files: dict[str, str] = {}
    blocks: dict[str, str] = {}
    if path.is_dir() and (path / CONFIG_FILE).is_file():
        read = read_config(read_config_json(path / CONFIG_FILE), infos)
        config, blocks = read.model_dump(mode="json"), blocks_of(read)
        files = {
            name: file_hash(path / name) for name in TOKENIZER_FILES if (path / name).is_file()
        }
    if path.is_dir() and (path / CARD_FILE).is_file():
        hashes = {item["name"]: item["blake3"] for item in read_card(path)["tensors"]}
    return _Side(MappedTensors(infos), hashes, config, files, blocks)


def _same(name: str, one: _Side, two: _Side) -> bool:
    """Whether a tensor has the same type, shape and bytes in both, by the cards where they say."""
    infos = one.tensors.infos[name], two.tensors.infos[name]
    if infos[0].dtype != infos[1].dtype or infos[0].shape != infos[1].shape:
        return False
    if name in one.hashes and name in two.hashes:
        return one.hashes[name] == two.hashes[name]
    pairs = slices((one.tensors, two.tensors), name, NUMPY_TYPES[infos[0].dtype])
    return all(a.tobytes() == b.tobytes() for _values, (a, b) in pairs)


def _apart(name: str, one: _Side, two: _Side) -> _Sums:
    """How far a tensor is apart in both; nothing where the shapes differ."""
    total = _Sums()
    if one.tensors.infos[name].shape != two.tensors.infos[name].shape:
        return total
    for _values, (a, b) in slices((one.tensors, two.tensors), name, np.float64):
        difference = b - a
        total.add(
            _Sums(
                a.size,
                float(a @ a),
                float(b @ b),
                float(a @ b),
                float(difference @ difference),
                float(np.abs(difference).max()),
            )
        )
    return total


def _unlike(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """Keys with different values; nothing when one side says nothing at all."""
    if not a or not b:
        return []
    return [
        {"name": name, "a": a.get(name), "b": b.get(name)}
        for name in dict.fromkeys((*a, *b))
        if a.get(name) != b.get(name)
    ]


def as_text(found: dict[str, Any], most: int = 20) -> str:
    """What :func:`diff` returns, to be read: the blocks, and the tensors furthest apart."""
    if found["equal"]:
        return f"Equal: {found['same']} tensors, the same settings."
    lines = [f"{item['name']}: {item['a']} and {item['b']}" for item in found["config"]]
    lines += [f"{name} differs" for name in found["files"]]
    for side, names in (("first", found["only_a"]), ("second", found["only_b"])):
        lines += [f"only in the {side}: {name}" for name in names[:most]]
        if len(names) > most:
            lines.append(f"only in the {side}: {len(names) - most} more")
    numbers = ("relative_l2", "cosine", "max_abs")
    rows: list[tuple[str, ...]] = [
        ("block", "same", "different", "only in one", "relative L2", "cosine", "largest difference")
    ]
    for item in [*found["blocks"], {"block": "all"} | found]:
        is_sum = item["block"] == "all"
        rows.append(
            (
                item["block"],
                str(item["same"]),
                str(len(item["different"]) if is_sum else item["different"]),
                str(
                    len(item["only_a"]) + len(item["only_b"])
                    if is_sum
                    else item["only_a"] + item["only_b"]
                ),
                *(_number(item[name]) for name in numbers),
            )
        )
    lines += ["", *_columns(rows)]
    furthest = sorted(
        found["different"], key=lambda item: item["relative_l2"] or 0.0, reverse=True
    )[:most]
    if furthest:
        rows = [("tensor", "relative L2", "cosine", "largest difference", "shape or type")]
        for item in furthest:
            unlike = [
                f"{item[name][0]} → {item[name][1]}"
                for name in ("shape", "dtype")
                if item[name][0] != item[name][1]
            ]
            rows.append(
                (item["name"], *(_number(item[name]) for name in numbers), ", ".join(unlike))
            )
        lines += ["", *_columns(rows)]
        if (more := len(found["different"]) - len(furthest)) > 0:
            lines.append(f"and {more} more")
    return "\n".join(lines).strip()


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
