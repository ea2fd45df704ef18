"""What stands on top of a backbone, method by method: layers, names and shapes of the tensors."""

import math
from typing import Any

import pytest

from training.methods.registry import LOOP_METHODS
from training.siamese.mlp import Layer, mlp_tensors
from training.siamese.settings import PREDICTOR, PROJECTOR, SiameseSpec

MODEL = {"architecture": "resnet", "depths": [1], "group_width": 8}
WIDTH = 40


def spec(method: str, **objective: Any) -> SiameseSpec:
    found = LOOP_METHODS[method].settings.model_validate(
        {"data": {"path": "/data"}, "model": MODEL, "objective": objective}
    )
    assert isinstance(found, SiameseSpec)
    return found


def shapes(method: str, mlp: str, **objective: Any) -> dict[str, tuple[int, ...]]:
    """Tensor name → shape of one of a method's MLPs."""
    inputs, layers = spec(method, **objective).mlps(WIDTH)[mlp]
    return {one.name: one.shape for one in mlp_tensors(mlp, inputs, layers)}


def norm(part: str, width: int, *, affine: bool) -> dict[str, tuple[int]]:
    names = ("weight", "bias") if affine else ()
    return {f"{part}.norm.{name}": (width,) for name in (*names, "running_mean", "running_var")}


# --- one MLP --------------------------------------------------------------------------------------


def test_tensors_are_named_by_mlp_and_layer_and_stored_as_pytorch_does() -> None:
    layers = [Layer(7, "affine", relu=True), Layer(5, "plain"), Layer(3, relu=True), Layer(2)]
    found = {one.name: one.shape for one in mlp_tensors("top", 11, layers)}
    assert found == {
        "top.0.weight": (7, 11),
        **norm("top.0", 7, affine=True),
        "top.1.weight": (5, 7),
        **norm("top.1", 5, affine=False),
        "top.2.weight": (3, 5),
        "top.2.bias": (3,),
        "top.3.weight": (2, 3),
        "top.3.bias": (2,),
    }
    assert list(found)[:2] == ["top.0.weight", "top.0.norm.weight"]


def test_a_bias_is_there_unless_a_norm_would_take_it_away() -> None:
    assert Layer(4).bias
    assert not Layer(4, "affine").bias
    assert not Layer(4, "plain").bias


def test_how_tensors_start_and_which_are_trained() -> None:
    layers = [Layer(8, "affine", relu=True), Layer(4)]
    found = {one.name: one for one in mlp_tensors("top", 50, layers)}
    assert found["top.0.weight"].std == pytest.approx(math.sqrt(2 / 50))
    assert found["top.1.weight"].std == pytest.approx(math.sqrt(1 / 8))
    assert all(found[f"top.{n}.weight"].init == "normal" for n in (0, 1))
    assert found["top.1.bias"].init == "zeros"
    assert found["top.0.norm.weight"].init == found["top.0.norm.running_var"].init == "ones"
    assert found["top.0.norm.bias"].init == found["top.0.norm.running_mean"].init == "zeros"
    not_trained = {name for name, one in found.items() if not one.trained}
    assert not_trained == {"top.0.norm.running_mean", "top.0.norm.running_var"}
    assert found["top.0.norm.running_var"].variance


# --- the methods' ---------------------------------------------------------------------------------


def test_simclr_has_a_projector_of_two_layers_with_a_norm_between() -> None:
    assert set(spec("simclr").mlps(WIDTH)) == {PROJECTOR}
    assert shapes("simclr", PROJECTOR, hidden=24, projection=16) == {
        "projector.0.weight": (24, WIDTH),
        **norm("projector.0", 24, affine=True),
        "projector.1.weight": (16, 24),
        "projector.1.bias": (16,),
    }


def test_byol_s_predictor_has_the_projector_s_layers() -> None:
    mlps = spec("byol", hidden=24, projection=16).mlps(WIDTH)
    assert set(mlps) == {PROJECTOR, PREDICTOR}
    assert mlps[PROJECTOR][0] == WIDTH
    assert mlps[PREDICTOR][0] == 16
    assert mlps[PROJECTOR][1] == mlps[PREDICTOR][1]
    assert shapes("byol", PREDICTOR, hidden=24, projection=16) == {
        "predictor.0.weight": (24, 16),
        **norm("predictor.0", 24, affine=True),
        "predictor.1.weight": (16, 24),
        "predictor.1.bias": (16,),
    }
    assert set(spec("byol", predictor=False).mlps(WIDTH)) == {PROJECTOR}


def test_simsiam_s_projector_ends_in_a_norm_without_scale_and_its_predictor_without_any() -> None:
    sizes = {"hidden": 24, "projection": 16, "bottleneck": 8}
    assert shapes("simsiam", PROJECTOR, **sizes) == {
        "projector.0.weight": (24, WIDTH),
        **norm("projector.0", 24, affine=True),
        "projector.1.weight": (24, 24),
        **norm("projector.1", 24, affine=True),
        "projector.2.weight": (16, 24),
        **norm("projector.2", 16, affine=False),
    }
    assert shapes("simsiam", PREDICTOR, **sizes) == {
        "predictor.0.weight": (8, 16),
        **norm("predictor.0", 8, affine=True),
        "predictor.1.weight": (16, 8),
        "predictor.1.bias": (16,),
    }
    _width, layers = spec("simsiam").mlps(WIDTH)[PROJECTOR]
    assert [layer.relu for layer in layers] == [True, True, False]


def test_moco_compares_after_one_layer_or_two_without_norms() -> None:
    last = {"weight": (16, 24), "bias": (16,)}
    assert shapes("moco", PROJECTOR, variant="v1", hidden=24, projection=16) == {
        "projector.0.weight": (16, WIDTH),
        "projector.0.bias": (16,),
    }
    assert shapes("moco", PROJECTOR, variant="v2", hidden=24, projection=16) == {
        "projector.0.weight": (24, WIDTH),
        "projector.0.bias": (24,),
        **{f"projector.1.{name}": shape for name, shape in last.items()},
    }
    _width, layers = spec("moco", variant="v2").mlps(WIDTH)[PROJECTOR]
    assert [layer.relu for layer in layers] == [True, False]


@pytest.mark.parametrize(
    ("method", "objective", "follows"),
    [
        ("simclr", {}, False),
        ("simsiam", {}, False),
        ("byol", {}, True),
        ("byol", {"stop_gradient": False}, False),
        ("byol", {"predictor": False}, True),
        ("moco", {}, True),
    ],
)
def test_who_has_a_momentum_encoder(method: str, objective: dict[str, Any], follows: bool) -> None:
    assert spec(method, **objective).has_momentum is follows
