import hashlib

import numpy as np

from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.weights.initial import initial_tensor, initial_tensors


def test_a_tensor_depends_on_the_seed_and_its_name_alone():
    few, many = GPT2Config(n_embd=16, n_head=2, n_layer=1), GPT2Config(n_embd=16, n_head=2)
    name = "transformer.h.0.attn.c_attn.weight"
    a, b = (initial_tensors(config.tensors(), seed=3)[name] for config in (few, many))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, initial_tensors(few.tensors(), seed=4)[name])


def test_the_values_never_change_between_versions():
    """Old runs' twins must stay comparable: a change here needs a new spec version."""
    tensor = initial_tensors(PRESETS["nano"].tensors(), seed=0)["transformer.wpe.weight"]
    digest = hashlib.sha256(tensor.astype("<f4").tobytes()).hexdigest()
    assert digest == "9bd085efeba182ef32b8fffd0bab387739e62821d1c21122172093090c2f42e3"


def test_they_have_the_published_distribution():
    config = GPT2Config(n_embd=256, n_head=4, n_layer=8, vocab_size=1000)
    tensors = initial_tensors(config.tensors(), seed=0)
    assert abs(tensors["transformer.wte.weight"].std() - 0.02) < 2e-4
    assert abs(tensors["transformer.h.0.mlp.c_proj.weight"].std() - 0.02 / 4) < 1e-4
    assert (tensors["transformer.ln_f.weight"] == 1).all()
    assert (tensors["transformer.h.7.attn.c_attn.bias"] == 0).all()
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())


def test_every_tensor_has_its_shape():
    for spec in PRESETS["nano"].tensors():
        assert initial_tensor(spec, 0).shape == spec.shape
