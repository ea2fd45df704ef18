"""Checkpoints with random weights that both sides of a benchmark open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.backbones.gpt2.config import PRESETS
from training.data import prepare
from training.data.packing import documents
from training.data.prepare_spec import PrepareSpec
from training.data.tokenizer import Tokenizer
from training.events import EventLog
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import initial_weights

SAMPLE = Path(__file__).parents[1] / "samples" / "moby_dick.jsonl"


def make_dataset(folder: Path) -> Path:
    """Moby Dick, prepared."""
    folder.mkdir(parents=True)
    events = EventLog(folder / "events.jsonl")
    prepare.run(PrepareSpec(path=str(SAMPLE)), folder, events)
    events.close()
    return folder / "dataset"


def make_checkpoint(folder: Path, preset: str, dataset: Path | None = None) -> Path:
    """A preset with its first weights, and a tokenizer trained on a data set or GPT-2's own."""
    config = PRESETS[preset]
    if dataset is None:
        tokenizer = Tokenizer.gpt2()
    else:
        texts = (text for text, _offset in documents(dataset / "train.jsonl"))
        tokenizer = Tokenizer.train(texts, config.vocab_size)
    config = config.model_copy(update={"vocab_size": tokenizer.size})
    write_checkpoint(folder, config, initial_weights(config, 0), tokenizer, {})
    return folder


def keras_hub_model(checkpoint: Path) -> Any:
    """KerasHub's GPT-2 with a checkpoint's weights, converted by KerasHub itself.

    Hugging Face's rate of dropout is written out first: KerasHub's converter wants the key.
    """
    import keras_hub

    path = checkpoint / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"resid_pdrop": 0.0}))
    try:
        backbone = keras_hub.models.GPT2Backbone.from_preset(str(checkpoint))
    finally:
        path.write_text(json.dumps(config))
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=None)
