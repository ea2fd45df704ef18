"""The forms of runs that learn from two views of unlabelled images."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.functional import cached_property

from training.backbones.contract import BackboneConfig
from training.siamese.settings import pooled_config
from webapp.runs.form_network import NetworkForm
from webapp.runs.sources import Source


class SiameseForm(NetworkForm):
    """A network of images that learns without labels."""

    template = "runs/new_siamese.html"
    data_template = "runs/data_siamese.html"
    IMAGES = "views"
    FLAGS: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def config(self) -> BackboneConfig | None:
        """The backbone that would be trained."""
        return pooled_config(self.base) if self.base is not None else None

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """What has learned already is changed more gently."""
        return {"training.learning_rate": "0.0005"}


class SimCLRForm(SiameseForm):
    """See :mod:`training.methods.task_related.simclr`."""

    method = "simclr"


class BYOLForm(SiameseForm):
    """See :mod:`training.methods.task_related.byol`."""

    method = "byol"


class SimSiamForm(SiameseForm):
    """See :mod:`training.methods.task_related.simsiam`."""

    method = "simsiam"


class MoCoForm(SiameseForm):
    """See :mod:`training.methods.feature_matching.moco`."""

    method = "moco"
