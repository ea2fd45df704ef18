"""State dicts of image networks: recognised by names and shapes, or refused with the reason."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.parity.images import NETWORKS, state_dicts
from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.backbones.resnet.config import ResNetConfig
from training.errors import TrainingError
from training.interop.forms.form import CODE
from training.interop.huggingface import read_folder
from training.interop.state_dicts import Recognised, read_timm, recognise
from training.weights.header import TensorInfo
from training.weights.initial import initial_tensors

#: Network → PyTorch's own names and shapes.
NAMES = state_dicts()
TYPES = {"float32": "F32", "int64": "I64"}
SMALL = ResNetConfig(depths=[1, 1], groups=8, group_width=4, num_classes=5)


def header(shapes: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, TensorInfo]:
    """As of a file with such tensors; there is none, since only the header is looked at."""
    return {
        name: TensorInfo(name, TYPES[dtype], shape, 0, 0, Path("model.safetensors"))
        for name, (dtype, shape) in shapes.items()
    }


def recognised(shapes: dict[str, tuple[str, tuple[int, ...]]]) -> Recognised:
    found = recognise(header(shapes))
    assert found is not None
    return found


def refusal(shapes: dict[str, tuple[str, tuple[int, ...]]]) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        recognise(header(shapes))
    return caught.value


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_pytorchs_names_and_shapes_are_enough(name: str) -> None:
    network = NETWORKS[name]
    if network.architecture == "efficientnet_lite" or "mobilenetv3" in name:
        error = refusal(NAMES[name])
        assert error.code == "state_dict_ambiguous"
        assert (
            f"{network.model.removesuffix('_large_100').removesuffix('_small_100')} (timm)"
            in (error.params["candidates"])
        )
        payload = {"architecture": f"{network.model}.some_tag", "global_pool": "avg"}
        found = read_timm(payload, header(NAMES[name]))
    else:
        found = recognised(NAMES[name])
    assert found.config == network.config
    assert list(found.tensors) == [spec.name for spec in network.config.tensors()]


def test_batches_that_were_counted_are_left_out() -> None:
    assert any(name.endswith("num_batches_tracked") for name in NAMES["resnet50"])
    assert not any("tracked" in name for name in recognised(NAMES["resnet50"]).tensors)


def test_two_names_of_one_tensor_are_refused_and_both_named() -> None:
    name = "features.denseblock1.denselayer1.norm1.weight"
    dotted = name.replace("norm1", "norm.1")
    error = refusal(NAMES["densenet121"] | {dotted: ("float32", (64,))})
    assert (error.code, error.params) == ("tensor_two_names", {"one": name, "other": dotted})


@pytest.mark.parametrize("shape", [(1, 0, 192), (1, 3, 192), (1,), ()])
def test_positions_of_no_square_are_refused(shape: tuple[int, ...]) -> None:
    name = next(name for name, network in NETWORKS.items() if network.architecture == "vit")
    position = next(key for key in NAMES[name] if key.endswith(("pos_embed", "pos_embedding")))
    assert refusal(NAMES[name] | {position: ("float32", shape)}).code == "state_dict_sizes"


def test_the_dotted_names_of_old_densenets_are_read() -> None:
    old = {
        name.replace(".norm1.", ".norm.1.")
        .replace(".norm2.", ".norm.2.")
        .replace(".conv1.", ".conv.1.")
        .replace(".conv2.", ".conv.2."): value
        for name, value in NAMES["densenet121"].items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    found = recognised(old)
    assert found.config == NETWORKS["densenet121"].config
    name = "features.denseblock1.denselayer1.norm1.weight"
    assert found.tensors[name].name == "features.denseblock1.denselayer1.norm.1.weight"


def test_the_names_that_lite0_was_published_with_are_read() -> None:
    """``_bn0`` is the norm after the convolution up; a block without one begins at ``_bn1``."""
    config = EfficientNetLiteConfig(num_classes=7)
    shapes = {spec.name: spec.shape for spec in config.tensors()}
    parts = {
        True: {
            "_expand_conv": "conv_pw",
            "_bn0": "bn1",
            "_depthwise_conv": "conv_dw",
            "_bn1": "bn2",
            "_project_conv": "conv_pwl",
            "_bn2": "bn3",
        },
        False: {
            "_depthwise_conv": "conv_dw",
            "_bn1": "bn1",
            "_project_conv": "conv_pw",
            "_bn2": "bn2",
        },
    }
    places = ["0.0", "1.0", "1.1", "2.0", "2.1", "3.0", "3.1", "3.2", "4.0", "4.1", "4.2"]
    places += ["5.0", "5.1", "5.2", "5.3", "6.0"]
    pairs = {
        "conv_stem": "_conv_stem",
        "bn1": "_bn0",
        "conv_head": "_conv_head",
        "bn2": "_bn1",
        "classifier": "_fc",
    }
    for number, place in enumerate(places):
        for theirs, ours in parts[number > 0].items():
            pairs[f"blocks.{place}.{ours}"] = f"_blocks.{number}.{theirs}"
    wanted = {}
    for name in shapes:
        module, _, kind = name.rpartition(".")
        wanted[name] = f"{pairs[module]}.{kind}"

    found = recognised({wanted[name]: ("float32", shape) for name, shape in shapes.items()})

    assert found.config == config
    assert {name: info.name for name, info in found.tensors.items()} == wanted


def test_a_network_without_head_has_no_classes() -> None:
    headless = {k: v for k, v in NAMES["resnet50"].items() if not k.startswith("fc.")}
    assert recognised(headless).config == NETWORKS["resnet50"].config.model_copy(
        update={"num_classes": 0}
    )


@pytest.mark.parametrize(
    ("network", "name", "change", "code"),
    [
        ("resnet50", "layer2.1.bn2.running_var", None, "tensors_missing"),
        ("mobilenet_v3_small", "features.4.block.2.fc1.bias", None, "tensors_missing"),
        ("resnet50", "layer1.0.se.fc.weight", ("float32", (4, 4)), "tensors_extra"),
        ("resnet50", "layer3.0.conv1.weight", ("float32", (255, 512, 1, 1)), "tensor_shape"),
        ("resnet50", "layer3.0.conv1.weight", ("int64", (256, 512, 1, 1)), "tensor_type"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name_in_the_file(
    network: str, name: str, change: Any, code: str
) -> None:
    shapes = {k: v for k, v in NAMES[network].items() if k != name}
    if change:
        shapes[name] = change
    error = refusal(shapes)
    assert error.code == code
    assert name in str(error)


@pytest.mark.parametrize("shape", [(64,), (), (0, 0, 3, 3), (64, 0, 3, 3)])
def test_shapes_of_no_network_are_refused(shape: tuple[int, ...]) -> None:
    error = refusal(NAMES["resnet50"] | {"layer1.0.conv2.weight": ("float32", shape)})
    assert error.code == "state_dict_sizes"
    assert "ResNet" in str(error)


def test_heads_that_no_tensor_shows_are_not_guessed() -> None:
    shapes = dict(NAMES["vit_tiny_patch16_64"])
    shapes["patch_embed.proj.weight"] = ("float32", (200, 3, 16, 16))
    error = refusal(shapes)
    assert error.code == "vit_heads_unknown"
    assert "200" in str(error)


def test_positions_that_are_no_square_are_refused() -> None:
    shapes = NAMES["vit_tiny_patch16_64"] | {"pos_embed": ("float32", (1, 16, 192))}
    assert refusal(shapes).code == "state_dict_sizes"


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"architecture": "resnet50d.a1_in1k"}, "timm_unknown", "resnet50d"),
        ({"architecture": "resnetblur50"}, "timm_unknown", "resnetblur50"),
        (
            {"architecture": "vit_tiny_patch16_224", "global_pool": "token"},
            "tensors_missing",
            "cls_token",
        ),
        ({"global_pool": "max"}, "config_unsupported", "global_pool"),
        ({"model_args": {"act_layer": "silu"}}, "config_unknown", "model_args.act_layer"),
        ({"model_args": "act_layer"}, "config_unknown", "model_args"),
        ({"output_stride": 16}, "config_unknown", "output_stride"),
        *[({key: "module.Class"}, "config_code", key) for key in sorted(CODE)],
    ],
)
def test_timms_config_is_honoured_or_refused_by_name(
    change: dict[str, Any], code: str, named: str
) -> None:
    payload = {
        "architecture": "resnet50.a1_in1k",
        "num_classes": 10,
        "num_features": 2048,
        "global_pool": "avg",
        "model_args": {"in_chans": 3},
        "pretrained_cfg": {"tag": "a1_in1k", "mean": [0.485, 0.456, 0.406]},
    }
    shapes = header(NAMES["resnet50"])
    assert read_timm(payload, shapes).config == NETWORKS["resnet50"].config

    with pytest.raises(TrainingError) as caught:
        read_timm(payload | change, shapes)
    assert caught.value.code == code
    assert named in str(caught.value)


def small_file(path: Path) -> Path:
    save_file(initial_tensors(SMALL.tensors(), seed=0), path)
    return path


def test_a_file_and_a_folder_with_it_alone_are_read(tmp_path: Path) -> None:
    path = small_file(tmp_path / "any name.safetensors")
    for chosen in (path, tmp_path):
        model = read_folder(chosen)
        assert model.config == SMALL
        assert model.tokenizer is None
        np.testing.assert_array_equal(
            model.tensors["conv1.weight"], initial_tensors(SMALL.tensors(), 0)["conv1.weight"]
        )


def test_a_folder_of_timms_is_read(tmp_path: Path) -> None:
    small_file(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet50.tag"}))
    assert read_folder(tmp_path).config == SMALL


def test_other_folders_and_files_are_refused_as_before(tmp_path: Path) -> None:
    def code(path: Path) -> str:
        with pytest.raises(TrainingError) as caught:
            read_folder(path)
        return caught.value.code

    two = tmp_path / "two"
    two.mkdir()
    small_file(two / "one.safetensors")
    small_file(two / "other.safetensors")
    assert code(two) == "folder_no_config"

    unknown = tmp_path / "unknown"
    unknown.mkdir()
    save_file({"dense.weight": np.zeros((2, 2), np.float32)}, unknown / "model.safetensors")
    assert code(unknown) == "folder_no_config"
    assert code(unknown / "model.safetensors") == "state_dict_unknown"

    disguised = tmp_path / "resnet50.safetensors"
    disguised.write_bytes(pickle.dumps({"conv1.weight": [1.0]}, protocol=4) + b"{" * 9)
    assert code(disguised) == "weights_pickle"
