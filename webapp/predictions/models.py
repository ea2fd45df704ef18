"""Predictions: what a trained model says of a version of data."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import TeamOwned


class Prediction(TeamOwned):
    """One time that a model was asked: its job holds spec, state and report."""

    name = models.CharField(_("name"), max_length=160)
    #: Of a head the checkpoint whose features it reads.
    checkpoint = models.ForeignKey(
        "checkpoints.Checkpoint",
        verbose_name=_("checkpoint"),
        on_delete=models.PROTECT,
        related_name="predictions",
    )
    head = models.ForeignKey(
        "heads.Head",
        verbose_name=_("head"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="predictions",
    )
    dataset_version = models.ForeignKey(
        "datasets.DatasetVersion",
        verbose_name=_("data"),
        on_delete=models.PROTECT,
        related_name="predictions",
    )
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="prediction")
    manifest = models.JSONField(default=dict, blank=True)  # {path: {blake3, size}}, once predicted
    examples = models.PositiveIntegerField(_("examples"), null=True, blank=True)
    #: Of the main target, where it tells classes apart and some were known …
    accuracy = models.FloatField(_("accuracy"), null=True, blank=True)
    #: … and where it is a number.
    rmse = models.FloatField(_("RMSE"), null=True, blank=True)

    class Meta:
        verbose_name = _("prediction")
        verbose_name_plural = _("predictions")

    def __str__(self) -> str:
        return self.name
