"""What the forms of runs share that train a network chosen whole: a preset, or the source's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from pydantic import ValidationError

from training.backbones.contract import BackboneConfig
from training.backbones.image_config import ImageConfig
from training.backbones.registry import BACKBONES, config_of
from webapp.jobs.selectors import sentence
from webapp.runs.form import RunForm


def sizes() -> list[tuple[str, str]]:
    """Networks to start from random weights: their configuration as JSON, and what they are
    called. Such as read images only: texts need a tokenizer, which comes with a source."""
    return [
        (written(config), f"{backbone.title} · {name}")
        for backbone in BACKBONES.values()
        if backbone.kind == "image"
        for name, config in backbone.presets.items()
    ]


def written(config: BackboneConfig) -> str:
    """A configuration as the form holds it; its classes are the data's."""
    values = config.model_dump(mode="json", exclude_defaults=True) | {
        "architecture": config.architecture
    }
    values.pop("num_classes", None)
    return json.dumps(values, sort_keys=True)


class NetworkForm(RunForm):
    """A run of a network of images, or of any that its source brings along."""

    #: The section with the size of images.
    IMAGES: str
    CHOICES = (*RunForm.CHOICES, "model")
    OTHER_INPUTS = (*RunForm.OTHER_INPUTS, "model")

    @classmethod
    def blank(cls) -> dict[str, Any]:
        return super().blank() | {"model": sizes()[0][0]}

    def take_choices(self, spec: Mapping[str, Any]) -> None:
        if model := spec.get("model"):
            try:
                self.values["model"] = written(config_of(model))
            except (ValidationError, KeyError, TypeError, AttributeError):
                self.values["model"] = json.dumps(model)

    def is_silent(self, path: str) -> bool:
        return path.startswith("model.")

    @property
    def sizes(self) -> list[tuple[str, str]]:
        """The choices of the network, with one that was pasted among them."""
        known = sizes()
        if self.values["model"] in dict(known) or not self.values["model"]:
            return known
        return [*known, (self.values["model"], _("as pasted"))]

    def complete(self, spec: dict[str, Any]) -> None:
        if not self.is_transfer and self.values["model"]:
            try:
                spec["model"] = json.loads(self.values["model"])
            except ValueError:
                spec["model"] = self.values["model"]  # pydantic says what is wrong with it

    def input_of(self, field: str) -> tuple[str, int | None]:
        # The network is one input, whatever is wrong with it.
        return ("model", None) if field.partition(".")[0] == "model" else super().input_of(field)

    @cached_property
    def base(self) -> BackboneConfig | None:
        """The network without regard to the data."""
        if self.is_transfer:
            return self.source.config if self.source is not None else None
        try:
            return config_of(json.loads(self.values["model"]))
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def too_few(self, devices: int) -> str:
        return _("With %(count)s devices, at least %(count)s examples are needed.") % {
            "count": devices
        }

    def check_whole(self, spec: Any) -> None:
        """What only shows when data and source are known."""
        base, version = self.base, self.version
        if version is not None and "validation" not in (version.summary.get("splits") or {}):
            self.add("data", sentence("split_missing", {"split": "validation"}))
        if isinstance(base, ImageConfig):
            fixed = base.fixed_px
            if fixed is not None and getattr(spec, self.IMAGES).image_px not in (None, fixed):
                self.add(f"{self.IMAGES}.image_px", sentence("image_size_fixed", {"size": fixed}))
            if base.in_channels not in (1, 3):
                said = sentence("image_channels", {"channels": base.in_channels})
                self.add("source" if self.is_transfer else "model", said)
