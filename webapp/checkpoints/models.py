"""Checkpoints: weights that already learned something, and where they came from."""

from __future__ import annotations

from django.conf import settings
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
        MERGED = "merged", _("merged")
        ENSEMBLE = "ensemble", _("ensemble")

    class Stage(models.TextChoices):
        NONE = "none", _("no stage")
        CANDIDATE = "candidate", _("candidate")
        PRODUCTION = "production", _("production")
        ARCHIVED = "archived", _("archived")

    name = models.CharField(_("name"), max_length=160)
    origin = models.CharField(_("origin"), max_length=10, choices=Origin)
    architecture = models.CharField(_("architecture"), max_length=40, db_index=True)
    #: A key of training.weights.tasks.TASKS; empty: not known.
    task = models.CharField(_("task"), max_length=40, blank=True, db_index=True)
    #: What made it, as its card says: a method of training, ``import``, ``transfer``.
    method = models.CharField(_("method"), max_length=40, blank=True, db_index=True)
    #: As of its last :class:`StageChange`.
    stage = models.CharField(
        _("stage"), max_length=10, choices=Stage, default=Stage.NONE, db_index=True
    )
    config = models.JSONField(_("configuration"), default=dict)
    parameters = models.BigIntegerField(_("parameters"))
    size = models.BigIntegerField(_("size"))  # bytes of all files
    #: Identity of the weights (see docs/formats.md).
    weights_sha256 = models.CharField(_("weights"), max_length=64, db_index=True)
    manifest = models.JSONField(default=dict)  # {path: {blake3, size}}
    card = models.JSONField(_("card"), default=dict)
    #: ``[{name, dtype, shape}]`` from the safetensors header, so that plans need no file.
    tensors = models.JSONField(default=list)
    scores = models.JSONField(_("scores"), default=dict)
    #: Of a copy: how far its outputs are from its source's (training.engine.compare).
    probe = models.JSONField(_("compared with its source"), default=dict, blank=True)
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
            models.UniqueConstraint(fields=["job", "weights_sha256"], name="checkpoint_once_a_job"),
            models.CheckConstraint(
                condition=models.Q(stage__in=["none", "candidate", "production", "archived"]),
                name="checkpoint_stage",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StageChange(models.Model):
    """Who put a checkpoint into which stage, and when; only ever added to."""

    checkpoint = models.ForeignKey(
        Checkpoint,
        verbose_name=_("checkpoint"),
        on_delete=models.CASCADE,
        related_name="stage_changes",
    )
    at = models.DateTimeField(_("time"), auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    before = models.CharField(_("before"), max_length=10, choices=Checkpoint.Stage)
    stage = models.CharField(_("stage"), max_length=10, choices=Checkpoint.Stage)
    reason = models.CharField(_("reason"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("change of stage")
        verbose_name_plural = _("changes of stage")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_before_display()} → {self.get_stage_display()}"


class CheckpointStatistics(TeamOwned):
    """What values a checkpoint's tensors hold, worked out once for the whole team.

    Made when somebody first asks, with the job that looks at the weights; filled when it is done.
    """

    checkpoint = models.OneToOneField(
        Checkpoint,
        verbose_name=_("checkpoint"),
        on_delete=models.CASCADE,
        related_name="statistics",
    )
    job = models.OneToOneField(
        "jobs.Job",
        verbose_name=_("job"),
        on_delete=models.PROTECT,
        related_name="checkpoint_statistics",
    )
    #: ``{count, zeros, nan, infinite, norm}`` over all tensors.
    summary = models.JSONField(_("summary"), default=dict, blank=True)
    #: By tensor, ``{count, nan, infinite, zeros, norm, minimum, maximum, mean}``.
    values = models.JSONField(_("values"), default=dict, blank=True)
    #: By tensor, how many values lie in each interval; apart, since only one is shown at a time.
    histograms = models.JSONField(_("histograms"), default=dict, blank=True)

    class Meta:
        verbose_name = _("statistics of a checkpoint")
        verbose_name_plural = _("statistics of checkpoints")

    def __str__(self) -> str:
        return str(self.checkpoint)


class CheckpointImport(TeamOwned):
    """A checkpoint on its way in: from the Hub, from files, copied from another or merged."""

    name = models.CharField(_("name"), max_length=160)
    origin = models.CharField(max_length=10, choices=Checkpoint.Origin)
    repository = models.CharField(_("Hub name"), max_length=200, blank=True)
    #: Uploaded files, ``{path: {upload, size, blake3 once stored}}``; the job's inputs.
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
    #: Of a copy into a model that is there: whose values stay where nothing is copied.
    base = models.ForeignKey(
        Checkpoint,
        verbose_name=_("base"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="copies_into_it",
    )
    #: The checkpoints that are merged; their order is in the job's spec.
    merged = models.ManyToManyField(
        Checkpoint, verbose_name=_("merged"), related_name="merges_on_their_way", blank=True
    )
    job = models.OneToOneField(
        "jobs.Job", on_delete=models.PROTECT, related_name="checkpoint_import"
    )
    checkpoint = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="imports"
    )
    #: Of a copy: the job that compares what both models compute, once the copy is there.
    probe_job = models.OneToOneField(
        "jobs.Job", null=True, blank=True, on_delete=models.PROTECT, related_name="probe_of"
    )

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return self.name

    @property
    def is_merge(self) -> bool:
        return self.origin == Checkpoint.Origin.MERGED


class TransferPlan(TeamOwned):
    """What was typed for a copy, kept under a name for the next one."""

    name = models.CharField(_("name"), max_length=160)
    #: Of the sources that it is for.
    architecture = models.CharField(_("architecture"), max_length=40)
    values = models.JSONField(_("values"), default=dict)

    class Meta:
        verbose_name = _("transfer plan")
        verbose_name_plural = _("transfer plans")
        ordering = ["name", "created_at"]

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
    manifest = models.JSONField(default=dict, blank=True)  # {path: {blake3, size}}
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
