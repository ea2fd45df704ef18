"""The model card that goes with a Hugging Face folder: ``README.md``, metadata and text.

Everything in it comes from ``card.json`` and the configuration; only the name, the base model and
its licence are told by whoever exports. It is in English, as cards on the Hub are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from training.backbones.registry import BACKBONES
from training.command_specs import AboutSpec
from training.data.text_tokenizer import CONTROL_TOKEN
from training.interop.forms import opening
from training.weights.checkpoint import Checkpoint
from training.weights.tasks import task_of

README_FILE = "README.md"
#: Task → the Hub's name for it; with none it has no such name.
_PIPELINES = {
    "causal_language_modelling": "text-generation",
    "masked_language_modelling": "fill-mask",
    "text_classification": "text-classification",
    "text_regression": "text-classification",
    "token_classification": "token-classification",
    "text_features": "feature-extraction",
    "image_classification": "image-classification",
    "image_features": "image-feature-extraction",
}
_METRICS = {name: name for name in ("loss", "perplexity", "accuracy", "rmse", "mae")}


def write_readme(checkpoint: Checkpoint, folder: Path, about: AboutSpec) -> None:
    """Write ``README.md`` into a folder."""
    (folder / README_FILE).write_text(readme(checkpoint, about), encoding="utf-8")


def readme(checkpoint: Checkpoint, about: AboutSpec) -> str:
    """The card of a checkpoint."""
    header = yaml.safe_dump(metadata(checkpoint, about), sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n\n{_text(checkpoint, about)}"


def metadata(checkpoint: Checkpoint, about: AboutSpec) -> dict[str, Any]:
    """The Hub's fields: what is not known is left out, never guessed."""
    text = BACKBONES[checkpoint.config.architecture].kind == "text"
    found: dict[str, Any] = {"library_name": "transformers" if text else "timm"}
    licence = about.licence.lower()
    if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", licence):
        found["license"] = licence
    if about.base_model:
        found["base_model"] = about.base_model
    config = checkpoint.config
    if pipeline := _PIPELINES.get(task_of(config.architecture, config.model_dump())):
        found["pipeline_tag"] = pipeline
    # No "datasets": those are names on the Hub, and ours is not there.
    found["tags"] = ["graft", config.architecture]
    data = _data(checkpoint, about)
    results = _results(checkpoint)
    if results:
        found["metrics"] = sorted({result["type"] for result in results})
        found["model-index"] = [
            {
                "name": _title(checkpoint, about),
                "results": [
                    {
                        "task": {"type": found.get("pipeline_tag", "other")},
                        "dataset": {"name": data or "unnamed", "type": data or "unnamed"},
                        "metrics": results,
                    }
                ],
            }
        ]
    return found


def _results(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """``{type, name, value}`` for every score that is a number."""
    found = []
    for name, value in sorted((checkpoint.card.get("scores") or {}).items()):
        split, _, metric = name.partition("_")
        if metric in _METRICS and isinstance(value, int | float):
            found.append({"type": _METRICS[metric], "name": f"{split} {metric}", "value": value})
    return found


def _data(checkpoint: Checkpoint, about: AboutSpec) -> str:
    return " ".join((about.data or (checkpoint.card.get("data") or {}).get("name") or "").split())


def _title(checkpoint: Checkpoint, about: AboutSpec) -> str:
    # One line: what people typed must not begin another heading or list.
    name = " ".join(about.name.split())
    return name or BACKBONES[checkpoint.config.architecture].title


def _labels(card: Mapping[str, Any]) -> list[str]:
    """How to ask for texts of a class."""
    names = card.get("control") or []
    if not names:
        return []
    lines = ["Begin a prompt with one of these tokens to get text of that class:", ""]
    return [*lines, *(f"- `{CONTROL_TOKEN.format(name)}`" for name in names), ""]


def _text(checkpoint: Checkpoint, about: AboutSpec) -> str:
    card, config = checkpoint.card, checkpoint.config
    made = card.get("made_by") or {}
    title = BACKBONES[config.architecture].title
    parts = [f"# {_title(checkpoint, about)}", ""]
    parts.append(f"A {title} model with {card['parameters']:,} parameters, made with Graft.")
    if about.base_model:
        parts.append(f"It started from the weights of `{about.base_model}`.")
    elif card.get("parents"):
        parts.append("It started from the weights of another checkpoint (hashes below).")
    parts += ["", "## What made it", ""]
    rows = {
        "Method": card.get("method"),
        "Data": _data(checkpoint, about),
        "Steps": card.get("steps"),
        "Seed": made.get("seed"),
        "Code": made.get("code_version"),
        "Made": card.get("created"),
    }
    parts += [f"- {name}: {value}" for name, value in rows.items() if value not in (None, "")]
    if results := _results(checkpoint):
        parts += ["", "## Scores", "", "| score | value |", "| --- | ---: |"]
        parts += [f"| {result['name']} | {result['value']:.6g} |" for result in results]
    parts += ["", "## Shape", ""]
    shape = config.model_dump(mode="json")
    parts += [f"- `{name}`: {json.dumps(value)}" for name, value in shape.items()]
    parts += [
        "",
        "## How to use it",
        "",
        "```python",
        opening(config, "THIS_REPOSITORY"),
        "```",
        "",
        *_labels(card),
        "## Hashes",
        "",
        f"- Weights, from the names, types and hashes of tensors: `{checkpoint.weights_sha256}`",
    ]
    parts += [f"- Started from: `{parent}`" for parent in card.get("parents") or []]
    if identity := (card.get("data") or {}).get("sha256"):
        parts.append(f"- Data: `{identity}`")
    return "\n".join(parts) + "\n"
