"""Copies that promise to leave the function as it is, run through the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.backbones.gpt2.config import GPT2Config
from training.backbones.gpt2.model import GPT2
from training.weights.copy import apply_plan, initial_weights, verify
from training.weights.initial import generator
from training.weights.plan_settings import PlanSettings
from training.weights.planner import make_plan

SMALL = GPT2Config(vocab_size=60, n_positions=16, n_embd=24, n_layer=4, n_head=3)
TOKENS = np.random.default_rng(0).integers(0, 60, (2, 12)).astype(np.int32)


def large_weights(config: GPT2Config) -> dict[str, np.ndarray]:
    """So large that every part of the network shows in the logits."""
    found = {}
    for spec in config.tensors():
        values = 0.3 * generator(1, spec.name).standard_normal(spec.shape, dtype=np.float32)
        found[spec.name] = values + (1 if spec.init == "ones" else 0)
    return found


def logits(config: GPT2Config, tensors: Any) -> np.ndarray:
    model = GPT2(config)
    model.load_named(tensors)
    return np.asarray(model(TOKENS))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"n_layer": 8}, {"new_layers": "identity"}),
        ({"n_layer": 8}, {"new_layers": "identity", "layers": "spread"}),
        ({"n_layer": 7}, {"new_layers": "identity", "rules": ["layer.{i} -> layer.{2i}"]}),
        ({"n_inner": 150}, {"width": "grow"}),
        ({"n_inner": 96 * 3}, {"width": "grow"}),
        ({"n_embd": 48, "n_head": 6}, {"width": "grow"}),
        ({"n_embd": 72, "n_head": 9, "n_layer": 6}, {"width": "grow", "new_layers": "identity"}),
        ({"n_positions": 40}, {}),
        ({"n_positions": 40}, {"positions": "tile"}),
    ],
)
def test_a_grown_model_computes_the_same(
    tied: bool, changes: dict[str, Any], how: dict[str, Any]
) -> None:
    source = SMALL.model_copy(update={"tie_word_embeddings": tied})
    target = GPT2Config.model_validate(source.model_dump() | changes)
    tensors = large_weights(source)
    shapes = {name: array.shape for name, array in tensors.items()}
    plan = make_plan(target, source, shapes, settings=PlanSettings.model_validate(how))

    grown = dict(apply_plan(plan, tensors, initial_weights(target, 5)))

    before, after = logits(source, tensors), logits(target, grown)
    assert np.abs(before).max() > 3
    # Sums over a wider axis round otherwise; layers that only pass on do not.
    scale = max(1.0, np.abs(before).max()) if how.get("width") == "grow" else 1.0
    assert np.abs(after - before).max() <= 1e-5 * scale
    assert verify(plan, tensors, grown).exact
    assert not plan.notes


def test_the_comparison_sees_a_layer_that_adds_something() -> None:
    target = SMALL.model_copy(update={"n_layer": 8})
    tensors = large_weights(SMALL)
    shapes = {name: array.shape for name, array in tensors.items()}
    grown = apply_plan(make_plan(target, SMALL, shapes), tensors, large_weights(target))
    assert np.abs(logits(target, grown) - logits(SMALL, tensors)).max() > 0.1
