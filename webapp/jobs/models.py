"""The Job table: the truth about all queued work; Redis is only told its ids."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import TeamOwned


class State(models.TextChoices):
    WAITING = "waiting", _("waiting")  # for the jobs in ``after``
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    SUCCEEDED = "succeeded", _("finished")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


#: Which state may follow which. The diagram in docs/ is generated from this table.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.CANCELLED}),
    State.RUNNING: frozenset(
        {State.QUEUED, State.PAUSED, State.SUCCEEDED, State.FAILED, State.CANCELLED}
    ),
    State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    # Tried again: at once, or after the job it follows has been tried again.
    State.FAILED: frozenset({State.QUEUED, State.WAITING}),
    State.CANCELLED: frozenset({State.QUEUED, State.WAITING}),
}

#: States in which a page keeps polling.
LIVE = frozenset({State.WAITING, State.QUEUED, State.RUNNING})
ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Request(models.TextChoices):
    """What a person asked of a running job; the supervisor obeys within a second or two."""

    NONE = "", _("nothing")
    PAUSE = "pause", _("pause")
    CANCEL = "cancel", _("cancel")


class Job(TeamOwned):
    """One piece of work: a frozen spec, a state, a lease, and how far it got."""

    kind = models.CharField(_("kind"), max_length=30)  # a key of webapp.jobs.kinds.KINDS
    queue = models.CharField(_("queue"), max_length=20)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    requested = models.CharField(
        _("requested"), max_length=10, choices=Request, default=Request.NONE, blank=True
    )
    #: The jobs whose success this one waits for; queued when the last of them has finished.
    #: (``services.job_create(after=[…])`` takes several.)
    after = models.ManyToManyField(
        "self",
        verbose_name=_("after"),
        symmetrical=False,
        blank=True,
        related_name="followers",
    )

    # Frozen when the job is made. Files are named by hash: ``store:…``, resolved by the worker.
    spec = models.JSONField(_("spec"))
    code_version = models.CharField(_("code version"), max_length=60)

    # Lease and fence: every write of a worker says WHERE attempt = n AND state = 'running'.
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    worker = models.CharField(_("worker"), max_length=120, blank=True)
    lease_expires_at = models.DateTimeField(_("lease until"), null=True, blank=True)
    #: Ends without a verdict (kills, lost workers) since the job last got further.
    crashes = models.PositiveIntegerField(_("crashes"), default=0)
    #: When Redis was last told; the reconciler tells it again when it forgot.
    dispatched_at = models.DateTimeField(_("dispatched"), null=True, blank=True)

    # Read from events.jsonl; the offset moves in the same transaction as what was read.
    events_offset = models.BigIntegerField(default=0)
    phase = models.CharField(_("phase"), max_length=30, blank=True)
    #: 0..1 within the whole job; null: not known.
    fraction = models.FloatField(_("progress"), null=True, blank=True)
    step = models.BigIntegerField(_("step"), null=True, blank=True)
    total_steps = models.BigIntegerField(_("steps"), null=True, blank=True)
    #: Last ``progress`` and ``resources`` events, merged.
    live = models.JSONField(default=dict, blank=True)

    # How it ended. The sentence is gettext(training.errors.MESSAGES[code]) % params.
    error_code = models.CharField(_("error"), max_length=60, blank=True)
    error_params = models.JSONField(default=dict, blank=True)
    error_field = models.CharField(max_length=120, blank=True)
    report = models.JSONField(default=dict, blank=True)

    queued_at = models.DateTimeField(_("queued"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="job_state"),
            models.CheckConstraint(
                condition=models.Q(requested__in=Request.values), name="job_requested"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="running") | models.Q(lease_expires_at__isnull=False),
                name="job_running_has_lease",
            ),
        ]
        indexes = [models.Index(fields=["state", "lease_expires_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {str(self.id)[:8]} ({self.state})"

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


class JobEvent(models.Model):
    """One line of a job's event log worth keeping: log, phase, sample, weights, error, checkpoint.

    Numbers of training are points of the run instead.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField(_("time"))
    kind = models.CharField(_("kind"), max_length=20)
    step = models.BigIntegerField(_("step"), null=True, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("job event")
        verbose_name_plural = _("job events")
        ordering = ["job", "seq"]
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="job_event_once")]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class Worker(models.Model):
    """A worker process that serves queues; it renews ``seen_at`` while it lives.

    Says what the hosts have, so that a job is queued where somebody will take it and a page can
    tell a person that nobody serves its queue.
    """

    name = models.CharField(_("name"), max_length=120, unique=True)
    host = models.CharField(_("host"), max_length=100)
    pid = models.PositiveIntegerField(_("process"))
    queues = models.JSONField(_("queues"), default=list)
    #: ``[{index, name, memory_bytes}]`` of the GPUs that it may use.
    gpus = models.JSONField(default=list, blank=True)
    processors = models.PositiveIntegerField(_("processors"), default=1)
    memory_bytes = models.BigIntegerField(_("memory"), default=0)
    code_version = models.CharField(_("code version"), max_length=60, blank=True)
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
