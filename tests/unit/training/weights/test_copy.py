"""Carrying out a plan, and the proof that it was carried out."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from training.backbones.gpt2.config import GPT2Config
from training.errors import TrainingError
from training.weights.copy import apply_plan, initial_weights, verify
from training.weights.initial import initial_tensors
from training.weights.plan import Plan
from training.weights.planner import make_plan

SMALL = GPT2Config(vocab_size=300, n_positions=16, n_embd=32, n_layer=2, n_head=4)

Arrays = dict[str, np.ndarray]


def source_of(config: GPT2Config, dtype: type = np.float32) -> Arrays:
    return {
        name: array.astype(dtype) for name, array in initial_tensors(config.tensors(), 1).items()
    }


def plan(target: GPT2Config, source: Arrays, config: GPT2Config = SMALL, **options: Any) -> Plan:
    shapes = {name: array.shape for name, array in source.items()}
    return make_plan(target, config, shapes, **options)


def test_the_same_shape_has_the_same_bytes_by_name() -> None:
    source = source_of(SMALL)
    made = plan(SMALL, source)
    result = apply_plan(made, source, initial_weights(SMALL, 0))
    assert {name: array.tobytes() for name, array in result.items()} == {
        name: array.tobytes() for name, array in source.items()
    }
    assert all(result[name] is source[name] for name in source)
    assert verify(made, source, result).exact


def test_order_does_not_matter() -> None:
    """Loading by order would swap the two layers here without a word."""
    source = source_of(SMALL)
    shuffled = dict(sorted(source.items(), key=lambda item: item[0], reverse=True))
    result = apply_plan(plan(SMALL, shuffled), shuffled, initial_weights(SMALL, 0))
    name = "transformer.h.1.attn.c_attn.weight"
    assert np.array_equal(result[name], source[name])


def test_common_rows_come_from_the_source_and_the_rest_from_the_seed() -> None:
    target = SMALL.model_copy(update={"n_positions": 24, "vocab_size": 320, "n_layer": 3})
    source = source_of(SMALL)
    made = plan(target, source)
    result = apply_plan(made, source, initial_weights(target, 5))
    fresh = initial_tensors(target.tensors(), 5)

    for name, rows in (("transformer.wpe.weight", 16), ("transformer.wte.weight", 300)):
        assert np.array_equal(result[name][:rows], source[name])
        assert np.array_equal(result[name][rows:], fresh[name][rows:])
    new = "transformer.h.2.mlp.c_fc.weight"
    assert np.array_equal(result[new], fresh[new])
    assert verify(made, source, result).exact


def test_fewer_rows_are_the_first_ones() -> None:
    target = SMALL.model_copy(update={"n_positions": 8})
    source = source_of(SMALL)
    result = apply_plan(plan(target, source), source, {})
    assert np.array_equal(result["transformer.wpe.weight"], source["transformer.wpe.weight"][:8])


def test_an_untied_head_is_the_source_s_embedding() -> None:
    target = SMALL.model_copy(update={"tie_word_embeddings": False})
    source = source_of(SMALL)
    result = apply_plan(plan(target, source), source, {})
    assert np.array_equal(result["lm_head.weight"], source["transformer.wte.weight"])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_a_smaller_type_is_kept_or_widened_exactly(dtype: type) -> None:
    target = SMALL.model_copy(update={"n_layer": 3})
    source = source_of(SMALL, dtype)
    made = plan(target, source)

    kept = apply_plan(made, source, initial_weights(target, 0))
    assert {array.dtype for array in kept.values()} == {np.dtype(dtype)}
    assert verify(made, source, kept).exact

    widened = apply_plan(made, source, initial_weights(target, 0), np.float32)
    assert {array.dtype for array in widened.values()} == {np.dtype(np.float32)}
    assert verify(made, source, widened).exact
    name = "transformer.wte.weight"
    assert np.array_equal(widened[name].astype(dtype), source[name])


def test_sources_of_several_types_are_widened() -> None:
    source = source_of(SMALL)
    source["transformer.wte.weight"] = source["transformer.wte.weight"].astype(np.float16)
    made = plan(SMALL, source)
    result = apply_plan(made, source, {})
    assert {array.dtype for array in result.values()} == {np.dtype(np.float32)}
    assert verify(made, source, result).exact


def test_a_conversion_that_would_lose_bits_is_refused() -> None:
    source = source_of(SMALL)
    made = plan(SMALL, source)
    with pytest.raises(ValueError, match="not be exact"):
        dict(apply_plan(made, source, {}, np.float16))


@pytest.mark.parametrize("place", [(0, 0), (15, 31)])
def test_one_changed_value_is_found_and_named(place: tuple[int, int]) -> None:
    target = SMALL.model_copy(update={"n_positions": 24})
    source = source_of(SMALL)
    made = plan(target, source)
    result = {
        k: np.array(v) for k, v in apply_plan(made, source, initial_weights(target, 0)).items()
    }
    result["transformer.wpe.weight"][place] += 1e-7
    verification = verify(made, source, result)
    assert not verification.exact
    assert verification.different == ["transformer.wpe.weight"]
    with pytest.raises(TrainingError, match=r"transformer\.wpe\.weight") as caught:
        verification.require_exact()
    assert caught.value.code == "copy_not_exact"


def test_rows_that_were_not_copied_are_not_compared() -> None:
    target = SMALL.model_copy(update={"n_positions": 24})
    source = source_of(SMALL)
    made = plan(target, source)
    result = {
        k: np.array(v) for k, v in apply_plan(made, source, initial_weights(target, 0)).items()
    }
    result["transformer.wpe.weight"][16:] = 0
    assert verify(made, source, result).exact


def test_negative_zero_counts_as_another_value() -> None:
    source = source_of(SMALL)
    source["transformer.ln_f.bias"][0] = -0.0
    made = plan(SMALL, source)
    result = dict(source) | {"transformer.ln_f.bias": np.zeros(32, np.float32)}
    assert verify(made, source, result).different == ["transformer.ln_f.bias"]
