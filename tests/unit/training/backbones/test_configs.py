"""What every configuration has to say of itself."""

from __future__ import annotations

import pytest

from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.encoder.config import EncoderConfig
from training.backbones.registry import BACKBONES


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_field_has_a_title_and_a_description(name: str) -> None:
    fields = BACKBONES[name].config.model_fields
    untold = [
        field
        for field, info in fields.items()
        if field != "architecture" and not (info.title and info.description)
    ]
    assert untold == []


def test_a_configuration_without_its_tensors_or_layers_is_none() -> None:
    class Bare(BackboneConfig):
        def tensors(self) -> list[TensorSpec]:
            return []

    for kind, missing in ((Bare, "layers"), (EncoderConfig, "blocks")):
        with pytest.raises(TypeError, match=missing):
            kind.model_validate({"architecture": "bare"})
