"""Datasets, their versions by content, and uploads on their way in."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import TeamOwned


class Upload(TeamOwned):
    """A file arriving in pieces (tus protocol); can be continued after a cut connection."""

    filename = models.CharField(_("file name"), max_length=255)
    #: Path inside a chosen folder (``model/config.json``), for uploads of whole folders.
    relative_path = models.CharField(max_length=500, blank=True)
    size = models.BigIntegerField(_("size"))
    received = models.BigIntegerField(_("received"), default=0)
    #: Set when complete and moved into the store.
    blake3 = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")

    def __str__(self) -> str:
        return self.filename

    @property
    def share(self) -> float:
        """How much arrived, 0..1; never rounded up to all of it."""
        return int(100 * self.received / self.size) / 100 if self.size else 1.0


class Dataset(TeamOwned):
    name = models.CharField(_("name"), max_length=120)
    description = models.TextField(_("description"), blank=True)
    #: Where it came from and under which licence, in the owner's words.
    origin = models.TextField(_("origin and licence"), blank=True)
    is_sample = models.BooleanField(_("sample"), default=False)

    class Meta:
        verbose_name = _("data set")
        verbose_name_plural = _("data sets")
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="dataset_name_once")]

    def __str__(self) -> str:
        return self.name


class DatasetVersion(TeamOwned):
    """One upload of a dataset, checked and split by its job; identified by content."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="dataset_version")
    filename = models.CharField(_("file name"), max_length=255)
    raw_blake3 = models.CharField(max_length=64)
    raw_size = models.BigIntegerField(_("size"))
    #: ``{name: {blake3, size}}`` of the prepared folder; empty until the job succeeded.
    manifest = models.JSONField(default=dict, blank=True)
    #: Hash over the manifest: the version's identity.
    sha256 = models.CharField(_("content"), max_length=64, blank=True, db_index=True)
    summary = models.JSONField(default=dict, blank=True)  # dataset.json
    preview = models.JSONField(default=dict, blank=True)  # preview.json

    class Meta:
        verbose_name = _("data set version")
        verbose_name_plural = _("data set versions")
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="dataset_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"

    @property
    def kind(self) -> str:
        """What it holds, a key of ``figures.COUNTED``; known once the job succeeded."""
        return str(self.summary.get("kind", "text"))

    @property
    def is_ready(self) -> bool:
        # Set together with the manifest, which lists leave in the database.
        return bool(self.sha256)
