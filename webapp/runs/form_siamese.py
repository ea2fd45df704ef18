"""The forms of runs that learn from two views of unlabelled images."""

from __future__ import annotations

from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from training.backbones.contract import BackboneConfig
from training.data.pixels import ANY_PX, LEAST_PX
from training.siamese.settings import SiameseSpec, pooled_config
from webapp.datasets.models import DatasetVersion
from webapp.jobs.selectors import sentence
from webapp.runs.form_network import NetworkForm
from webapp.runs.sources import Source


class SiameseForm(NetworkForm):
    """A network of images that learns without labels."""

    template = "runs/new_siamese.html"
    data_template = "runs/data_siamese.html"
    IMAGES = "views"
    LIKE = "views.checkpoint"

    @cached_property
    def config(self) -> BackboneConfig | None:
        """The backbone that would be trained."""
        return pooled_config(self.base) if self.base is not None else None

    @classmethod
    def data_values(cls, version: DatasetVersion) -> dict[str, Any]:
        """Small images as they are, few of them in smaller batches."""
        names = ("views.image_px", "training.batch_size")
        found = {name: cls.layout().default(name) for name in names}
        side = version.summary.get("side_px") or ANY_PX
        if side < ANY_PX:
            found["views.image_px"] = str(max(LEAST_PX, side))
        images = _train_images(version)
        if 0 < images < int(found["training.batch_size"]):
            # A power of two, between a quarter and a half of them.
            found["training.batch_size"] = str(max(2, 1 << images.bit_length() - 2))
        return found

    @property
    def train_images(self) -> int:
        """Of the data, once it is chosen and checked; 0: not known."""
        return _train_images(self.version) if self.version is not None else 0

    def check_whole(self, spec: SiameseSpec) -> None:
        """What only shows when data and source are known."""
        super().check_whole(spec)
        if 0 < self.train_images < spec.training.batch_size:
            said = sentence("batch_larger_than_data", {"images": self.train_images})
            self.add("training.batch_size", said)
        labels = (self.version.summary.get("labels") or {}) if self.version is not None else {}
        unlabelled = self.version is not None and not labels.get("classes")
        if self.is_transfer and self.values["twin"] and unlabelled:
            self.add(
                "twin",
                _("Without labels nothing tells which of the two is better: do without the twin."),
            )

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

    @classmethod
    def data_values(cls, version: DatasetVersion) -> dict[str, Any]:
        """A queue that is no longer than a quarter of the images, in whole batches."""
        found = super().data_values(version)
        images, batch = _train_images(version), int(found["training.batch_size"])
        longest = batch * max(1, images // 4 // batch)
        queue = int(cls.layout().default("objective.queue"))
        return found | {"objective.queue": str(min(queue, longest) if images else queue)}


def _train_images(version: DatasetVersion) -> int:
    splits = version.summary.get("splits") or {}
    return int((splits.get("train") or {}).get("images", 0))
