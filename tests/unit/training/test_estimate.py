import pytest

from training.backbones.gpt2.config import PRESETS
from training.backbones.gpt2.lora import adapted_matrices
from training.backbones.lora import factor_specs
from training.estimate import estimate, flops_per_token
from training.spec import LoraSpec, RunSpec


def spec(**training):
    return RunSpec.model_validate(
        {"data": {"path": "x"}, "model": PRESETS["nano"].model_dump(), "training": training}
    )


def test_gpt2_has_its_published_number_of_parameters():
    assert estimate(spec(), PRESETS["gpt2"]).parameters == 124_439_808


def test_the_parts_add_up():
    found = estimate(spec(), PRESETS["gpt2"])
    assert sum(found.memory.values()) == found.memory_bytes


def test_lora_trains_exactly_its_factors():
    lora = LoraSpec(rank=4, targets=["c_attn", "c_fc", "mlp.c_proj", "attn.c_proj"])
    config = PRESETS["micro"]
    found = estimate(spec(lora=lora.model_dump()), config)
    shapes = [spec.shape for spec in factor_specs(adapted_matrices(config, lora), lora.rank)]
    assert found.trainable == sum(rows * columns for rows, columns in shapes)
    assert found.memory["optimizer"] == 8 * found.trainable


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"batch_size": 64}, "activations"),
        ({"sequence_length": 64}, "logits"),
        ({"accumulation": 4}, "gradients"),
    ],
)
def test_what_is_changed_shows_in_its_part(change, part):
    assert (
        estimate(spec(**change), PRESETS["nano"]).memory[part]
        != (estimate(spec(), PRESETS["nano"]).memory[part])
    )


def test_time_follows_from_the_speed():
    slow, fast = (estimate(spec(), PRESETS["nano"], speed).seconds for speed in (1e9, 2e9))
    assert slow == pytest.approx(2 * fast)
    assert estimate(spec(), PRESETS["nano"]).seconds is None


def test_a_gpt2_step_costs_about_six_operations_a_parameter():
    config = PRESETS["gpt2"]
    assert flops_per_token(config, 256) / config.parameter_count() == pytest.approx(6, rel=0.1)


@pytest.mark.parametrize(
    ("preset", "batch", "length", "accumulation", "peak_mib"),
    [
        ("nano", 16, 128, 1, 984),
        ("nano", 64, 128, 1, 1742),
        ("micro", 16, 256, 1, 2080),
        ("micro", 4, 256, 4, 1301),
    ],
)
def test_memory_is_within_thirty_percent_of_what_was_measured(
    preset, batch, length, accumulation, peak_mib
):
    """Peak resident memory of real runs in float32 (docs/methods/causal_lm.md)."""
    run = spec(batch_size=batch, sequence_length=128, accumulation=accumulation)
    run.training.sequence_length = length
    found = estimate(run, PRESETS[preset]).memory_bytes / 2**20
    assert found == pytest.approx(peak_mib, rel=0.3)
