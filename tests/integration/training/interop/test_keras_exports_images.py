"""Keras files of the models of images: every setting, sizes odd and even, and no code of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.backbones.densenet.config import DenseNetConfig
from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.backbones.image_config import ImageConfig
from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.backbones.registry import model_class
from training.backbones.resnet.config import ResNetConfig
from training.backbones.shufflenet.config import ShuffleNetConfig
from training.backbones.vit.config import ViTConfig
from training.events import EventLog
from training.interop import exporting
from training.interop.exports import keras as form
from training.interop.exports.network import Network
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

VIT = ViTConfig(
    image_size=24, patch_size=8, width=16, depth=2, heads=2, inner=24, num_classes=3, in_channels=3
)
#: Tiny ones in which every setting has more than one value.
CONFIGS: dict[str, ImageConfig] = {
    "resnet": ResNetConfig(depths=[2, 1, 1], num_classes=3),
    "resnext, grey": ResNetConfig(
        depths=[1, 2], groups=4, group_width=6, num_classes=2, in_channels=1
    ),
    "resnext, groups of one channel, no head": ResNetConfig(
        depths=[1, 1], groups=8, group_width=1, num_classes=0
    ),
    "densenet": DenseNetConfig(
        depths=[2, 1, 2], growth=6, stem=9, bottleneck=3, num_classes=3, in_channels=2
    ),
    "densenet, one block, no head": DenseNetConfig(depths=[3], growth=4, stem=8, num_classes=0),
    "densenet, one channel": DenseNetConfig(
        depths=[1, 1], growth=1, stem=2, bottleneck=2, num_classes=2
    ),
    "shufflenet": ShuffleNetConfig(
        depths=[3, 1], widths=[12, 20], last=16, num_classes=3, in_channels=1
    ),
    "shufflenet, no head": ShuffleNetConfig(depths=[2], widths=[2], last=8, num_classes=0),
    "efficientnet_lite": EfficientNetLiteConfig(num_classes=3),
    "efficientnet_lite of PyTorch": EfficientNetLiteConfig(
        padding="symmetric", norm_epsilon=1e-5, num_classes=0, in_channels=1
    ),
    "mobilenet_v3, large": MobileNetV3Config(num_classes=3, in_channels=1),
    "mobilenet_v3, small": MobileNetV3Config(
        size="small", padding="same", norm_epsilon=1e-5, num_classes=0
    ),
    "vit": VIT,
    "vit, no head": VIT.model_copy(
        update={
            "image_size": 10,
            "patch_size": 5,
            "heads": 4,
            "num_classes": 0,
            "in_channels": 1,
            "layer_norm_epsilon": 1e-2,
        }
    ),
}


def loud(config: ImageConfig) -> dict[str, np.ndarray]:
    """Weights so large that a wrong network cannot agree by chance.

    Running statistics are near those of random images, so that depth does not blow up the values,
    and small, so that every epsilon counts.
    """
    random = np.random.default_rng(5)
    found = {}
    for spec in config.tensors():
        drawn = random.standard_normal(spec.shape).astype(np.float32)
        if len(spec.shape) == 1:
            found[spec.name] = np.float32(spec.init == "ones") + np.float32(0.3) * drawn
        elif len(spec.shape) == 4 and config.architecture != "vit":
            found[spec.name] = np.float32(0.05 * spec.std) * drawn
        else:
            found[spec.name] = np.float32(0.3) * drawn
    model = model_class(config.architecture)(config)
    model.load_named(found)
    size = getattr(config, "image_size", 96)
    images = random.standard_normal((4, size, size, config.in_channels)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.backbones.image_model.NORM_MOMENTUM", 0.0)
        model(tf.constant(images), training=True)
    found = model.named()
    for name in found:
        if name.endswith("running_var"):
            mean, variance = name.replace("_var", "_mean"), np.maximum(found[name], 1e-4)
            drawn = random.standard_normal(variance.shape).astype(np.float32)
            found[mean] = found[mean] + np.float32(0.3) * drawn * np.sqrt(variance)
            found[name] = variance * random.uniform(0.7, 1.4, variance.shape).astype(np.float32)
    return found


def checkpoint_of(config: ImageConfig, folder: Path) -> Checkpoint:
    write_checkpoint(folder, config, loud(config), None, {})
    return read_checkpoint(folder)


@pytest.mark.parametrize("name", CONFIGS)
def test_an_image_model_is_proved_and_takes_other_sizes(
    name: str, tmp_path: Path, events: EventLog
) -> None:
    config = CONFIGS[name]
    checkpoint = checkpoint_of(config, tmp_path / "checkpoint")
    folder = tmp_path / "export"
    folder.mkdir()
    proof = exporting.write_proved(checkpoint, "keras", folder, events)
    assert proof["largest_difference"] <= 1e-4 < proof["largest_output"] / 1000
    network = Network(checkpoint)
    model = keras.saving.load_model(folder / form.FILE, safe_mode=True)
    (given,) = network.inputs
    assert (model.inputs[0].name, tuple(model.inputs[0].shape)) == (given.name, given.shape)
    # The probe's maps are even down to 7 × 7; here the heights are odd and the widths are both.
    height, width = given.shape[1:3] if given.shape[1] else (65, 46)
    random = np.random.default_rng(1)
    pixels = random.standard_normal((3, height, width, config.in_channels)).astype(np.float32)
    expected = network.logits({given.name: pixels})
    assert np.abs(np.asarray(model(pixels)) - expected).max() <= 1e-4


def test_the_lines_on_the_page_open_it_where_there_is_no_code_of_ours(
    tmp_path: Path, events: EventLog
) -> None:
    script = "import sys, numpy as np\n"
    expected = {}
    for name in ("resnext, grey", "shufflenet", "vit"):
        config = CONFIGS[name]
        checkpoint = checkpoint_of(config, tmp_path / name)
        folder = tmp_path / f"{name} exported"
        folder.mkdir()
        proof = exporting.write_proved(checkpoint, "keras", folder, events)
        size = getattr(config, "image_size", 45)
        pixels = np.random.default_rng(1).standard_normal((1, size, size, config.in_channels))
        np.save(folder / "pixels.npy", pixels.astype(np.float32))
        expected[folder] = Network(checkpoint).logits({"pixels": pixels.astype(np.float32)})
        script += (
            f"import os; os.chdir({str(folder)!r})\n"
            "pixels = np.load('pixels.npy')\n"
            f"{proof['open']}\n"
            "np.save('logits.npy', np.asarray(logits))\n"
        )
    script += "assert 'training' not in sys.modules\n"
    subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, check=True, capture_output=True
    )
    for folder, logits in expected.items():
        assert np.abs(np.load(folder / "logits.npy") - logits).max() <= 1e-4


@pytest.mark.parametrize("name", ["resnext, grey", "vit"])
def test_it_is_trained_on_and_every_weight_moves(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    checkpoint = checkpoint_of(config, tmp_path / "checkpoint")
    form.write(checkpoint, tmp_path)
    model = keras.saving.load_model(tmp_path / form.FILE, safe_mode=True)
    model.compile(
        keras.optimizers.Adam(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # compiling takes longer
    )
    size = getattr(config, "image_size", 45)
    pixels = np.random.default_rng(1).standard_normal((4, size, size, config.in_channels))
    before = [np.array(weight) for weight in model.weights]
    keras.utils.set_random_seed(0)  # asked for once another test made the ops deterministic
    model.fit(pixels.astype(np.float32), np.array([0, 1, 0, 1]), batch_size=4, verbose=0)
    same = [
        weight.path
        for weight, old in zip(model.weights, before, strict=True)
        if np.array_equal(np.array(weight), old)
    ]
    # A key's bias adds the same to all scores of a query, which softmax does not see.
    assert not [path for path in same if not path.endswith("key/bias")]
