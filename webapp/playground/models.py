"""Texts that people let a checkpoint write."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import TeamOwned


class Generation(TeamOwned):
    """One request to one checkpoint; the text grows while its job runs."""

    checkpoint = models.ForeignKey(
        "checkpoints.Checkpoint", on_delete=models.PROTECT, related_name="generations"
    )
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="generation")
    #: Requests started together, shown side by side.
    group = models.UUIDField(db_index=True)
    settings = models.JSONField(default=dict)  # GenerateSpec without the checkpoint
    text = models.TextField(_("text"), blank=True)
    tokens = models.PositiveIntegerField(_("tokens"), default=0)
    #: From the first token on; the rate is over these.
    seconds = models.FloatField(_("seconds"), null=True, blank=True)
    first_token_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=20, blank=True)  # length, stop, end_of_text, cancelled

    class Meta:
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        indexes = [models.Index(fields=["team", "-created_at"])]

    def __str__(self) -> str:
        return (self.text or str(self.settings.get("prompt", "")))[:60]
