"""The job that copies weights into a new model, without TensorFlow.

Writes ``checkpoint/``, in it ``transfer.json`` (the plan, and the proof that every copied tensor
equals its source), and ``report.json``. Parents are only read: going back to them undoes a copy.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from training.data.tokenizer import Tokenizer
from training.durable import json_bytes, sweep, write_json
from training.errors import TrainingError
from training.events import EventLog
from training.settings import spec_sha256
from training.spec import CopySpec
from training.version import code_version
from training.weights.card import WEIGHTS_FILE
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.copy import apply_plan, initial_weights, verify
from training.weights.header import shapes
from training.weights.plan import make_plan
from training.weights.tensors import open_tensors

REPORT_VERSION = 1
PLAN_FILE = "transfer.json"


def run(spec: CopySpec, out: Path, events: EventLog) -> dict[str, str]:
    """Copy weights by a plan, check the copy, and write a checkpoint.

    Args:
        spec: Source, new model (none: the source's own), what starts afresh, seed of the rest.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase``, ``weights`` and ``log``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``checkpoint_*``, ``weights_*``, ``config_*``, ``pattern_matches_nothing``,
            ``vocabulary_too_small``, ``nothing_to_copy``, ``copy_not_exact``, ``disk_full``. No
            checkpoint is left behind then.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="loading", fraction=None, detail="")
    source = read_checkpoint(Path(spec.source.checkpoint))
    tokenizer = Tokenizer.load(source.tokenizer_folder)
    target = spec.model or source.config
    if (target.vocabulary or 0) < tokenizer.size:
        raise TrainingError(
            "vocabulary_too_small",
            field="model.vocab_size",
            vocabulary=target.vocabulary,
            tokens=tokenizer.size,
        )
    plan = make_plan(
        target, source.config, shapes(source.infos), reinitialise=spec.source.reinitialise
    )
    if not plan.parameters_copied:
        raise TrainingError("nothing_to_copy", reason=plan.rows[0].reason.sentence)

    events.emit("phase", name="copying", fraction=None, detail="")
    initial = initial_weights(target, spec.seed)
    copied = apply_plan(plan, source.tensors(), initial)
    folder = out / "checkpoint"
    proof: dict[str, Any] = {}

    def prove(temporary: Path) -> None:
        """Read back what was written, before it gets its name."""
        events.emit("phase", name="verifying", fraction=None, detail="")
        written = open_tensors(temporary / WEIGHTS_FILE)
        verification = verify(plan, source.tensors(), written)
        verification.require_exact()
        proof.update(verification.to_json())
        (temporary / PLAN_FILE).write_bytes(json_bytes({"plan": plan.to_json(), "proof": proof}))

    card = write_checkpoint(
        folder,
        target,
        copied,
        tokenizer,
        {
            "method": "transfer",
            "made_by": {
                "command": "transfer",
                "code_version": code_version(),
                "spec_sha256": spec_sha256(spec),
                "seed": spec.seed,
            },
            "parents": [source.weights_sha256],
            "transfer": plan.counts(),
        },
        dropout=source.dropout,
        extras=prove,
    )
    weights = plan.counts() | {"verified": True}
    events.emit("weights", **weights)
    write_json(
        out / "report.json",
        {
            "version": REPORT_VERSION,
            "method": "transfer",
            "spec_sha256": spec_sha256(spec),
            "code_version": code_version(),
            "seed": spec.seed,
            "duration_s": round(time.monotonic() - started, 3),
            "parameters": {"total": card["parameters"], "trainable": card["parameters"]},
            "weights": weights,
            "weights_sha256": card["weights_sha256"],
            "plan": plan.to_json(),
            "proof": proof,
        },
        point="report",
    )
    return {"report": "report.json", "result": "checkpoint"}
