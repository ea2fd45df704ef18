"""Merging, against the formulas written out for whole arrays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.small import TOKENIZER
from training.backbones.gpt2.config import GPT2Config
from training.backbones.gpt2.lora import adapted_matrices
from training.backbones.lora import factor_specs, write_adapter
from training.backbones.lora import merge as lora_merge
from training.backbones.resnet.config import ResNetConfig
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError
from training.spec import LoraSpec
from training.weights import tensors as module
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.weights.merge import (
    add_adapters,
    interpolate,
    merge_card,
    require_mergeable,
    soup_greedy,
    soup_uniform,
    task_arithmetic,
    ties,
)

CONFIG = GPT2Config(vocab_size=272, n_positions=16, n_embd=16, n_layer=2, n_head=2)
NAME = "transformer.h.1.mlp.c_fc.weight"

Arrays = dict[str, np.ndarray]


def random_arrays(seed: int, config: GPT2Config = CONFIG, dtype: Any = np.float32) -> Arrays:
    random = np.random.default_rng(seed)
    return {spec.name: random.normal(size=spec.shape).astype(dtype) for spec in config.tensors()}


def write(folder: Path, arrays: Arrays, config: GPT2Config = CONFIG, **options: Any) -> Checkpoint:
    write_checkpoint(folder, config, arrays, options.pop("tokenizer", TOKENIZER), {}, **options)
    return read_checkpoint(folder)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tensors then take several slices, the last of them shorter."""
    monkeypatch.setattr(module, "SLICE", 1000)


@pytest.fixture
def arrays() -> list[Arrays]:
    return [random_arrays(seed) for seed in range(4)]


@pytest.fixture
def models(tmp_path: Path, arrays: list[Arrays]) -> list[Checkpoint]:
    return [write(tmp_path / str(place), each) for place, each in enumerate(arrays)]


def assert_same(merged: Any, expected: Callable[[str], np.ndarray], exact: bool = True) -> None:
    assert set(merged) == {spec.name for spec in CONFIG.tensors()}
    for name in merged:
        have, want = merged[name], expected(name)
        assert (have.dtype, have.shape) == (want.dtype, want.shape)
        if exact:
            assert have.tobytes() == want.tobytes(), name
        else:
            np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.7])
def test_interpolation_is_the_formula(
    models: list[Checkpoint], arrays: list[Arrays], alpha: float
) -> None:
    a, b = arrays[:2]
    assert_same(
        interpolate(models[0], models[1], alpha),
        lambda name: np.float32(1 - alpha) * a[name] + np.float32(alpha) * b[name],
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_the_ends_of_an_interpolation_are_its_models_bit_for_bit(
    tmp_path: Path, dtype: Any
) -> None:
    both = [random_arrays(seed, dtype=dtype) for seed in range(2)]
    for each in both:
        each[NAME][0, :2] = (-0.0, 0.0)
    models = [write(tmp_path / str(place), each) for place, each in enumerate(both)]
    for alpha in (0, 1):
        assert_same(interpolate(models[0], models[1], alpha), lambda n, alpha=alpha: both[alpha][n])


def test_a_uniform_soup_is_the_mean(models: list[Checkpoint], arrays: list[Arrays]) -> None:
    assert_same(
        soup_uniform(models),
        lambda name: sum(each[name] for each in arrays) / np.float32(4),
    )


def test_a_soup_of_one_is_that_one_bit_for_bit(tmp_path: Path) -> None:
    only = random_arrays(5)
    only[NAME][0, 0] = -0.0
    assert_same(soup_uniform([write(tmp_path / "only", only)]), lambda name: only[name])


LORA = LoraSpec(rank=2, alpha=6, targets=["c_attn", "mlp.c_proj"])


def random_factors(seed: int, config: GPT2Config = CONFIG) -> Arrays:
    random = np.random.default_rng(seed)
    specs = factor_specs(adapted_matrices(config, LORA), LORA.rank)
    return {spec.name: random.normal(size=spec.shape).astype(np.float32) for spec in specs}


def write_factors(folder: Path, factors: Arrays, config: GPT2Config = CONFIG) -> None:
    matrices = adapted_matrices(config, LORA)
    write_adapter(folder / "adapter", factors, matrices, LORA, modules=["c_attn"], task=None)


def test_lora_weights_are_added_to_any_base_of_their_shape(
    tmp_path: Path, models: list[Checkpoint], arrays: list[Arrays]
) -> None:
    first, second = random_factors(1), random_factors(2)
    write_factors(models[1].folder, first)
    write_factors(models[2].folder, second)
    added = add_adapters(models[0], models[1:3], [0.5, -0.25])
    once = lora_merge(arrays[0], first, CONFIG, adapted_matrices(CONFIG, LORA), 3.0)
    twice = lora_merge(arrays[0], second, CONFIG, adapted_matrices(CONFIG, LORA), 3.0)

    def expected(name: str) -> np.ndarray:
        start = arrays[0][name]
        return start + 0.5 * (once[name] - start) - 0.25 * (twice[name] - start)

    assert_same(added, expected, exact=False)
    untouched = "transformer.h.0.attn.c_proj.weight"
    assert added[untouched].tobytes() == arrays[0][untouched].tobytes()
    assert added.layout(NAME) == (np.dtype(np.float32), arrays[0][NAME].shape)


def test_lora_weights_that_are_missing_or_of_another_shape_are_refused(
    models: list[Checkpoint],
) -> None:
    with pytest.raises(TrainingError) as caught:
        add_adapters(models[0], models[1:2], [1.0])
    assert (caught.value.code, caught.value.params) == ("merge_adapter", {"number": 1})
    deep = CONFIG.model_copy(update={"n_layer": 3})
    write_factors(models[1].folder, random_factors(1, deep), deep)
    with pytest.raises(TrainingError) as caught:
        add_adapters(models[0], models[1:2], [1.0])
    assert caught.value.code == "merge_adapter"
    (models[1].folder / "adapter/adapter_config.json").write_text("[]")
    with pytest.raises(TrainingError) as caught:
        add_adapters(models[0], models[1:2], [1.0])
    assert caught.value.code == "adapter_unreadable"


def test_lora_weights_that_overflow_a_smaller_type_are_refused(tmp_path: Path) -> None:
    model = write(tmp_path / "half", random_arrays(1, dtype=np.float16))
    write_factors(model.folder, random_factors(1))
    assert np.isfinite(
        add_adapters(model, [model], [1.0])["transformer.h.0.attn.c_attn.weight"]
    ).all()
    with pytest.raises(TrainingError) as caught:
        dict(add_adapters(model, [model], [4e5]))
    assert caught.value.code == "tensor_not_finite"


def test_task_arithmetic_is_the_formula(models: list[Checkpoint], arrays: list[Arrays]) -> None:
    base, one, two, _three = arrays
    assert_same(
        task_arithmetic(models[0], models[1:3], [0.4, -0.3]),
        lambda n: (
            base[n] + np.float32(0.4) * (one[n] - base[n]) + np.float32(-0.3) * (two[n] - base[n])
        ),
        exact=False,
    )


@pytest.mark.parametrize("keep", [0.2, 0.5, 1.0])
def test_ties_is_the_paper_s_procedure_on_flat_vectors(
    models: list[Checkpoint], arrays: list[Arrays], keep: float
) -> None:
    names = list(arrays[0])
    base, *tuned = [np.concatenate([each[n].ravel() for n in names]) for each in arrays]
    trimmed = []
    for each in tuned:
        task = each - base
        left = int(np.ceil(keep * task.size))
        edge = np.sort(np.abs(task))[::-1][left - 1]
        kept = np.where(np.abs(task) >= edge, task, 0)
        assert np.count_nonzero(kept) == left  # random values: no two alike
        trimmed.append(kept)
    stacked = np.stack(trimmed)
    sign = np.sign(stacked.sum(0))
    agrees = (np.sign(stacked) == sign) & (stacked != 0)
    mean = np.where(agrees, stacked, 0).sum(0) / np.maximum(agrees.sum(0), 1)
    expected = base + 0.9 * mean

    merged = ties(models[0], models[1:], keep, 0.9)
    found = np.concatenate([merged[name].ravel() for name in names])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_ties_by_hand(tmp_path: Path) -> None:
    """Six values that differ from the base in two models; all others are the base's own.

    ============ ==== ==== ==== ==== ==== ====
    τ₁           3    −1   0.1  4    2    0.2
    τ₂           1    −5   0.2  −6   −2   0.1
    the 4 largest of each stay (a quarter of all values would be many more: keep is 4 / size)
    trimmed τ₁   3    −1   0    4    2    0
    trimmed τ₂   1    −5   0    −6   −2   0
    sign         +    −    0    −    0    0
    mean         2    −3   0    −6   0    0
    ============ ==== ==== ==== ==== ==== ====
    """
    base = {spec.name: np.full(spec.shape, 10, np.float32) for spec in CONFIG.tensors()}
    tuned = []
    for task in ([3, -1, 0.1, 4, 2, 0.2], [1, -5, 0.2, -6, -2, 0.1]):
        changed = {name: array.copy() for name, array in base.items()}
        changed[NAME][0, :6] += np.array(task, np.float32)
        tuned.append(changed)
    first, *others = [
        write(tmp_path / str(place), each) for place, each in enumerate([base, *tuned])
    ]
    merged = ties(first, others, 4 / CONFIG.parameter_count(), 1.0)
    np.testing.assert_array_equal(merged[NAME][0, :6] - 10, [2, -3, 0, -6, 0, 0])
    np.testing.assert_array_equal(merged[NAME][0, 6:], 10)
    np.testing.assert_array_equal(merged["transformer.wte.weight"], 10)


def test_a_greedy_soup_keeps_what_is_no_worse() -> None:
    asked = []
    table = {(1, 3): 0.9, (1, 3, 0): 0.95, (1, 3, 2): 0.9}

    def loss_of(places: list[int]) -> float:
        asked.append(tuple(places))
        return table[tuple(places)]

    kept, steps = soup_greedy([1.2, 1.0, 1.5, 1.1], loss_of)
    assert kept == [1, 3, 2]
    assert asked == [(1, 3), (1, 3, 0), (1, 3, 2)]
    assert [(step.model, step.loss, step.kept) for step in steps] == [
        (1, 1.0, True),
        (3, 0.9, True),
        (0, 0.95, False),
        (2, 0.9, True),
    ]


def test_different_types_meet_in_float32(tmp_path: Path) -> None:
    half, single = random_arrays(1, dtype=np.float16), random_arrays(2)
    models = [write(tmp_path / "half", half), write(tmp_path / "single", single)]
    assert_same(interpolate(*models, 0), lambda name: half[name].astype(np.float32))
    assert_same(
        soup_uniform(models), lambda name: (half[name].astype(np.float32) + single[name]) / 2
    )


def test_half_precision_is_computed_in_float32(tmp_path: Path) -> None:
    both = [random_arrays(seed, dtype=ml_dtypes.bfloat16) for seed in range(2)]
    models = [write(tmp_path / str(place), each) for place, each in enumerate(both)]
    wide = [{n: a.astype(np.float32) for n, a in each.items()} for each in both]
    assert_same(
        interpolate(*models, 0.25),
        lambda n: (np.float32(0.75) * wide[0][n] + np.float32(0.25) * wide[1][n]).astype(
            ml_dtypes.bfloat16
        ),
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused_by_name(tmp_path: Path, value: float) -> None:
    good, bad = random_arrays(0), random_arrays(1)
    bad[NAME][3, 3] = value
    models = [write(tmp_path / "good", good), write(tmp_path / "bad", bad)]
    with pytest.raises(TrainingError, match=NAME) as caught:
        dict(interpolate(*models, 0.5))
    assert caught.value.code == "tensor_not_finite"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_ties_loses_no_value_that_is_no_number(tmp_path: Path, value: float, bad: int) -> None:
    each = [random_arrays(seed) for seed in range(3)]
    each[bad][NAME][3, 3] = value
    base, *tuned = [write(tmp_path / str(place), arrays) for place, arrays in enumerate(each)]
    with pytest.raises(TrainingError, match=NAME) as caught:
        dict(ties(base, tuned, 0.5, 1.0))
    assert caught.value.code == "tensor_not_finite"


def test_a_running_variance_stays_above_its_models_smallest(tmp_path: Path) -> None:
    config = ResNetConfig(depths=[1], group_width=2, num_classes=2)
    models = []
    for place, value in enumerate([1.0, 0.25, 0.125]):
        arrays = {spec.name: np.full(spec.shape, value, np.float32) for spec in config.tensors()}
        write_checkpoint(tmp_path / str(place), config, arrays, None, {})
        models.append(read_checkpoint(tmp_path / str(place)))
    base, *tuned = models
    for merged in (task_arithmetic(base, tuned, [1.0, 1.0]), ties(base, tuned, 1.0, 1.5)):
        assert np.all(merged["bn1.running_var"] == 0.125)
        assert np.all(merged["bn1.running_mean"] < 0)
        assert np.all(merged["bn1.weight"] < 0)
    # What lies between its models is the formula's.
    assert np.all(task_arithmetic(base, tuned, [0.5, 0.25])["bn1.running_var"] == 0.40625)


def test_a_sum_too_large_for_its_type_is_refused(tmp_path: Path) -> None:
    base = random_arrays(0, dtype=np.float16)
    far = random_arrays(1, dtype=np.float16)
    far[NAME][0, 0] = 60_000
    models = [write(tmp_path / "base", base), write(tmp_path / "far", far)]
    with pytest.raises(TrainingError, match=NAME):
        dict(task_arithmetic(models[0], models[1:], [2.0]))


OTHER_TOKENIZER = Tokenizer.train(["colourless green ideas sleep"] * 3, 270)


@pytest.mark.parametrize(
    ("changed", "options", "code", "named"),
    [
        ({"n_head": 4}, {}, "merge_settings", "n_head"),
        ({"n_layer": 3}, {}, "merge_settings", "n_layer"),
        ({"activation_function": "relu"}, {}, "merge_settings", "activation_function"),
        ({}, {"tokenizer": OTHER_TOKENIZER}, "merge_tokenizers", "Checkpoint 2"),
    ],
)
def test_models_that_differ_are_refused_by_the_first_difference(
    tmp_path: Path, changed: dict[str, Any], options: dict[str, Any], code: str, named: str
) -> None:
    other = GPT2Config.model_validate(CONFIG.model_dump() | changed)
    models = [
        write(tmp_path / "one", random_arrays(0)),
        write(tmp_path / "two", random_arrays(1, other), other, **options),
    ]
    with pytest.raises(TrainingError, match=named) as caught:
        require_mergeable(models)
    assert caught.value.code == code


def test_equal_models_are_mergeable(models: list[Checkpoint]) -> None:
    require_mergeable(models)


def test_the_card_names_every_parent_once(models: list[Checkpoint]) -> None:
    card = merge_card("ties", {"keep": 0.2}, [*models, models[0]])
    assert card["parents"] == [model.weights_sha256 for model in models]
    assert card["merge"] == {"method": "ties", "keep": 0.2}


def test_memory_holds_one_tensor_and_slices(tmp_path: Path) -> None:
    """Three files of 160 MB, two read and one written, with tensors of 50 MB at most."""
    code = f"""
from pathlib import Path
import numpy as np
from training.backbones.gpt2.config import GPT2Config
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.merge import ties
from training.weights.tensors import write_tensors
folder = Path({str(tmp_path)!r})
config = GPT2Config(vocab_size=1000, n_positions=16, n_embd=1792, n_layer=1, n_head=2)
models = []
for value in range(2):
    arrays = {{spec.name: np.full(spec.shape, value, np.float32) for spec in config.tensors()}}
    write_checkpoint(folder / str(value), config, arrays, None, {{}})
    models.append(read_checkpoint(folder / str(value)))
del arrays
def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
Path("/proc/self/clear_refs").write_text("5")
before = peak()
merged = ties(models[0], models[1:], 0.2, 1.0)
write_tensors(folder / "merged", merged)
print(before, peak())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, peak = map(int, done.stdout.split())
    assert peak - before < 50 + 150, done.stdout
