"""Checkpoints with real files in the store, and imports on their way."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import transaction

from tests.factories.accounts import Cast
from tests.factories.jobs import make_job
from training.backbones.contract import BackboneConfig
from training.backbones.gpt2.config import GPT2Config
from webapp import storage
from webapp.accounts.models import User
from webapp.checkpoints.models import Checkpoint, CheckpointImport, CheckpointStatistics
from webapp.checkpoints.services import checkpoint_create, checkpoint_promote
from webapp.jobs.models import State

_numbers = itertools.count(1)

#: Small enough for every test.
TINY = GPT2Config(vocab_size=300, n_positions=16, n_embd=8, n_layer=2, n_head=2)


def make_checkpoint(cast: Cast, **fields: Any) -> Checkpoint:
    """A trained checkpoint of Alice's; ``files`` are its contents by path, ``control`` the labels
    that its tokenizer knows."""
    config: BackboneConfig = fields.pop("config", TINY)
    files: dict[str, bytes] = fields.pop(
        "files", {"config.json": b"{}", "model.safetensors": b"weights", "adapter/a.json": b"[]"}
    )
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        manifest = storage.store_folder(Path(folder))
    number, control = next(_numbers), fields.pop("control", None)
    tags = fields.pop("tags", [])
    later = {name: fields.pop(name) for name in ("created_at", "notes") if name in fields}
    team = fields.get("team", cast.team)
    owner = fields.get("owner", cast.alice)
    values: dict[str, Any] = {
        "name": f"Checkpoint {number}",
        "origin": Checkpoint.Origin.TRAINED,
        "team": team,
        "owner": owner,
        "job": make_job(cast, state=State.SUCCEEDED, team=team, owner=owner),
        "folder_manifest": manifest,
        "card": {
            "weights_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
            "architecture": config.architecture,
            "parameters": config.parameter_count(),
            "method": "causal_lm",
            **({"control": control} if control else {}),
            "made_by": {"code_version": "0.1.0+test", "seed": 7},
        },
        "config": config.model_dump(),
        "tensors": [
            {"name": tensor.name, "dtype": "F32", "shape": list(tensor.shape)}
            for tensor in config.tensors()
        ],
        "scores": {"validation_loss": 4.25},
    }
    with transaction.atomic():
        checkpoint = checkpoint_create(**values | fields)
    if later:
        Checkpoint.objects.filter(pk=checkpoint.pk).update(**later)
        checkpoint.refresh_from_db()
    checkpoint.tags.set(tags)
    return checkpoint


def promote(checkpoint: Checkpoint, actor: User, *stages: str) -> None:
    """Put it into one stage after the other, through the service."""
    for stage in stages:
        checkpoint_promote(checkpoint=checkpoint, actor=actor, stage=stage, seen=checkpoint.stage)


def card_file(hashes: Mapping[str, str]) -> bytes:
    """A ``card.json`` as the engine writes it, as far as it names tensors with their hashes."""
    tensors = [{"name": name, "blake3": digest} for name, digest in hashes.items()]
    return json.dumps({"tensors": tensors}).encode()


def make_statistics(cast: Cast, checkpoint: Checkpoint, **fields: Any) -> CheckpointStatistics:
    """What a checkpoint's tensors hold: ones in a ramp; ``job`` holds fields of its job.

    Without values while its job has not succeeded.
    """
    job = {"kind": "statistics", "queue": "io", "state": State.SUCCEEDED} | fields.pop("job", {})
    values: dict[str, Any] = {
        "checkpoint": checkpoint,
        "job": make_job(cast, **job),
        "team": checkpoint.team,
        "owner": cast.bob,
    }
    if job["state"] == State.SUCCEEDED:
        one = {"count": 40, "nan": 0, "infinite": 0, "zeros": 10, "norm": 2.5}
        one |= {"minimum": -1.0, "maximum": 3.0, "mean": 0.5}
        names = [tensor["name"] for tensor in checkpoint.tensors]
        values |= {
            "summary": {"count": 400, "zeros": 1234, "nan": 0, "infinite": 0, "norm": 12.5},
            "values": dict.fromkeys(names, one),
            "histograms": {name: list(range(40)) for name in names},
        }
    return CheckpointStatistics.objects.create(**values | fields)


def make_import(cast: Cast, **fields: Any) -> CheckpointImport:
    """An import from the Hub that waits in the queue; ``job`` holds fields of its job."""
    spec = {"kind": "hub", "repository": "gpt2", "revision": "main", "endpoint": "", "path": ""}
    job = {"kind": "import_hub", "queue": "io", "spec": spec} | fields.pop("job", {})
    values: dict[str, Any] = {
        "name": "gpt2",
        "origin": Checkpoint.Origin.HUB,
        "repository": "gpt2",
        "job": make_job(cast, **job),
        "team": cast.team,
        "owner": cast.alice,
    }
    return CheckpointImport.objects.create(**values | fields)
