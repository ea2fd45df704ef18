"""A real training, small enough to be disturbed again and again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.faults.site import ROOT
from tests.integration.training.tiny import write_dataset
from training.events import read_events


def spec(folder: Path, steps: int = 60) -> dict[str, Any]:
    """A GPT-2 of one block, 16 wide; its data set is made in ``folder``."""
    if not (folder / "dataset").exists():
        write_dataset(folder / "dataset")
    return {
        "seed": 7,
        "data": {"path": str(folder / "dataset")},
        "tokenizer": {"kind": "train", "vocabulary_size": 300},
        "model": {"vocab_size": 300, "n_positions": 32, "n_embd": 16, "n_layer": 1, "n_head": 2},
        "training": {
            "steps": steps,
            "batch_size": 4,
            "sequence_length": 16,
            "warmup_steps": 2,
            "dropout": 0.1,
        },
        "evaluation": {
            "every": 20,
            "batches": 2,
            "checkpoint_every": 5,
            "sample_every": 30,
            "sample_tokens": 6,
        },
    }


def undisturbed(run: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """The curve of the same spec, trained from the command line without the portal."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(run))
    subprocess.run(
        [
            *(sys.executable, "-m", "training", "run", str(folder / "spec.json")),
            *("--out", str(folder / "out"), "--quiet"),
        ],
        cwd=ROOT,
        check=True,
    )
    curve: dict[str, dict[str, Any]] = {}
    for event in read_events(folder / "out" / "events.jsonl")[0]:
        if event["kind"] == "metric":
            curve.setdefault(str(event["step"]), {}).update(event["values"])
    return curve
