"""The image backbones' parts against plain NumPy, and what every one of them has to keep to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from training.backbones import image_model
from training.backbones.contract import BackboneConfig
from training.backbones.gpt2.config import GPT2Config
from training.backbones.image_model import grouped_convolution, max_pool
from training.backbones.registry import BACKBONES, model_class
from training.backbones.resnet.config import ResNetConfig
from training.backbones.resnet.model import ResNet
from training.backbones.vit.config import ViTConfig
from training.weights.initial import initial_tensors

SMALL = ResNetConfig(depths=[1, 1], groups=8, group_width=4, num_classes=5)


def small(**arguments: Any) -> ResNet:
    model = ResNet(SMALL, **arguments)
    model.load_named(initial_tensors(SMALL.tensors(), seed=1))
    return model


def images(size: int = 24, batch: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(batch, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("joined", [1, 16, 1024])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_grouped_convolution_is_one_convolution_a_group(
    joined: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_model, "GROUPED_CHANNELS", joined)
    source = np.random.default_rng(0)
    x = tf.constant(source.normal(size=(2, 7, 6, 24)), tf.float32)
    kernel = tf.constant(source.normal(size=(36, 4, 3, 3)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, kernel])
        ours = grouped_convolution(x, kernel, stride, "VALID", 6)
        plain = tf.concat(
            [
                tf.nn.conv2d(part, tf.transpose(own, [2, 3, 1, 0]), stride, "VALID")
                for part, own in zip(tf.split(x, 6, -1), tf.split(kernel, 6, 0), strict=True)
            ],
            -1,
        )
        ours_loss, plain_loss = tf.reduce_sum(ours**2), tf.reduce_sum(plain**2)
    np.testing.assert_allclose(ours, plain, atol=1e-4)
    for one, other in zip(
        tape.gradient(ours_loss, [x, kernel]), tape.gradient(plain_loss, [x, kernel]), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_the_padding_of_a_max_pool_never_wins() -> None:
    x = -np.arange(1.0, 17.0, dtype=np.float32).reshape(1, 4, 4, 1)
    assert np.array(max_pool(tf.constant(x), 3, 2, 1)).ravel().tolist() == [-1, -2, -5, -6]


def test_training_normalises_by_the_batch_and_moves_the_running_statistics() -> None:
    model = small()
    x = 3 + 2 * np.random.default_rng(0).normal(size=(4, 5, 5, 64)).astype(np.float32)
    model.named_variables["bn1.running_mean"].assign(np.full(64, 0.5, np.float32))

    y = np.array(model.normalise(tf.constant(x), "bn1", training=True))

    flat = x.reshape(-1, 64).astype(np.float64)
    expected = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5)
    np.testing.assert_allclose(y.reshape(-1, 64), expected, atol=1e-5)
    # The running variance is over n − 1, as PyTorch keeps it.
    mean = 0.9 * 0.5 + 0.1 * flat.mean(0)
    variance = 0.9 * 1 + 0.1 * flat.var(0, ddof=1)
    np.testing.assert_allclose(model.named()["bn1.running_mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(model.named()["bn1.running_var"], variance, rtol=1e-5)


def test_inference_moves_nothing_and_sees_an_epsilon_below_cudnns() -> None:
    model = small()
    before = model.named()
    model(images())
    assert all(np.array_equal(before[name], value) for name, value in model.named().items())

    model.epsilon = 1e-7
    model.named_variables["bn1.running_var"].assign(np.zeros(64, np.float32))
    y = model.normalise(tf.ones([1, 1, 1, 64]), "bn1", training=False)
    np.testing.assert_allclose(y, np.full((1, 1, 1, 64), 1e-7**-0.5), rtol=1e-5)


def test_a_step_of_training_has_a_gradient_for_every_trained_tensor() -> None:
    model = small()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images(), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert [
        name for name, g in zip(model.trainable_names(), gradients, strict=True) if g is None
    ] == []
    assert len(gradients) == sum(spec.trained for spec in SMALL.tensors())


def test_without_classes_the_pooled_features_come_out() -> None:
    config = SMALL.model_copy(update={"num_classes": 0})
    model = ResNet(config)
    model.load_named(initial_tensors(config.tensors(), seed=1))
    last = np.array(model.features(images()))
    assert last.shape == (3, 3, 3, 512)
    np.testing.assert_allclose(model(images()), last.mean((1, 2)), rtol=1e-5)


def test_bfloat16_stays_near_float32() -> None:
    exact, rounded = np.array(small()(images())), small(compute_dtype="bfloat16")(images())
    assert rounded.dtype == tf.float32
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


PRESETS = [
    (architecture, preset)
    for architecture, backbone in BACKBONES.items()
    if backbone.kind == "image"
    for preset in backbone.presets
]


@pytest.mark.parametrize(("architecture", "preset"), PRESETS)
def test_every_preset_is_described_like_the_others(architecture: str, preset: str) -> None:
    config = BACKBONES[architecture].presets[preset]
    specs = config.tensors()

    assert config.architecture == architecture
    assert len({spec.name for spec in specs}) == len(specs)
    assert {spec.block for spec in specs} >= {"head"}
    assert all(spec.block for spec in specs)
    assert config.layers == len(
        {s.block for s in specs if s.block.startswith(("stage.", "layer."))}
    )
    assert config.context is None
    assert config.vocabulary is None
    statistics = [spec for spec in specs if not spec.trained]
    assert {(s.name.rsplit(".", 1)[1], s.init) for s in statistics} <= {
        ("running_mean", "zeros"),
        ("running_var", "ones"),
    }
    headless = config.model_copy(update={"num_classes": 0})
    assert [s for s in headless.tensors() if s.block == "head" and "label" in s.axes] == []


def test_a_vision_transformers_blocks_are_described_like_gpt2s() -> None:
    """Plans that copy between the two go by blocks, roles and axes; the matrices are turned."""

    def described(config: BackboneConfig, blocks: set[str]) -> dict[tuple[str, str], list[str]]:
        return {(s.block, s.role): sorted(s.axes) for s in config.tensors() if s.block in blocks}

    same = {"layer.0", "layer.11", "final_norm"}
    ours, gpt2 = ViTConfig(), GPT2Config()
    assert described(ours, same) == described(gpt2, same)
    position = next(spec for spec in ours.tensors() if spec.role == "position")
    assert position.axes == ("one", "position", "width")
    assert position.shape == (1, 197, 768)
    qkv = next(spec for spec in ours.tensors() if spec.role == "attention.qkv.kernel")
    assert (qkv.axes, qkv.inputs) == (("qkv", "width"), (1,))


@pytest.mark.parametrize("architecture", sorted({architecture for architecture, _ in PRESETS}))
def test_every_model_has_its_module(architecture: str) -> None:
    assert issubclass(model_class(architecture), image_model.ImageModel)


#: As timm 1.0.31 and torchvision 0.29.1 count them.
PARAMETERS = {
    "resnet50": 25_557_032,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "tf_efficientnet_lite0": 4_652_008,
    "efficientnet_lite0": 4_652_008,
    "mobilenetv3_large_100": 5_483_032,
    "mobilenetv3_small_100": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "vit_tiny_patch16_224": 5_717_416,
    "vit_small_patch16_224": 22_050_664,
    "vit_base_patch16_224": 86_567_656,
}


@pytest.mark.parametrize("preset", sorted(PARAMETERS))
def test_presets_have_the_published_number_of_parameters(preset: str) -> None:
    config = next(b.presets[preset] for b in BACKBONES.values() if preset in b.presets)
    assert config.parameter_count() == PARAMETERS[preset]


def test_every_published_preset_is_counted() -> None:
    # The nano ones are ours, for trying things out.
    assert set(PARAMETERS) == {preset for _, preset in PRESETS} - {"nano"}
