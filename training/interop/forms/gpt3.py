"""GPT-3's ``config.json``: Graft's own form, GPT-2's with a ``window``.

``transformers`` has no class for it. A model that is dense throughout is written as a GPT-2 when it
is exported.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.gpt3.config import GPT3Config
from training.interop.forms.gpt2 import FORM as GPT2


def _exported(config: BackboneConfig, payload: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(config, GPT3Config)
    if not config.dense:
        return payload
    same = {key: value for key, value in payload.items() if key != "window"}
    return same | {"model_type": GPT2.model_type, "architectures": ["GPT2LMHeadModel"]}


FORM = replace(
    GPT2,
    config=GPT3Config,
    model_type="gpt3",
    architectures={"GPT3LMHeadModel": {}},
    opens=False,
    exported=_exported,
)
