"""Measures carried from one architecture's configuration to another's."""

from __future__ import annotations

import pytest

from training.backbones.contract import BackboneConfig
from training.backbones.gpt2.config import GPT2Config
from training.backbones.registry import BACKBONES, config_of
from training.backbones.sizes import sized_like

TEXT = [name for name, backbone in BACKBONES.items() if backbone.kind == "text"]
MEASURES = ("layers", "stream_width", "attention_heads", "context", "vocabulary")


def _inner(config: BackboneConfig) -> int:
    return next(t.shape[t.axes.index("inner")] for t in config.tensors() if "inner" in t.axes)


@pytest.mark.parametrize("source", TEXT)
@pytest.mark.parametrize("target", TEXT)
def test_every_measure_is_kept(source: str, target: str) -> None:
    other = BACKBONES[source].presets["nano"]
    made = sized_like(BACKBONES[target].config, other)
    assert made.architecture == target
    assert config_of(made.model_dump()) == made
    for name in MEASURES:
        assert getattr(made, name) == getattr(other, name), name
    assert _inner(made) == _inner(other)


def test_what_an_architecture_cannot_be_leaves_its_own_size() -> None:
    bert, roberta = (BACKBONES[name].config for name in ("bert", "roberta"))
    long = GPT2Config(n_positions=32_768, n_embd=64, n_head=2)
    assert sized_like(bert, long).context == 32_768
    assert sized_like(roberta, long) == roberta()  # two more rows than it can have
