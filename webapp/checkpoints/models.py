"""Checkpoints: weights that already learned something, and where they came from."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import Tag, TeamOwned


class Checkpoint(TeamOwned):
    """A folder of weights, tokenizer and card, stored by content; never changed once made."""

    class Origin(models.TextChoices):
        TRAINED = "trained", _("trained here")
        HUB = "hub", _("imported from the Hub")
        UPLOAD = "upload", _("imported from an upload")
        COPIED = "copied", _("weights copied")

    name = models.CharField(_("name"), max_length=160)
    origin = models.CharField(_("origin"), max_length=10, choices=Origin)
    architecture = models.CharField(_("architecture"), max_length=40)
    config = models.JSONField(_("configuration"), default=dict)
    parameters = models.BigIntegerField(_("parameters"))
    size = models.BigIntegerField(_("size"))  # bytes of all files
    #: Identity of the weights (see docs/formats.md).
    weights_sha256 = models.CharField(_("weights"), max_length=64, db_index=True)
    manifest = models.JSONField(default=dict)  # {path: {sha256, size}}
    card = models.JSONField(_("card"), default=dict)
    #: ``[{name, dtype, shape}]`` from the safetensors header, so that plans need no file.
    tensors = models.JSONField(default=list)
    scores = models.JSONField(_("scores"), default=dict)
    #: The job that made it (training, import, copy).
    job = models.ForeignKey(
        "jobs.Job", null=True, on_delete=models.PROTECT, related_name="checkpoints"
    )
    parents = models.ManyToManyField(
        "self", verbose_name=_("sources"), symmetrical=False, related_name="children", blank=True
    )
    dataset_version = models.ForeignKey(
        "datasets.DatasetVersion",
        null=True,
        blank=True,
        verbose_name=_("data"),
        on_delete=models.PROTECT,
        related_name="checkpoints",
    )
    tags = models.ManyToManyField(Tag, verbose_name=_("tags"), blank=True)
    notes = models.TextField(_("notes"), blank=True)

    class Meta:
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")
        constraints = [
            # A job's outcome is stored again when its worker died after storing it.
            models.UniqueConstraint(fields=["job", "weights_sha256"], name="checkpoint_once_a_job")
        ]

    def __str__(self) -> str:
        return self.name


class CheckpointImport(TeamOwned):
    """A checkpoint on its way in: from the Hub, from uploaded files or copied from another."""

    name = models.CharField(_("name"), max_length=160)
    origin = models.CharField(max_length=10, choices=Checkpoint.Origin)
    repository = models.CharField(_("Hub name"), max_length=200, blank=True)
    #: Uploaded files, ``{path: {upload, size, sha256 once stored}}``; the job's inputs.
    manifest = models.JSONField(default=dict, blank=True)
    #: ``bytes``, ``total_bytes``, ``bytes_per_s`` of a download, as of its last event.
    progress = models.JSONField(default=dict, blank=True)
    #: The checkpoint whose weights are copied.
    source = models.ForeignKey(
        Checkpoint,
        verbose_name=_("source"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="copies_on_their_way",
    )
    job = models.OneToOneField(
        "jobs.Job", on_delete=models.PROTECT, related_name="checkpoint_import"
    )
    checkpoint = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="imports"
    )

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return self.name


class CheckpointExport(TeamOwned):
    """A checkpoint in another form: its files, and the proof that they compute the same."""

    checkpoint = models.ForeignKey(
        Checkpoint,
        verbose_name=_("checkpoint"),
        on_delete=models.PROTECT,
        related_name="exports",
    )
    format = models.CharField(_("form"), max_length=20)  # a key of training.interop.exports.EXPORTS
    manifest = models.JSONField(default=dict, blank=True)  # {path: {sha256, size}}
    size = models.BigIntegerField(_("size"), default=0)  # bytes of all files
    #: ``proof.json`` (docs/formats.md).
    proof = models.JSONField(_("proof"), default=dict, blank=True)
    job = models.OneToOneField(
        "jobs.Job", on_delete=models.PROTECT, related_name="checkpoint_export"
    )

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        constraints = [
            # A checkpoint never changes, so one export of a form is enough for the whole team.
            models.UniqueConstraint(
                fields=["checkpoint", "format"], name="checkpoint_export_once_a_format"
            )
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint.name} ({self.format})"


class CheckpointPush(TeamOwned):
    """A checkpoint on its way to the Hub, or there."""

    checkpoint = models.ForeignKey(
        Checkpoint, verbose_name=_("checkpoint"), on_delete=models.PROTECT, related_name="pushes"
    )
    repository = models.CharField(_("Hub name"), max_length=200)
    #: Sealed (:mod:`webapp.checkpoints.sealing`), and erased when the job ends, however it ends.
    sealed_token = models.TextField(blank=True)
    #: ``endpoint``, ``repository``, ``commit``, ``url``, once it is there.
    result = models.JSONField(_("result"), default=dict, blank=True)
    job = models.OneToOneField("jobs.Job", on_delete=models.PROTECT, related_name="checkpoint_push")

    class Meta:
        verbose_name = _("push")
        verbose_name_plural = _("pushes")

    def __str__(self) -> str:
        return self.repository
