"""Runs, their sources and curves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.factories.accounts import Cast
from tests.factories.datasets import make_version
from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.spec import DataSpec, RunSpec, SourceSpec, TokenizerSpec
from webapp.checkpoints.models import Checkpoint
from webapp.jobs.models import Job, State
from webapp.runs import references, services
from webapp.runs.jobs import ingest
from webapp.runs.models import Run


def make_source(cast: Cast, **fields: Any) -> Checkpoint:
    """A checkpoint of Alice's with the tensors of a nano GPT-2; its files are not in the store."""
    config: GPT2Config = fields.pop("config", PRESETS["nano"])
    values: dict[str, Any] = {
        "name": "Nano",
        "origin": Checkpoint.Origin.TRAINED,
        "team": cast.team,
        "owner": cast.alice,
        "architecture": "gpt2",
        "task": "causal_language_modelling",
        "config": config.model_dump(mode="json"),
        "parameters": config.parameter_count(),
        "size": 5_900_000,
        "weights_sha256": "ab" * 32,
        "manifest": {"model.safetensors": {"blake3": "cd" * 32, "size": 1}},
        "tensors": [
            {"name": tensor.name, "dtype": "F32", "shape": list(tensor.shape)}
            for tensor in config.tensors()
        ],
    }
    return Checkpoint.objects.create(**values | fields)


def make_spec(version: Any, source: Checkpoint | Run | None = None, **fields: Any) -> RunSpec:
    """A spec of a nano GPT-2: from scratch, or from a source in its own shape."""
    values: dict[str, Any] = {"data": DataSpec(path=references.write("dataset", version.pk))}
    if source is None:
        values |= {"model": PRESETS["nano"], "tokenizer": TokenizerSpec(kind="train")}
    else:
        kind = "run" if isinstance(source, Run) else "checkpoint"
        values |= {
            "source": SourceSpec(checkpoint=references.write(kind, source.pk)),
            "tokenizer": TokenizerSpec(kind="source"),
        }
    return RunSpec(**values | fields)


def make_run(cast: Cast, *, state: str = "", **fields: Any) -> Run:
    """A run of Alice's from scratch, or from ``source``; ``twin`` makes its twin as well.

    Its job is queued or waiting, unless another state is named.

    ``spec`` holds fields of the spec, ``job`` fields of the job.
    """
    version = fields.pop("version", None) or make_version(cast, name=f"Text {_count()}")
    spec = make_spec(version, fields.pop("source", None), **fields.pop("spec", {}))
    values: dict[str, Any] = {
        "name": "A run",
        "spec": spec,
        "owner": cast.alice,
        "team": cast.team,
    }
    job_fields = fields.pop("job", {})
    run = services.run_create(**values | fields)
    if state or job_fields:
        set_state(run, state or run.job.state, **job_fields)
    return run


def set_state(run: Run, state: str, **fields: Any) -> None:
    """Put a run's job into a state, past all rules."""
    if state == State.RUNNING:
        now = timezone.now()
        fields = {
            "attempt": 1,
            "worker": "test",
            "lease_expires_at": now + timedelta(minutes=1),
            "started_at": now,
        } | fields
    Job.objects.filter(pk=run.job_id).update(state=state, **fields)
    run.job.refresh_from_db()


def make_curve(run: Run, losses: dict[int, float | None], name: str = "validation_loss") -> None:
    """Points of one metric, through the door by which they come."""
    ingest(
        run.job,
        [
            {"kind": "metric", "seq": step + 2, "step": step, "values": {name: loss}}
            for step, loss in losses.items()
        ],
    )


def _count() -> int:
    return Run.objects.count()


__all__ = ["make_curve", "make_run", "make_source", "make_spec", "set_state"]
