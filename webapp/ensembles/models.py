"""Ensembles: several classifiers of a team that answer as one, made or judged."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import TeamOwned


class Ensemble(TeamOwned):
    """One piece of work on an ensemble: it is made of members, or one that is there is judged.

    Its job holds spec, state and report.
    """

    name = models.CharField(_("name"), max_length=160)
    dataset_version = models.ForeignKey(
        "datasets.DatasetVersion",
        verbose_name=_("data"),
        on_delete=models.PROTECT,
        related_name="ensembles",
    )
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="ensemble")
    #: Those that are there; of members that runs make, once it is done.
    members = models.ManyToManyField(
        "checkpoints.Checkpoint", verbose_name=_("members"), related_name="ensembles", blank=True
    )
    #: Runs whose checkpoints will be its members.
    runs = models.ManyToManyField(
        "runs.Run", verbose_name=_("runs"), related_name="ensembles", blank=True
    )
    #: The ensemble that is judged on other data; None: one is made.
    judged = models.ForeignKey(
        "checkpoints.Checkpoint",
        verbose_name=_("ensemble"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="judgements",
    )
    #: The checkpoint that it made.
    checkpoint = models.ForeignKey(
        "checkpoints.Checkpoint",
        verbose_name=_("checkpoint"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="made_by_ensemble",
    )
    accuracy = models.FloatField(_("accuracy"), null=True, blank=True)
    #: Of the best member, on the same examples.
    best_accuracy = models.FloatField(_("best member's accuracy"), null=True, blank=True)

    class Meta:
        verbose_name = _("ensemble")
        verbose_name_plural = _("ensembles")

    def __str__(self) -> str:
        return self.name
