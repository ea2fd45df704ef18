"""Copies that promise to leave the function as it is, run through the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.backbones.bert.config import BertConfig
from training.backbones.contract import BackboneConfig
from training.backbones.distilbert.config import DistilBertConfig
from training.backbones.gpt2.config import GPT2Config
from training.backbones.gpt3.config import GPT3Config
from training.backbones.opt.config import OPTConfig
from training.backbones.registry import model_class
from training.backbones.roberta.config import RobertaConfig
from training.backbones.vit.config import ViTConfig
from training.weights.copy import apply_plan, initial_weights, verify
from training.weights.initial import generator
from training.weights.plan_settings import PlanSettings
from training.weights.planner import make_plan

SMALL = GPT2Config(vocab_size=60, n_positions=16, n_embd=24, n_layer=4, n_head=3)
SIZES = {"vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
OPT = OPTConfig.model_validate(SIZES | {"max_position_embeddings": 16, "ffn_dim": 48})
BERT = {"max_position_embeddings": 16, "intermediate_size": 48, "layer_norm_eps": 1e-5}
DISTIL = {"vocab_size": 60, "max_position_embeddings": 16, "hidden_dim": 48, "n_layers": 2}
LABELS = {"head": "classification", "labels": ["a", "b", "c"]}
TOKENS = np.random.default_rng(0).integers(0, 60, (2, 12)).astype(np.int32)


def large_weights(config: BackboneConfig) -> dict[str, np.ndarray]:
    """So large that every part of the network shows in the logits."""
    found = {}
    for spec in config.tensors():
        values = 0.3 * generator(1, spec.name).standard_normal(spec.shape, dtype=np.float32)
        found[spec.name] = values + (1 if spec.init == "ones" else 0)
    return found


def logits(config: BackboneConfig, tensors: Any) -> np.ndarray:
    model = model_class(config.architecture)(config)
    model.load_named(tensors)
    if isinstance(config, ViTConfig):
        images = np.random.default_rng(1).standard_normal((2, 16, 16, 3), dtype=np.float32)
        return np.asarray(model(images))
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


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(config, id=name)
        for name, config in {
            "gpt3": GPT3Config(window=4, **SMALL.model_dump(exclude={"architecture"})),
            "bert-masked-lm": BertConfig.model_validate(SIZES | BERT | {"head": "masked_lm"}),
            "bert-pretraining": BertConfig.model_validate(SIZES | BERT | {"head": "pretraining"}),
            "bert-classification": BertConfig.model_validate(SIZES | BERT | LABELS),
            "roberta-masked-lm": RobertaConfig.model_validate(
                SIZES | BERT | {"max_position_embeddings": 18, "head": "masked_lm"}
            ),
            "distilbert-masked-lm": DistilBertConfig(dim=24, n_heads=3, head="masked_lm", **DISTIL),
            "distilbert-classification": DistilBertConfig(dim=24, n_heads=3, **LABELS, **DISTIL),
            "opt": OPT,
            "opt-untied": OPT.model_copy(update={"tie_word_embeddings": False}),
            "opt-norms-last": OPT.model_copy(update={"do_layer_norm_before": False}),
            "opt-projected": OPT.model_copy(update={"word_embed_proj_dim": 12}),
            "opt-350m": OPT.model_copy(
                update={"word_embed_proj_dim": 12, "do_layer_norm_before": False}
            ),
            "vit": ViTConfig(
                image_size=16, patch_size=8, width=24, depth=2, heads=3, inner=48, num_classes=5
            ),
        }.items()
    ],
)
@pytest.mark.parametrize("factor", [2, 3])
def test_every_architecture_computes_the_same_when_it_grows_wider(
    source: BackboneConfig, factor: int
) -> None:
    grows = ("n_embd", "n_head", "hidden_size", "num_attention_heads", "dim", "n_heads")
    vit = ("width", "heads") if isinstance(source, ViTConfig) else ()
    wider = {
        name: value * factor for name, value in source.model_dump().items() if name in grows + vit
    }
    target = type(source).model_validate(source.model_dump() | wider)
    tensors = large_weights(source)
    shapes = {name: array.shape for name, array in tensors.items()}
    plan = make_plan(target, source, shapes, settings=PlanSettings(width="grow"))

    grown = dict(apply_plan(plan, tensors, initial_weights(target, 5)))

    assert plan.share == 1
    assert not plan.notes
    before, after = logits(source, tensors), logits(target, grown)
    assert np.abs(before).max() > 0.5
    assert np.abs(after - before).max() <= 1e-5 * max(1.0, np.abs(before).max())


@pytest.mark.parametrize("offset", [0, 2])
@pytest.mark.parametrize("positions", ["first", "tile"])
def test_a_longer_context_changes_nothing_within_the_old_one(offset: int, positions: str) -> None:
    source: BackboneConfig = OPT if offset else SMALL
    name = "max_position_embeddings" if offset else "n_positions"
    target = type(source).model_validate(source.model_dump() | {name: 40})
    tensors = large_weights(source)
    shapes = {name: array.shape for name, array in tensors.items()}
    settings = PlanSettings.model_validate({"positions": positions})
    plan = make_plan(target, source, shapes, settings=settings)
    grown = dict(apply_plan(plan, tensors, initial_weights(target, 5)))
    assert np.array_equal(logits(source, tensors), logits(target, grown))


@pytest.mark.parametrize("factor", [2, 0.5])
def test_larger_patches_see_the_same_in_a_larger_image(factor: float) -> None:
    source = ViTConfig(
        image_size=16, patch_size=4, width=24, depth=2, heads=3, inner=48, num_classes=5
    )
    sizes = {"image_size": int(16 * factor), "patch_size": int(4 * factor)}
    target = source.model_copy(update=sizes)
    tensors = large_weights(source)
    # Equal all over a patch, so that to stretch it is exact.
    kernel = tensors["patch_embed.proj.weight"]
    tensors["patch_embed.proj.weight"] = np.broadcast_to(kernel[..., :1, :1] / 8, kernel.shape)
    shapes = {name: array.shape for name, array in tensors.items()}
    plan = make_plan(target, source, shapes)
    grown = dict(apply_plan(plan, tensors, initial_weights(target, 5)))
    found = []
    squares = np.random.default_rng(1).standard_normal((2, 4, 4, 3), dtype=np.float32)
    for config, values in ((source, tensors), (target, grown)):
        model = model_class("vit")(config)
        model.load_named(values)
        images = squares.repeat(config.patch_size, 1).repeat(config.patch_size, 2)
        found.append(np.asarray(model(images)))
    assert np.abs(found[0]).max() > 0.5
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-4)
    assert verify(plan, tensors, grown).exact


def test_the_comparison_sees_a_layer_that_adds_something() -> None:
    target = SMALL.model_copy(update={"n_layer": 8})
    tensors = large_weights(SMALL)
    shapes = {name: array.shape for name, array in tensors.items()}
    grown = apply_plan(make_plan(target, SMALL, shapes), tensors, large_weights(target))
    assert np.abs(logits(target, grown) - logits(SMALL, tensors)).max() > 0.1
