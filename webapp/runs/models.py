"""Runs: training from scratch or from a source, their curves, twins and reports."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import Tag, TeamOwned


class Run(TeamOwned):
    """One training: its job holds spec and state, the run what people read and compare."""

    name = models.CharField(_("name"), max_length=160)
    method = models.CharField(_("method"), max_length=40)
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="run")
    dataset_version = models.ForeignKey(
        "datasets.DatasetVersion",
        verbose_name=_("data"),
        on_delete=models.PROTECT,
        related_name="runs",
    )
    #: Where the weights come from: nothing (scratch), a checkpoint, or what another run will make.
    source_checkpoint = models.ForeignKey(
        "checkpoints.Checkpoint",
        verbose_name=_("source"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="derived_runs",
    )
    source_run = models.ForeignKey(
        "self",
        verbose_name=_("source run"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="derived_runs",
    )
    #: A scratch twin points at its transfer: same data, seed and budget, no source.
    twin_of = models.OneToOneField(
        "self",
        verbose_name=_("twin of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="twin",
    )
    #: The checkpoint it made.
    checkpoint = models.ForeignKey(
        "checkpoints.Checkpoint",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="made_by_run",
    )
    tags = models.ManyToManyField(Tag, verbose_name=_("tags"), blank=True)
    notes = models.TextField(_("notes"), blank=True)

    # Last values, so that lists need no points.
    loss = models.FloatField(_("loss"), null=True, blank=True)
    validation_loss = models.FloatField(_("validation loss"), null=True, blank=True)
    best_validation_loss = models.FloatField(_("best validation loss"), null=True, blank=True)
    best_step = models.BigIntegerField(_("best step"), null=True, blank=True)
    #: Transfer against twin (training.evaluation.transfer_gain), once both ended.
    comparison = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")

    def __str__(self) -> str:
        return self.name

    @property
    def is_transfer(self) -> bool:
        return self.source_checkpoint_id is not None or self.source_run_id is not None


class Point(models.Model):
    """One number of one run at one step.

    ``tier`` is the largest k with ``step % 4**k == 0`` (at most 9): a chart takes the lowest tier
    that has few enough points, so no query thins anything.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="points")
    name = models.CharField(max_length=60)
    step = models.BigIntegerField()
    tier = models.PositiveSmallIntegerField()
    value = models.FloatField(null=True)  # null: not finite

    class Meta:
        verbose_name = _("point")
        verbose_name_plural = _("points")
        constraints = [models.UniqueConstraint(fields=["run", "name", "step"], name="point_once")]
        indexes = [models.Index(fields=["run", "name", "tier", "step"])]

    def __str__(self) -> str:
        return f"{self.name}@{self.step} = {self.value}"
