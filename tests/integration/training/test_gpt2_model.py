import numpy as np
import pytest
import tensorflow as tf

from tests.integration.training.reference import gpt2_logits
from training.backbones.gpt2.config import GPT2Config
from training.backbones.gpt2.lora import adapted_matrices
from training.backbones.gpt2.model import GPT2
from training.backbones.layers import embed, gelu_tanh, layer_norm
from training.backbones.lora import initial_factors, merge
from training.spec import LoraSpec
from training.weights.initial import initial_tensors

SMALL = {"vocab_size": 50, "n_positions": 24, "n_embd": 16, "n_layer": 3, "n_head": 2}
TOKENS = np.random.default_rng(0).integers(0, 50, (2, 12)).astype(np.int32)


def weights(config, seed=0):
    """Larger than initial ones, so that every part of the network shows in the logits."""
    random = np.random.default_rng(seed)
    return {
        tensor.name: random.normal(0, 0.3, tensor.shape).astype(np.float32)
        + (1 if ".ln_" in tensor.name and tensor.name.endswith("weight") else 0)
        for tensor in config.tensors()
    }


def built(config, **options):
    model = GPT2(config, **options)
    tensors = weights(config)
    if options.get("lora"):
        lora = options["lora"]
        tensors |= initial_factors(adapted_matrices(config, lora), lora.rank, 0)
    model.load_named(tensors)
    return model


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"activation_function": "gelu"},
        {"activation_function": "relu"},
        {"activation_function": "silu"},
        {"activation_function": "tanh"},
        {"layer_norm_epsilon": 0.1},
        {"tie_word_embeddings": False},
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True},
        {"n_inner": 24},
    ],
)
def test_every_field_is_honoured_as_a_plain_numpy_gpt2_does(change):
    config = GPT2Config(**(SMALL | change))
    ours = built(config)(TOKENS).numpy()
    assert np.abs(ours - gpt2_logits(config, weights(config), TOKENS)).max() < 1e-4
    if change and "n_inner" not in change and "tie_word_embeddings" not in change:
        plain = gpt2_logits(GPT2Config(**SMALL), weights(config), TOKENS)
        assert np.abs(ours - plain).max() > 5e-4, "the comparison would not see this field"


def test_a_token_sees_nothing_of_what_follows():
    model, changed = built(GPT2Config(**SMALL)), TOKENS.copy()
    changed[:, 8:] = 0
    before, after = model(TOKENS).numpy(), model(changed).numpy()
    assert np.array_equal(before[:, :8], after[:, :8])
    assert not np.array_equal(before[:, 8:], after[:, 8:])


def test_bfloat16_stays_close_even_where_logits_share_a_large_offset():
    config = GPT2Config(**SMALL)
    exact, rounded = GPT2(config), GPT2(config, compute_dtype="bfloat16")
    # As in pretrained weights: all rows of the table share a direction that hidden states have too.
    tensors = weights(config)
    tensors["transformer.wte.weight"] += 3.0
    tensors["transformer.ln_f.bias"] += 2.0
    for model in (exact, rounded):
        model.load_named(tensors)
    a, b = (tf.nn.log_softmax(model(TOKENS)).numpy() for model in (exact, rounded))
    assert np.abs(exact(TOKENS).numpy()).max() > 50
    assert np.abs(a - b).mean() < 0.05


def test_names_must_match_exactly_and_nothing_is_set_otherwise():
    config = GPT2Config(**SMALL)
    model, tensors = GPT2(config), weights(config)
    del tensors["transformer.h.1.ln_1.bias"]
    with pytest.raises(ValueError, match=r"transformer\.h\.1\.ln_1\.bias"):
        model.load_named(tensors)
    with pytest.raises(ValueError, match="extra"):
        model.load_named(weights(config) | {"extra": np.zeros(3, np.float32)})
    wrong = weights(config) | {"transformer.ln_f.bias": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match=r"transformer\.ln_f\.bias"):
        model.load_named(wrong)
    assert all((value == 0).all() for value in model.named().values())


def test_what_is_loaded_comes_back_bit_for_bit():
    config = GPT2Config(**SMALL)
    tensors = weights(config)
    back = built(config).named()
    assert list(back) == [tensor.name for tensor in config.tensors()]
    assert all(np.array_equal(back[name], tensors[name]) for name in tensors)


def test_the_cache_gives_the_logits_of_a_full_pass():
    model = built(GPT2Config(**SMALL))
    full = model(TOKENS).numpy()
    cache = model.new_cache(16, batch=2)
    padded = np.pad(TOKENS[:, :5], ((0, 0), (0, 3)))
    first = model.extend(tf.constant(padded), tf.constant(0), tf.constant(4), cache).numpy()
    assert np.abs(first - full[:, 4]).max() < 1e-5
    for at in range(5, 12):
        token = tf.constant(TOKENS[:, at : at + 1])
        next_ = model.extend(token, tf.constant(at), tf.constant(0), cache).numpy()
        assert np.abs(next_ - full[:, at]).max() < 1e-5


def test_dropout_follows_from_its_seed_and_is_off_outside_training():
    model = built(GPT2Config(**SMALL), dropout=0.3)
    seeds = [tf.constant(seed) for seed in ([1, 5], [1, 5], [1, 6], [2, 5])]
    a, same, other_step, other_seed = (
        model(TOKENS, training=True, seed=seed).numpy() for seed in seeds
    )
    assert np.array_equal(a, same)
    assert not np.array_equal(a, other_step)
    assert not np.array_equal(a, other_seed)
    assert np.array_equal(model(TOKENS).numpy(), built(GPT2Config(**SMALL))(TOKENS).numpy())


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_lora_starts_as_the_base_and_merges_into_what_it_computes(compute):
    config = GPT2Config(**SMALL)
    lora = LoraSpec(rank=3, alpha=6, targets=["c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"])
    adapted = built(config, lora=lora, compute_dtype=compute)
    base = built(config, compute_dtype=compute)
    assert np.array_equal(adapted(TOKENS).numpy(), base(TOKENS).numpy())
    assert all(".lora_" in name for name in adapted.trainable_names())

    random = np.random.default_rng(1)
    matrices = adapted_matrices(config, lora)
    factors = {
        name: random.normal(0, 0.2, value.shape).astype(np.float32)
        for name, value in initial_factors(matrices, lora.rank, 0).items()
    }
    adapted.load_named(weights(config) | factors)
    base.load_named(merge(weights(config), factors, config, matrices, lora.alpha / lora.rank))
    tolerance = 1e-4 if compute == "float32" else 0.5
    assert np.abs(adapted(TOKENS).numpy() - base(TOKENS).numpy()).max() < tolerance
    assert np.abs(base(TOKENS).numpy() - built(config)(TOKENS).numpy()).max() > 0.5


def numeric_gradient(function, x, step=1e-3):
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        found[index] = (function(up) - function(down)) / (2 * step)
    return found


def test_the_hand_written_gradients_are_those_of_their_functions():
    random = np.random.default_rng(0)
    x, target = random.normal(size=(3, 5)), random.normal(size=(3, 5))
    scale, bias = random.normal(size=5), random.normal(size=5)

    def through(function, value):
        with tf.GradientTape() as tape:
            value = tf.constant(value)
            tape.watch(value)
            loss = tf.reduce_sum(function(value) * target)
        return tape.gradient(loss, value).numpy(), lambda v: float(
            tf.reduce_sum(function(tf.constant(v)) * target)
        )

    epsilon = tf.constant(1e-2, tf.float64)
    for function, value in [
        (gelu_tanh, x),
        (lambda v: layer_norm(v, scale, bias, epsilon), x),
        (lambda v: layer_norm(tf.constant(x), v, bias, epsilon), scale),
        (lambda v: layer_norm(tf.constant(x), scale, v, epsilon), bias),
        (lambda v: embed(v, tf.constant([1, 0, 1])), random.normal(size=(4, 5))),
    ]:
        gradient, plain = through(function, value)
        assert np.abs(gradient - numeric_gradient(plain, value)).max() < 1e-5


def test_a_scratch_model_starts_near_the_loss_of_guessing():
    config = GPT2Config(**SMALL)
    model = GPT2(config)
    model.load_named(initial_tensors(config.tensors(), 0))
    log_p = tf.nn.log_softmax(model(TOKENS)).numpy()
    assert abs(-log_p.mean() - np.log(50)) < 0.05
