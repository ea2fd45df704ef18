"""Exports of checkpoints, and pushes to the Hub, made or on their way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tests.factories.accounts import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.jobs import make_job
from webapp import storage
from webapp.checkpoints import sealing
from webapp.checkpoints.models import CheckpointExport, CheckpointPush
from webapp.jobs.models import State

PROOF = {
    "version": 1,
    "format": "onnx",
    "kind": "outputs",
    "runtime": "ONNX Runtime 1.32.0",
    "largest_difference": 2.14e-06,
    "tolerance": 1e-4,
    "inputs": [
        {"name": "tokens", "dtype": "int32", "shape": [None, 16], "axes": ["batch", "time"]}
    ],
    "open": "import onnxruntime",
}


def make_export(cast: Cast, **fields: Any) -> CheckpointExport:
    """A finished ONNX export of Alice's; ``job`` holds fields of its job."""
    job = {"kind": "export", "state": State.SUCCEEDED} | fields.pop("job", {})
    team = fields.get("team", cast.team)
    owner = fields.get("owner", cast.alice)
    done = job["state"] == State.SUCCEEDED
    with tempfile.TemporaryDirectory() as folder:
        for path, content in (("model.onnx", b"graph"), ("tokenizer/vocab.json", b"{}")):
            target = Path(folder) / path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
        manifest = storage.store_folder(Path(folder)) if done else {}
    values: dict[str, Any] = {
        "format": "onnx",
        "job": make_job(cast, team=team, owner=owner, **job),
        "team": team,
        "owner": owner,
        "manifest": manifest,
        "size": sum(entry["size"] for entry in manifest.values()),
        "proof": PROOF if done else {},
    }
    if "checkpoint" not in fields:
        values["checkpoint"] = make_checkpoint(cast, team=team, owner=owner)
    return CheckpointExport.objects.create(**values | fields)


def make_push(cast: Cast, **fields: Any) -> CheckpointPush:
    """A push of Alice's that waits for a worker; ``job`` holds fields of its job."""
    job = {"kind": "push", "queue": "io"} | fields.pop("job", {})
    team = fields.get("team", cast.team)
    owner = fields.get("owner", cast.alice)
    values: dict[str, Any] = {
        "repository": "alice/whales",
        "sealed_token": sealing.seal("hf_secret"),
        "job": make_job(cast, team=team, owner=owner, **job),
        "team": team,
        "owner": owner,
    }
    if "checkpoint" not in fields:
        values["checkpoint"] = make_checkpoint(cast, team=team, owner=owner)
    return CheckpointPush.objects.create(**values | fields)
