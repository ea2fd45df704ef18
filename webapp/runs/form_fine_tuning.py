"""What the forms of runs share that train a network with a head on labelled texts or images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.utils.functional import cached_property

from training.backbones.contract import BackboneConfig
from training.backbones.encoder.config import Head
from training.backbones.registry import BACKBONES
from training.errors import TrainingError
from training.features.settings import Kind, kind_of, require_kind
from training.fine_tuning.settings import FineTuningSpec, adapted_matrices, with_classes
from webapp.jobs.selectors import sentence
from webapp.runs.dotted import at
from webapp.runs.form_network import NetworkForm
from webapp.runs.layouts import ADAPTATION
from webapp.runs.sources import Source

#: What a learning rate is at first, by what the source reads.
RATES = {"text": "5e-05", "image": "0.001"}


class FineTuningForm(NetworkForm):
    """A network with a head over labelled texts or images."""

    template = "runs/new_fine_tuning.html"
    IMAGES = "inputs"
    LIKE = "inputs.checkpoint"
    #: What the head of a network of texts gives a label.
    HEAD: ClassVar[Head] = "classification"
    FLAGS = (*NetworkForm.FLAGS, "lora")
    OTHER_INPUTS = (*NetworkForm.OTHER_INPUTS, "lora")

    @classmethod
    def blank(cls) -> dict[str, Any]:
        """A new form: fine-tuning, since that is what most come for."""
        return super().blank() | {"how": "transfer"}

    def take_choices(self, spec: Mapping[str, Any]) -> None:
        super().take_choices(spec)
        self.values["lora"] = bool(at(spec, "training.lora"))

    def leaves_out(self, path: str) -> bool:
        # Without a source there is nothing to adapt: all of it is trained alike.
        if path.startswith("training.lora."):
            return not self.values["lora"] or not self.is_transfer
        adapts = path in ADAPTATION.paths + ADAPTATION.advanced
        return super().leaves_out(path) or (adapts and not self.is_transfer)

    @property
    @abstractmethod
    def outputs(self) -> list[str]:
        """What the data's labels call the head's outputs, once the data are chosen."""

    @property
    @abstractmethod
    def keeps_head(self) -> bool:
        """Whether the source's head says what the data's labels do."""

    @cached_property
    def config(self) -> BackboneConfig | None:
        """The model that would be trained, once what describes it makes sense."""
        if self.base is None or not self.outputs:
            return None
        return with_classes(self.base, self.outputs, self.HEAD)

    @property
    def afresh(self) -> list[str]:
        """The head, unless it says what the data's labels do."""
        if self.config is None or self.keeps_head:
            return []
        return self.config.label_head

    def check_whole(self, spec: FineTuningSpec) -> None:
        """What only shows when data, source and hosts are known."""
        super().check_whole(spec)
        base, version = self.base, self.version
        if base is not None and version is not None:
            try:
                require_kind(base, cast(Kind, version.kind))
            except TrainingError as error:
                self.add("data", sentence(error.code, error.params))
        lora = spec.training.lora
        if base is not None and lora is not None and not adapted_matrices(base, lora):
            named = {"architecture": BACKBONES[base.architecture].title}
            self.add("lora", sentence("lora_adapts_nothing", named))

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """A learning rate that fits what it reads."""
        return {"training.learning_rate": RATES[kind_of(source.config)]}
