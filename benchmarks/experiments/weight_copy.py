"""What copying into another shape is worth: deeper, half as deep, another vocabulary.

    python -m benchmarks.experiments weight_copy

Everything goes through ``python -m training``. For each seed a nano GPT-2 learns Brown for 400
steps, then

- grows from 4 to 8 layers by layers that pass on what they get: its logits may differ by 1e-5;
- loses every other layer, 4 → 2, and trains on for 150 steps on Brown, beside the same two layers
  from random weights: at least 0.2 nats below;
- gets the vocabulary of Moby Dick, rows by token, and trains there for 50 steps, beside the same
  copy with random rows: at least 0.1 nats below.

Exit code 1 when a bar is missed for any seed. About four minutes a seed on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.experiments.transfer import PRETRAIN_STEPS, SAMPLES, prepare, spec, work
from training.backbones.gpt2.config import PRESETS

SHRUNK_STEPS, SWAPPED_STEPS = 150, 50
GROWN_BAR, SHRUNK_BAR, SWAPPED_BAR = 1e-5, 0.2, 0.1
NANO = PRESETS["nano"]


def main(arguments: list[str]) -> None:
    """Train for each seed, and print a row of the table for each."""
    parser = argparse.ArgumentParser(prog="weight_copy", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help="keep everything here, and go on from it")
    options = parser.parse_args(arguments)
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = (options.out or Path(scratch)).resolve()
        data = {name: prepare(path, out / f"{name}-data") for name, path in SAMPLES.items()}
        print(
            "| seed | 4 → 8 layers: logits differ by | 4 → 2 layers: from the copy / from scratch "
            "| another vocabulary: overlap | rows by token / random rows |"
        )
        print("| --- | --- | --- | --- | --- |", flush=True)
        for seed in options.seeds:
            grown, shrunk, swapped = one_seed(seed, data, out / f"seed-{seed}")
            print(
                f"| {seed} | {grown:.1e} | {shrunk[0]:.3f} / {shrunk[1]:.3f} "
                f"| {swapped['overlap']} % | {swapped['tokens']:.3f} / {swapped['random']:.3f} |",
                flush=True,
            )
            kept = (
                grown <= GROWN_BAR
                and shrunk[1] - shrunk[0] >= SHRUNK_BAR
                and swapped["random"] - swapped["tokens"] >= SWAPPED_BAR
            )
            missed += [] if kept else [seed]
    if missed:
        sys.exit(f"A bar is missed with seed {', '.join(map(str, missed))}.")
    print("All bars are kept by every seed.")


def one_seed(
    seed: int, data: dict[str, Path], out: Path
) -> tuple[float, tuple[float, float], dict[str, Any]]:
    """Difference of logits; losses from the copy and from scratch; overlap and losses."""
    pretrain = spec(
        data["brown"],
        PRETRAIN_STEPS,
        seed=seed,
        tokenizer={"kind": "train", "vocabulary_size": NANO.vocab_size},
        model=NANO.model_dump(),
    )
    work("run", pretrain, out / "pretrain")
    source = out / "pretrain" / "checkpoint"

    deep = NANO.model_copy(update={"n_layer": 8}).model_dump()
    copy(source, out / "grown", seed, model=deep, settings={"new_layers": "identity"})
    grown = difference(source, out / "grown" / "checkpoint")

    flat = NANO.model_copy(update={"n_layer": 2}).model_dump()
    copy(source, out / "shrunk", seed, model=flat, settings={"layers": "spread"})
    shrunk = (
        loss_after(SHRUNK_STEPS, data["brown"], seed, out / "shrunk-run", out / "shrunk"),
        loss_after(
            SHRUNK_STEPS, data["brown"], seed, out / "flat-run", out / "shrunk", scratch=flat
        ),
    )

    found: dict[str, Any] = {}
    for vocabulary in ("tokens", "random"):
        folder = out / f"swapped-{vocabulary}"
        report = copy(
            source,
            folder,
            seed,
            settings={"vocabulary": vocabulary},
            tokenizer={"kind": "train", "vocabulary_size": NANO.vocab_size},
            data={"path": str(data["moby"])},
        )
        for note in report["plan"]["notes"]:
            found["overlap"] = note["params"].get("percent", found.get("overlap"))
        found[vocabulary] = loss_after(
            SWAPPED_STEPS, data["moby"], seed, out / f"swapped-{vocabulary}-run", folder
        )
    return grown, shrunk, found


def copy(source: Path, out: Path, seed: int, **parts: Any) -> dict[str, Any]:
    """``python -m training transfer``; its report. The seed decides the values of what is new."""
    return work("transfer", {"source": {"checkpoint": str(source)}, "seed": seed, **parts}, out)


def loss_after(
    steps: int,
    dataset: Path,
    seed: int,
    out: Path,
    copied: Path,
    scratch: dict[str, Any] | None = None,
) -> float:
    """Validation loss after training from a copy, or the same model and tokenizer from scratch."""
    folder = str(copied / "checkpoint")
    start: dict[str, Any] = {"source": {"checkpoint": folder}, "tokenizer": {"kind": "source"}}
    if scratch is not None:
        start = {"model": scratch, "tokenizer": {"kind": "checkpoint", "checkpoint": folder}}
    report = work("run", spec(dataset, steps, seed=seed, **start), out)
    return float(report["curves"]["validation_loss"][-1][1])


def difference(one: Path, other: Path) -> float:
    """Largest difference of the logits of two checkpoints on random tokens."""
    import numpy as np

    from training.engine.compare import logits_of

    tokens = np.random.default_rng(0).integers(0, NANO.vocab_size, (4, 128), dtype=np.int32)
    return float(np.abs(logits_of(one, tokens) - logits_of(other, tokens)).max())
