"""``python -m training probe``: do two checkpoints compute the same, on a probe batch of both.

A copy is proved by hashes. That the new model also *computes* what its source does is another
question, and for a copy that should leave the function as it is (a deeper or wider model, a longer
context) the answer stands beside the proof.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from training.command_specs import ProbeSpec
from training.engine.devices import configure, default_threads
from training.errors import TrainingError
from training.evaluation.classification import log_softmax
from training.events import EventLog
from training.report import write_report
from training.spec import DeviceSpec
from training.weights.checkpoint import Checkpoint, read_checkpoint

#: Sequences in a probe batch, and their most tokens.
BATCH, TOKENS = 4, 128
#: Of probe images, where the architecture fixes no size.
SIDE = 96


def run(spec: ProbeSpec, out: Path, events: EventLog) -> dict[str, Any]:
    """Give both models the same random inputs and compare what comes out.

    Returns:
        Fields of the ``finished`` event.

    Raises:
        TrainingError: ``checkpoint_*``; ``probe_not_comparable`` where one model cannot be given
            what the other can (another vocabulary, images and text), or gives outputs of another
            shape (another head, other classes).
    """
    started = time.monotonic()
    events.emit("phase", name="loading", fraction=None, detail="")
    one, other = (read_checkpoint(Path(path)) for path in (spec.one, spec.other))
    inputs = probe_batch(one, other, spec.seed)
    configure(DeviceSpec(kind="cpu"), default_threads())
    events.emit("phase", name="evaluating", fraction=0.0, detail="")
    before = outputs(one, inputs)
    events.emit("phase", name="evaluating", fraction=0.5, detail="")
    after = outputs(other, inputs)
    if before.shape != after.shape:
        raise TrainingError("probe_not_comparable")
    found = {"inputs": list(inputs.shape), **differences(before, after)}
    write_report(out, "probe", spec, time.monotonic() - started, found)
    return {"report": "report.json"}


def probe_batch(one: Checkpoint, other: Checkpoint, seed: int) -> np.ndarray:
    """Random inputs that both models can read: tokens int32 [batch, time], or images float32
    [batch, side, side, channels] from N(0, 1).

    Raises:
        TrainingError: ``probe_not_comparable``.
    """
    configs = [checkpoint.config for checkpoint in (one, other)]
    sizes = [config.vocabulary for config in configs]
    random = np.random.default_rng(seed)
    if sizes[0] is not None and sizes[0] == sizes[1]:
        length = min(TOKENS, *(config.context for config in configs if config.context))
        return random.integers(0, sizes[0], (BATCH, length), dtype=np.int32)
    channels = {getattr(config, "in_channels", None) for config in configs}
    # What fixes no size takes the other's.
    sides = {config.image_size for config in configs if hasattr(config, "image_size")} or {SIDE}
    if any(sizes) or len(channels) != 1 or len(sides) != 1:
        raise TrainingError("probe_not_comparable")
    side = int(sides.pop())
    shape = (BATCH, side, side, int(channels.pop() or 0))
    return random.standard_normal(shape, dtype=np.float32)


def outputs(checkpoint: Checkpoint, inputs: np.ndarray) -> np.ndarray:
    """What the model gives, float32; one example at a time, so that memory holds one."""
    from training.backbones.registry import model_class

    model = model_class(checkpoint.config.architecture)(checkpoint.config)
    model.load_named(checkpoint.tensors())
    return np.concatenate([np.asarray(model(inputs[[n]])) for n in range(len(inputs))])


def logits_of(folder: Path, tokens: np.ndarray) -> np.ndarray:
    """The same for a folder."""
    return outputs(read_checkpoint(folder), tokens)


def differences(before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """How far two outputs [batch, …, classes] are apart.

    Returns:
        ``largest`` and ``mean`` absolute difference, ``scale`` (largest value of the first),
        ``divergence`` (mean Kullback-Leibler divergence of the softmax, nats) and ``agreement``
        (share of places with the same likeliest class).
    """
    gap = np.abs(after - before)
    first, second = log_softmax(before), log_softmax(after)
    divergence = (np.exp(first) * (first - second)).sum(-1).mean()
    agreement = (before.argmax(-1) == after.argmax(-1)).mean()
    return {
        "largest": float(gap.max()),
        "mean": float(gap.mean()),
        "scale": float(np.abs(before).max()),
        "divergence": max(0.0, float(divergence)),
        "agreement": float(agreement),
    }
