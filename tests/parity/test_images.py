"""Image backbones against PyTorch's outputs, kept as small files (``make parity``)."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.parity.images import NETWORKS, REFERENCE, TOLERANCE, images, weights
from training.backbones.registry import model_class


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_pytorchs_weights_give_its_logits(name: str) -> None:
    network = NETWORKS[name]
    model = model_class(network.architecture)(network.config)
    model.load_named(weights(network))
    expected = load_file(REFERENCE / f"{name}.safetensors")

    for height, width in network.sizes:
        logits = expected[f"logits.{height}x{width}"]
        assert np.abs(model(images(height, width)) - logits).max() <= TOLERANCE
        assert np.abs(logits).max() > 1
