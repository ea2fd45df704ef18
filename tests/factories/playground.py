"""Texts in any state."""

from __future__ import annotations

import uuid
from typing import Any

from tests.factories.accounts import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.jobs import make_job
from webapp.playground.models import Generation

SETTINGS: dict[str, Any] = {
    "version": 1,
    "prompt": "Call me",
    "label": "",
    "max_tokens": 16,
    "temperature": 0.8,
    "top_k": 0,
    "top_p": 0.95,
    "stop": [],
    "seed": 7,
}


def make_generation(cast: Cast, **fields: Any) -> Generation:
    """A request of Alice's; ``state`` is its job's."""
    job = {"kind": "generate", "queue": "interactive", "state": fields.pop("state", "queued")}
    values: dict[str, Any] = {
        "checkpoint": fields.pop("checkpoint", None) or make_checkpoint(cast),
        "job": make_job(cast, **job | fields.pop("job", {})),
        "group": uuid.uuid4(),
        "settings": SETTINGS | fields.pop("settings", {}),
        "team": cast.team,
        "owner": cast.alice,
    }
    return Generation.objects.create(**values | fields)
