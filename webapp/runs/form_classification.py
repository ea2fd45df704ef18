"""The form of a classifier's run: fine-tuning, or supervised pretraining."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from pydantic import ValidationError

from training.backbones.contract import BackboneConfig
from training.backbones.image_config import ImageConfig
from training.backbones.registry import BACKBONES, config_of
from training.errors import TrainingError
from training.features.settings import Kind, kind_of, require_kind
from training.methods.task_related.classification_spec import (
    ClassificationSpec,
    adapted_matrices,
    classes_of,
    with_classes,
)
from webapp.jobs.selectors import sentence
from webapp.runs.dotted import at
from webapp.runs.form import RunForm
from webapp.runs.layouts import ADAPTATION
from webapp.runs.sources import Source

#: What a learning rate is at first, by what the source reads.
RATES = {"text": "5e-05", "image": "0.001"}


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


class ClassificationForm(RunForm):
    """A network with a head over labelled texts or images."""

    method = "classification"
    template = "runs/new_classification.html"
    data_template = "runs/data_classification.html"
    CHOICES = (*RunForm.CHOICES, "model", "inputs.checkpoint")
    SILENT = (*RunForm.SILENT, "inputs.checkpoint")
    SHOWN_AT = {**RunForm.SHOWN_AT, "inputs.checkpoint": "source"}
    FLAGS = (*RunForm.FLAGS, "lora")
    OTHER_INPUTS = (*RunForm.OTHER_INPUTS, "model", "lora")

    @classmethod
    def blank(cls) -> dict[str, Any]:
        """A new form: fine-tuning, since that is what most come for."""
        return super().blank() | {"how": "transfer", "model": sizes()[0][0]}

    def take_choices(self, spec: Mapping[str, Any]) -> None:
        if model := spec.get("model"):
            try:
                self.values["model"] = written(config_of(model))
            except (ValidationError, KeyError, TypeError, AttributeError):
                self.values["model"] = json.dumps(model)
        self.values["lora"] = bool(at(spec, "training.lora"))
        self.values["inputs.checkpoint"] = str(at(spec, "inputs.checkpoint") or "")

    def is_silent(self, path: str) -> bool:
        return path.startswith("model.")

    @property
    def sizes(self) -> list[tuple[str, str]]:
        """The choices of the network, with one that was pasted among them."""
        known = sizes()
        if self.values["model"] in dict(known) or not self.values["model"]:
            return known
        return [*known, (self.values["model"], _("as pasted"))]

    def leaves_out(self, path: str) -> bool:
        # Without a source there is nothing to adapt: all of it is trained alike.
        if path.startswith("training.lora."):
            return not self.values["lora"] or not self.is_transfer
        adapts = path in ADAPTATION.paths + ADAPTATION.advanced
        return super().leaves_out(path) or (adapts and not self.is_transfer)

    def complete(self, spec: dict[str, Any]) -> None:
        if not self.is_transfer and self.values["model"]:
            try:
                spec["model"] = json.loads(self.values["model"])
            except ValueError:
                spec["model"] = self.values["model"]  # pydantic says what is wrong with it
        if self.values["inputs.checkpoint"]:
            spec.setdefault("inputs", {})["checkpoint"] = self.values["inputs.checkpoint"]

    def input_of(self, field: str) -> tuple[str, int | None]:
        # The network is one input, whatever is wrong with it.
        return ("model", None) if field.partition(".")[0] == "model" else super().input_of(field)

    @property
    def classes(self) -> list[str]:
        """Of the data, once it is chosen."""
        if self.version is None:
            return []
        return [str(one["name"]) for one in self.version.summary["labels"]["classes"]]

    @property
    def keeps_head(self) -> bool:
        """Whether the source's head tells the data's classes apart."""
        if self.source is None or self.source.checkpoint is None:
            return False
        known = classes_of(self.source.config, self.source.checkpoint.card)
        return bool(known) and sorted(known) == sorted(self.classes)

    @cached_property
    def base(self) -> BackboneConfig | None:
        """The network without regard to the data."""
        if self.is_transfer:
            return self.source.config if self.source is not None else None
        try:
            return config_of(json.loads(self.values["model"]))
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @cached_property
    def config(self) -> BackboneConfig | None:
        """The model that would be trained, once what describes it makes sense."""
        if self.base is None or not self.classes:
            return None
        return with_classes(self.base, self.classes)

    @property
    def afresh(self) -> list[str]:
        """The head, unless it tells these very classes apart."""
        if self.config is None or self.keeps_head:
            return []
        return self.config.label_head

    def too_few(self, devices: int) -> str:
        return _("With %(count)s devices, at least %(count)s examples are needed.") % {
            "count": devices
        }

    def check_whole(self, spec: ClassificationSpec) -> None:
        """What only shows when data, source and hosts are known."""
        base, version = self.base, self.version
        if base is not None and version is not None:
            try:
                require_kind(base, cast(Kind, version.kind))
            except TrainingError as error:
                self.add("data", sentence(error.code, error.params))
            splits = version.summary.get("splits") or {}
            if "validation" not in splits:
                self.add("data", sentence("split_missing", {"split": "validation"}))
        if spec.examples is not None and spec.examples < len(self.classes):
            said = sentence("examples_fewer_than_classes", {"classes": len(self.classes)})
            self.add("examples", said)
        lora = spec.training.lora
        if base is not None and lora is not None and not adapted_matrices(base, lora):
            named = {"architecture": BACKBONES[base.architecture].title}
            self.add("lora", sentence("lora_adapts_nothing", named))
        if isinstance(base, ImageConfig):
            fixed = base.fixed_px
            if fixed is not None and spec.inputs.image_px not in (None, fixed):
                self.add("inputs.image_px", sentence("image_size_fixed", {"size": fixed}))
            if base.in_channels not in (1, 3):
                said = sentence("image_channels", {"channels": base.in_channels})
                self.add("source" if self.is_transfer else "model", said)

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """A learning rate that fits what it reads."""
        return {"training.learning_rate": RATES[kind_of(source.config)]}
