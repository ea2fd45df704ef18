"""Image backbones against PyTorch's outputs, kept as small files (``make parity``).

Each network's state dict is written anew, with PyTorch's names, and goes through the import.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.parity.images import (
    HASHES,
    KEPT,
    MAPS,
    NETWORKS,
    PARTS,
    POOLING,
    REFERENCE,
    TOLERANCE,
    Network,
    images,
    pooled_map,
    state_dicts,
    values,
)
from tests.parity.ours import import_folder, same_files
from training.backbones.image_model import ImageModel
from training.backbones.registry import model_class
from training.features.images import adaptive_max, pool_map
from training.interop.huggingface import export
from training.weights.checkpoint import Checkpoint

NAMES = state_dicts()
#: torchvision's where timm has the network too, under other names: PyTorch did not load ours.
RENAMED = {"mobilenet_v3_large", "mobilenet_v3_small", "vit_tiny_patch16_64-torchvision"}
#: In timm the same tensors as another network of another function.
AMBIGUOUS = {name for name in NETWORKS if "lite0" in name or "mobilenetv3" in name}


def write_theirs(name: str, folder: Path) -> Path:
    """PyTorch's state dict, alone or, where that is ambiguous, as timm writes a folder."""
    network = NETWORKS[name]
    folder.mkdir()
    tensors = {
        key: values(key, shape, network.gain) for key, (_dtype, shape) in NAMES[name].items()
    }
    path = folder / "model.safetensors"
    save_file(tensors, path, {"format": "pt"})
    if name not in AMBIGUOUS:
        return path
    config = {"architecture": network.model, "num_classes": 10, "pretrained_cfg": {"tag": "x"}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def loaded(network: Network, checkpoint: Checkpoint) -> ImageModel:
    model: ImageModel = model_class(network.architecture)(checkpoint.config)
    model.load_named(checkpoint.tensors())
    return model


def difference(model: ImageModel, name: str) -> float:
    """The largest of the logits, over the sizes."""
    expected = load_file(REFERENCE / f"{name}.safetensors")
    return max(
        float(np.abs(model(images(*size)) - expected[f"logits.{size[0]}x{size[1]}"]).max())
        for size in NETWORKS[name].sizes
    )


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_pytorchs_weights_give_its_logits(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    theirs = write_theirs(name, tmp_path / "theirs")
    checkpoint = import_folder(theirs, tmp_path / "out")
    assert checkpoint.config == network.config
    if name not in RENAMED:
        # PyTorch loaded the checkpoint that we write of these weights, and gave these very logits.
        assert checkpoint.weights_sha256 == json.loads(HASHES.read_text())[name]

    model = loaded(network, checkpoint)
    assert difference(model, name) <= TOLERANCE

    height, width = network.sizes[0]
    expected = load_file(REFERENCE / f"{name}.safetensors")
    # Values this large make the tolerance strict.
    assert 1 < np.abs(expected[f"logits.{height}x{width}"]).max() < 100
    if (pooled := expected.get(f"pooled.{height}x{width}")) is not None:
        ours = np.array(model.features(images(height, width))).mean((1, 2))[:, ::KEPT]
        assert np.abs(ours - pooled).max() <= TOLERANCE


def test_every_checkpoint_with_pytorchs_names_was_loaded_there() -> None:
    assert set(json.loads(HASHES.read_text())) == set(NETWORKS) - RENAMED


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_import_export_import_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = import_folder(write_theirs(name, tmp_path / "theirs"), tmp_path / "first")
    export(first, tmp_path / "exported")
    second = import_folder(tmp_path / "exported", tmp_path / "second")

    assert second.weights_sha256 == first.weights_sha256
    assert same_files(first, second)
    theirs = load_file(tmp_path / "theirs" / "model.safetensors")
    counters = {key for key in theirs if key.endswith("num_batches_tracked")}
    ours = [value.tobytes() for value in first.tensors().values()]
    assert sorted(ours) == sorted(theirs[key].tobytes() for key in set(theirs) - counters)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("tf_efficientnet_lite0", {"padding": "symmetric"}),
        ("tf_efficientnet_lite0", {"norm_epsilon": 1e-5}),
        ("vit_tiny_patch16_64", {"layer_norm_epsilon": 1e-3}),
        ("vit_tiny_patch16_64", {"heads": 6}),
    ],
)
def test_the_comparison_sees_a_setting_that_is_not_honoured(
    name: str, wrong: dict[str, Any], tmp_path: Path
) -> None:
    network = NETWORKS[name]
    checkpoint = import_folder(write_theirs(name, tmp_path / "theirs"), tmp_path / "out")
    config = checkpoint.config.model_copy(update=wrong)
    model = model_class(network.architecture)(config)
    model.load_named(checkpoint.tensors())
    assert difference(model, name) > 10 * TOLERANCE


def test_the_comparison_sees_tensorflows_padding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At an even size and stride 2 it is another; a ResNet with it answers something else."""
    checkpoint = import_folder(write_theirs("resnet50", tmp_path / "theirs"), tmp_path / "out")
    model = loaded(NETWORKS["resnet50"], checkpoint)
    own = model.convolve

    def same(x: Any, name: str, **arguments: Any) -> Any:
        return own(x, name, **arguments | {"padding": "same"})

    monkeypatch.setattr(model, "convolve", same)
    assert difference(model, "resnet50") > 10 * TOLERANCE


@pytest.mark.parametrize(("height", "width"), MAPS)
def test_poolings_are_those_of_pytorch(height: int, width: int) -> None:
    theirs = load_file(POOLING)
    given = pooled_map(height, width)
    for parts in PARTS:
        expected = theirs[f"max.{parts}.{height}x{width}"].transpose(0, 2, 3, 1)
        assert np.array_equal(adaptive_max(given, parts), expected)
    size = f"1.{height}x{width}"
    assert np.array_equal(pool_map(given, "max"), theirs[f"max.{size}"][..., 0, 0])
    mean = theirs[f"mean.{size}"][..., 0, 0]
    assert np.abs(pool_map(given, "mean") - mean).max() < 1e-6
    both = pool_map(given, "mean_max")
    assert np.array_equal(both[:, :6], pool_map(given, "mean"))
    assert np.array_equal(both[:, 6:], pool_map(given, "max"))
    quarters = theirs[f"max.2.{height}x{width}"].transpose(0, 2, 3, 1)
    assert np.array_equal(pool_map(given, "adaptive_max"), quarters.reshape(2, -1))
