"""``python -m training evaluate``: a checkpoint's scores on prepared data, as a run reports them.

The same scores serve a merge (:mod:`training.weights.merging`), which asks for many of them.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.command_specs import EvaluateSpec, ScoringSpec
from training.durable import sweep
from training.engine.devices import configure, default_threads
from training.engine.precision import choose
from training.engine.resources import Watch, require_memory
from training.errors import TrainingError
from training.estimate import estimate
from training.events import EventLog
from training.methods.registry import LOOP_METHODS
from training.report import describe_dataset, write_report
from training.spec import DataSpec, DeviceSpec, RunSpec, SourceSpec, TokenizerSpec, TrainingSpec
from training.weights.checkpoint import Checkpoint, read_checkpoint


class Judge:
    """One data set, and a model of a checkpoint's shape that takes other weights.

    Drop one before the next is made: memory is reckoned for a single model.

    Args:
        checkpoint: Whose configuration, tokenizer and first weights.
        dataset: A prepared data set.
        spec: How it is scored.
        out: Keeps the encoded text while this lives.
        events: Told of what goes on.

    Raises:
        TrainingError: ``architecture_not_trained``, ``split_missing``, ``out_of_memory`` …
    """

    def __init__(
        self, checkpoint: Checkpoint, dataset: Path, spec: ScoringSpec, out: Path, events: EventLog
    ) -> None:
        # The model of the data set before lives on in circles of Keras's until they are collected.
        gc.collect()
        self.spec = spec
        context = checkpoint.config.context or spec.sequence_length
        run = RunSpec(
            method=spec.method,
            data=DataSpec(path=str(dataset)),
            tokenizer=TokenizerSpec(kind="source"),
            source=SourceSpec(checkpoint=str(checkpoint.folder)),
            training=TrainingSpec(
                sequence_length=min(spec.sequence_length, context), batch_size=spec.batch_size
            ),
        )
        loaded = LOOP_METHODS[spec.method].load(run, out, events, (spec.split,))
        events.emit("phase", name="loading", fraction=None, detail="TensorFlow")
        devices = configure(DeviceSpec(), default_threads())
        if devices.kind == "cpu":
            require_memory(estimate(run, loaded.config, trainable_tensors=[]).memory_bytes)
        precision = choose(run.training.precision, kind=devices.kind, width=loaded.width)
        task: Any = loaded.build(
            compute_dtype=precision, fused=True, strategy=devices.strategy, events=events
        )
        from training.engine.scoring import Scorer

        self._variables = task.model.named_variables
        self._scorer = Scorer(task)

    def scores(self, tensors: Mapping[str, np.ndarray] | None = None) -> dict[str, float]:
        """Scores with these weights, every tensor of the model; none: those that it has.

        Raises:
            TrainingError: ``split_missing``.
        """
        if tensors is not None:
            for name, variable in self._variables.items():
                variable.assign(np.asarray(tensors[name], np.float32))
        found = self._scorer.scores(self.spec.split, self.spec.batches)
        if found is None:
            raise TrainingError("split_missing", field="data", split=self.spec.split)
        return found


def run(spec: EvaluateSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Score a checkpoint on every data set, and write ``report.json``.

    Args:
        spec: Checkpoint, data, split.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase`` and ``resources``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: A refusal.
    """
    started = time.monotonic()
    sweep(out)
    scores = []
    with Watch(events):
        events.emit("phase", name="loading", fraction=None, detail="")
        checkpoint = read_checkpoint(Path(spec.checkpoint))
        for number, data in enumerate(spec.data):
            judge = Judge(checkpoint, Path(data.path), spec, out, events)
            events.emit(
                "phase", name="evaluating", fraction=number / len(spec.data), detail=spec.split
            )
            scores.append(
                {"role": data.role, **describe_dataset(Path(data.path)), **judge.scores()}
            )
            del judge  # its model makes room for the next one
    write_report(
        out,
        spec.method,
        spec,
        time.monotonic() - started,
        {
            "command": "evaluate",
            "weights_sha256": checkpoint.weights_sha256,
            "split": spec.split,
            "scores": scores,
        },
    )
    shutil.rmtree(out / "cache", ignore_errors=True)
    return {"report": "report.json"}
