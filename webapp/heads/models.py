"""Heads: small models on the frozen features of a checkpoint."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import TeamOwned


class Head(TeamOwned):
    """One head: its job holds spec, state and report, the head what people read and compare."""

    name = models.CharField(_("name"), max_length=160)
    #: Whose features it reads.
    checkpoint = models.ForeignKey(
        "checkpoints.Checkpoint",
        verbose_name=_("checkpoint"),
        on_delete=models.PROTECT,
        related_name="heads",
    )
    dataset_version = models.ForeignKey(
        "datasets.DatasetVersion",
        verbose_name=_("data"),
        on_delete=models.PROTECT,
        related_name="heads",
    )
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="head")
    manifest = models.JSONField(default=dict, blank=True)  # {path: {blake3, size}}, once fitted
    accuracy = models.FloatField(_("accuracy"), null=True, blank=True)
    macro_f1 = models.FloatField(_("macro-F1"), null=True, blank=True)
    #: Of one that predicts a number, in its units.
    rmse = models.FloatField(_("RMSE"), null=True, blank=True)

    class Meta:
        verbose_name = _("head")
        verbose_name_plural = _("heads")

    def __str__(self) -> str:
        return self.name

    @property
    def has_map(self) -> bool:
        return "map.json" in self.manifest
