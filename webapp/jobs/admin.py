"""Jobs, their events and the workers in the administration."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from webapp.administration import (
    TEAM_FILTERS,
    PortalAdmin,
    TeamOwnedAdmin,
    link,
    links,
    pretty,
    to_row,
)
from webapp.jobs import services
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.models import Job, JobEvent, Worker
from webapp.jobs.selectors import error_sentence


@admin.register(Job)
class JobAdmin(TeamOwnedAdmin):
    """Nothing of a job is edited by hand; cancel and retry go through the services."""

    hidden = ("error_code", "error_field")
    extra = (
        "team_link",
        "owner_link",
        "subject_link",
        "checkpoint_links",
        "after_links",
        "follower_links",
        "error_shown",
        "spec_shown",
        "live_shown",
        "report_shown",
    )
    list_display = (
        "__str__",
        "subject_link",
        "kind",
        "queue",
        "state",
        "attempt",
        "crashes",
        "worker",
        "owner",
        "created_at",
    )
    list_select_related = (
        "owner",
        "run",
        "dataset_version__dataset",
        "checkpoint_import",
        "head",
        "generation",
    )
    list_filter = ("state", "kind", "queue", "error_code", *TEAM_FILTERS)
    search_fields = ("id", "worker", "error_code", "run__name", "dataset_version__dataset__name")
    actions = ("cancel_jobs", "retry_jobs")

    after_links = links("after", pgettext_lazy("jobs", "after"))
    follower_links = links("followers", _("waited for by"))
    checkpoint_links = links("checkpoints", _("checkpoints"))
    spec_shown = pretty("spec", _("spec"))
    live_shown = pretty("live", _("progress"))
    report_shown = pretty("report", _("report"))

    @admin.display(description=_("subject"))
    def subject_link(self, job: Job) -> SafeString | str:
        """The run, data set version, import, head or generation that the job is for."""
        for name in ("run", "dataset_version", "checkpoint_import", "head", "generation"):
            if (found := getattr(job, name, None)) is not None:
                return to_row(found)
        return "–"

    @admin.display(description=_("error"))
    def error_shown(self, job: Job) -> str:
        return error_sentence(job) or "–"

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Who may cancel and retry: those who may change jobs, though no field is open to them."""
        return request.user.has_perm("jobs.change_job")

    @admin.action(description=_("Cancel"), permissions=["act"])
    def cancel_jobs(self, request: HttpRequest, queryset: Any) -> None:
        self._act(request, queryset, services.job_cancel)

    @admin.action(description=_("Try again"), permissions=["act"])
    def retry_jobs(self, request: HttpRequest, queryset: Any) -> None:
        self._act(request, queryset, services.job_retry)

    def _act(self, request: HttpRequest, queryset: Any, action: Any) -> None:
        refused = 0
        jobs = list(queryset)
        for job in jobs:
            try:
                action(job=job, actor=request.user)
            except IllegalTransition:
                refused += 1
        done = len(jobs) - refused
        if done:
            text = ngettext("%(count)s job changed.", "%(count)s jobs changed.", done)
            self.message_user(request, text % {"count": done})
        if refused:
            text = ngettext(
                "%(count)s job is in a state that does not allow it.",
                "%(count)s jobs are in a state that does not allow it.",
                refused,
            )
            self.message_user(request, text % {"count": refused}, messages.WARNING)


@admin.register(JobEvent)
class JobEventAdmin(PortalAdmin):
    extra = ("job_link", "data_shown")
    list_display = ("job_link", "seq", "kind", "step", "at")
    list_select_related = ("job",)
    list_filter = ("kind",)
    search_fields = ("job__id",)
    ordering = ("-id",)

    job_link = link("job", _("job"))
    data_shown = pretty("data", _("data"))


@admin.register(Worker)
class WorkerAdmin(PortalAdmin):
    extra = ("queues_shown", "gpus_shown")
    list_display = ("name", "host", "pid", "queues", "seen_at", "code_version")
    list_filter = ("host",)
    search_fields = ("name", "host")
    ordering = ("host", "pid")

    queues_shown = pretty("queues", _("queues"))
    gpus_shown = pretty("gpus", _("graphics cards"))
