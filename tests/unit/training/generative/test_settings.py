"""Specs of runs that make images: what is refused and why, rows of classes, the scratch twin."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from training.backbones.conditional_gan.config import ConditionalGANConfig
from training.backbones.conditional_vae.config import ConditionalVAEConfig
from training.generative.method import FRECHET
from training.generative.settings import rows_of, scratch_twin, with_rows
from training.methods.registry import GENERATIVE_METHODS
from training.settings import problems


def spec_of(method: str, **parts: Any) -> Any:
    (architecture,) = GENERATIVE_METHODS[method].backbones
    values = {"data": {"path": "d"}, "model": {"architecture": architecture}} | parts
    return GENERATIVE_METHODS[method].settings.model_validate(values)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"image_px": 24}, "28 or more"),
        ({"image_px": 128}, "64 or less"),
        ({"image_px": 30}, "multiples of 4"),
        ({"in_channels": 2}, "one channel (grey) or three"),
    ],
)
@pytest.mark.parametrize("method", GENERATIVE_METHODS)
def test_sizes_that_cannot_be_made_are_refused_with_a_sentence(
    method: str, model: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        spec_of(method, model=model)
    (problem,) = problems(caught.value)
    assert problem.field == f"model.{next(iter(model))}"
    assert said in str(problem)


@pytest.mark.parametrize("kind", [ConditionalVAEConfig, ConditionalGANConfig])
@pytest.mark.parametrize(
    ("px", "sides"),
    [(28, [7, 14, 28]), (32, [8, 16, 32]), (36, [9, 18, 36]), (64, [8, 16, 32, 64])],
)
def test_maps_are_doubled_until_they_are_the_image(kind: Any, px: int, sides: list[int]) -> None:
    config = kind(image_px=px)
    assert config.maps == [(side, side) for side in sides]
    assert config.channels[-1] == config.width
    assert config.channels[0] == config.width * 2 ** (len(sides) - 1)


def test_neither_model_nor_source_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        spec_of("cgan", model=None)
    assert problems(caught.value)[0].field == "model"


def test_more_pictures_than_a_page_keeps_are_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        spec_of("cvae", training={"steps": 5000}, evaluation={"sample_every": 10})
    (problem,) = problems(caught.value)
    assert problem.field == "evaluation.sample_every"
    assert "every 25 steps" in str(problem)


def test_rows_of_a_source_keep_their_places_and_new_ones_stand_behind() -> None:
    assert rows_of(["b", "a"], ["a", "c", "b", "d"]) == ["b", "a", "c", "d"]
    assert rows_of([], ["x", "y"]) == ["x", "y"]
    config = with_rows(ConditionalGANConfig(), 4)
    tables = [one.shape for one in config.tensors() if one.block == "classes" and one.trained]
    assert {shape[0] for shape in tables} == {4}


@pytest.mark.parametrize("method", GENERATIVE_METHODS)
def test_a_twin_has_the_source_s_model_and_the_same_judge(method: str) -> None:
    source = spec_of(method).model.model_copy(update={"latent": 9})
    spec = spec_of(
        method, model=None, source={"checkpoint": "s"}, judge={"checkpoint": "j", "epochs": 3}
    )
    twin = scratch_twin(spec, source)
    assert twin.source is None
    assert twin.model == source
    assert twin.judge == spec.judge
    with pytest.raises(ValueError, match="twin"):
        scratch_twin(spec_of(method), source)


def test_generators_are_judged_by_what_they_make_and_a_vae_by_its_bound() -> None:
    assert GENERATIVE_METHODS["cgan"].judged is FRECHET
    assert not FRECHET.rising
    assert GENERATIVE_METHODS["cvae"].judged.name == "validation_loss"
