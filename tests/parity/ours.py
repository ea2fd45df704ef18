"""Writes our logits of a checkpoint for ``tests.parity.make --check`` to compare with PyTorch's.

.venv/bin/python -m tests.parity.ours FOLDER logits.safetensors
.venv-parity/bin/python -m tests.parity.make --check FOLDER logits.safetensors
.venv/bin/python -m tests.parity.ours --text       a table of the other text architectures
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from tests.parity.fixtures import TEXTS, TOLERANCE, weights
from tests.parity.text import CASES, FOLDERS, OUTPUTS, comparable, inputs
from training.backbones.contract import BackboneConfig
from training.command_specs import ImportSpec
from training.data.tokenizer import Tokenizer
from training.events import EventLog
from training.interop import importing
from training.weights.card import CARD_FILE
from training.weights.checkpoint import Checkpoint, read_checkpoint


def logits_of(checkpoint: Checkpoint, tokens: np.ndarray) -> np.ndarray:
    """Our model's logits in float32, [batch, time, vocabulary]."""
    from training.backbones.gpt2.model import GPT2

    model = GPT2(checkpoint.config)
    model.load_named(checkpoint.tensors())
    return np.asarray(model(tokens))


def outputs_of(config: BackboneConfig, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our outputs for ``tests.parity.text.inputs``, by the names that both sides use."""
    from training.backbones.registry import model_class

    model = model_class(config.architecture)(config)
    model.load_named(tensors)
    given = inputs(config)
    found = {"output": model(**given)}
    if getattr(config, "pooled", False) and config.model_dump()["head"] in ("none", "pretraining"):
        hidden = model.hidden(**given)
        first = hidden.numpy().reshape(*given["tokens"].shape, -1)[:, 0]
        if config.model_dump()["head"] == "none":
            found["pooled"] = model.pooled(first)
        else:
            found["next_sentence"] = model.next_sentence(first)
    return comparable(config, {key: np.asarray(value) for key, value in found.items()})


def import_folder(folder: Path, out: Path) -> Checkpoint:
    """A foreign folder as a checkpoint of ours, by the import job."""
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    importing.run(ImportSpec(kind="folder", path=str(folder)), out, log)
    log.close()
    return read_checkpoint(out / "checkpoint", verify=True)


def same_files(first: Checkpoint, second: Checkpoint) -> bool:
    """Whether two checkpoints are the same byte for byte, but for the card, which says when."""

    def contents(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.name != CARD_FILE
        }

    return contents(first.folder) == contents(second.folder)


def compare(folder: Path) -> int:
    """Import a folder that PyTorch saved, and compare our logits with those beside it."""
    expected = load_file(folder / "expected.safetensors")
    with tempfile.TemporaryDirectory() as scratch:
        ours = logits_of(import_folder(folder, Path(scratch) / "out"), expected["tokens"])
    difference = float(np.abs(ours - expected["logits"]).max())
    largest = float(np.abs(expected["logits"]).max())
    sys.stdout.write(
        f"largest difference of logits: {difference:.3g} (of values up to {largest:.3g})\n"
    )
    return 0 if difference <= TOLERANCE else 1


def compare_text() -> int:
    """Print a row for each case and folder of the other text architectures."""
    largest = 0.0
    for name, config in CASES.items():
        expected = load_file(OUTPUTS / f"{name}.safetensors")
        largest = max(largest, _row(name, outputs_of(config, weights(config, "float32")), expected))
    for folder in sorted(FOLDERS.iterdir()):
        with tempfile.TemporaryDirectory() as scratch:
            checkpoint = import_folder(folder, Path(scratch) / "out")
            ours = outputs_of(checkpoint.config, checkpoint.tensors())
        largest = max(largest, _row(folder.name, ours, load_file(folder / "expected.safetensors")))
    return 0 if largest <= TOLERANCE else 1


def _row(name: str, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    difference = max(float(np.abs(ours[key] - theirs[key]).max()) for key in theirs)
    largest = max(float(np.abs(value).max()) for value in theirs.values())
    sys.stdout.write(f"| {name} | {difference:.1e} | {largest:.1f} |\n")
    return difference


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--text", action="store_true", help="compare the cases kept beside this")
    parser.add_argument("logits", type=Path, nargs="?")
    parser.add_argument("--expected", action="store_true", help="FOLDER is from PyTorch")
    arguments = parser.parse_args()
    if arguments.text:
        return compare_text()
    if arguments.folder is None:
        parser.error("say which folder")
    if arguments.expected:
        return compare(arguments.folder)
    if arguments.logits is None:
        parser.error("say where to write the logits")
    checkpoint = read_checkpoint(arguments.folder)
    tokenizer = Tokenizer.load(checkpoint.tokenizer_folder)
    length = min(64, checkpoint.config.n_positions)
    tokens = np.random.default_rng(0).integers(0, tokenizer.size, (2, length), dtype=np.int32)
    save_file(
        {"tokens": tokens, "logits": logits_of(checkpoint, tokens)},
        arguments.logits,
        {"texts": json.dumps(TEXTS), "ids": json.dumps(tokenizer.encode_batch(TEXTS))},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
