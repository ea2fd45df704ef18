"""A training step of nano GPT-2: ours beside KerasHub's, in turns.

    python -m benchmarks train_step

Same weights (a checkpoint that KerasHub converts itself), same batches of 16 × 128 tokens, float32,
no dropout, AdamW with the same rate, betas, decay and clipping. Ours is the loop of ``python -m
training run``, determinism included; KerasHub's is ``GPT2CausalLM.compile`` and ``train_on_batch``
as shipped (``jit_compile="auto"``) and with ``jit_compile=False``, without an accuracy metric. Both
read their batches with our packing code, which takes well under a millisecond.

That both compute the same thing is checked: the mean losses over every round agree within 0.005.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.models import keras_hub_model, make_checkpoint, make_dataset
from benchmarks.turns import Side, report, serve, take_turns

MODULE = "benchmarks.train_step"
OURS, PEER, PEER_GRAPH = "ours", "KerasHub as shipped", "KerasHub, jit_compile=False"
BATCH, LENGTH, RATE = 16, 128, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(prog="train_step", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=15, help="a round has")
    parser.add_argument("--side", choices=[OURS, PEER, PEER_GRAPH], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve((ours if options.side == OURS else peer)(options.folder, options.side))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_checkpoint(folder / "checkpoint", "nano", make_dataset(folder / "data"))
        sides = [Side(MODULE, name, "--folder", scratch) for name in (OURS, PEER, PEER_GRAPH)]
        try:
            found = take_turns(sides, options.steps, options.rounds)
        finally:
            for side in sides:
                side.close()
    print(report(found, options.steps * BATCH * LENGTH, "tokens", OURS))
    losses = zip(*([loss for _, loss in rounds] for rounds in found.values()), strict=True)
    apart = max(max(each) - min(each) for each in losses)
    last = ", ".join(f"{rounds[-1][1]:.4f}" for rounds in found.values())
    print(f"\nMean loss of the last round: {last}; furthest apart in any round: {apart:.4f}.")
    assert apart < 0.005, "the sides do not compute the same thing"


Work = Callable[[int], tuple[float, float]]


def _spec(folder: Path) -> Any:
    from training.spec import RunSpec

    return RunSpec.model_validate(
        {
            "data": {"path": str(folder / "data" / "dataset")},
            "tokenizer": {"kind": "source"},
            "source": {"checkpoint": str(folder / "checkpoint")},
            "training": {"precision": "float32", "batch_size": BATCH, "sequence_length": LENGTH},
        }
    )


def ours(folder: Path, name: str) -> Work:
    """The loop that a run has."""
    from training.engine import state
    from training.engine.devices import configure, default_threads
    from training.engine.loop import Loop
    from training.events import EventLog
    from training.methods.registry import METHODS

    spec = _spec(folder)
    out = folder / name
    out.mkdir()
    events = EventLog(out / "events.jsonl")
    loaded = METHODS[spec.method].load(spec, out, events)
    devices = configure(spec.devices, default_threads())
    task = loaded.build(
        compute_dtype="float32", fused=True, strategy=devices.strategy, events=events
    )
    start = state.Position(
        step=0, tokens=0, seed=0, spec_sha256="", elapsed_s=0.0, threads=devices.threads
    )
    loop = Loop(spec, task, devices.strategy, start, events, out)
    done = 0

    def work(steps: int) -> tuple[float, float]:
        nonlocal done
        total = 0.0
        began = time.perf_counter()
        for _ in range(steps):
            done += 1
            total += loop._update(done, RATE)[0]
        return time.perf_counter() - began, total / steps

    return work


def peer(folder: Path, name: str) -> Work:
    """KerasHub's model in Keras' own training step."""
    import keras
    import numpy as np

    from training.events import EventLog
    from training.methods.registry import METHODS

    spec = _spec(folder)
    out = folder / name.replace(" ", "-")
    out.mkdir()
    loaded = METHODS[spec.method].load(spec, out, EventLog(out / "events.jsonl"))
    model = keras_hub_model(folder / "checkpoint")
    settings = spec.training
    optimizer = keras.optimizers.AdamW(
        RATE,
        weight_decay=settings.weight_decay,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon,
        global_clipnorm=settings.clip_norm,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
        jit_compile=False if name == PEER_GRAPH else "auto",
    )
    from training.data.packing import batch

    done = 0

    def work(steps: int) -> tuple[float, float]:
        nonlocal done
        total = 0.0
        began = time.perf_counter()
        for _ in range(steps):
            inputs, targets, mask = batch(loaded.blocks["train"], spec.seed, done, BATCH)
            done += 1
            x = {"token_ids": inputs, "padding_mask": np.ones_like(inputs)}
            # Keras divides by all positions; the last block of an epoch is not full.
            mask = mask * (mask.size / mask.sum())
            total += float(np.mean(model.train_on_batch(x, targets, sample_weight=mask)))
            model.reset_metrics()
        return time.perf_counter() - began, total / steps

    return work


if __name__ == "__main__":
    main()
