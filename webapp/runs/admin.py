"""Runs and their points in the administration."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from webapp.administration import (
    TEAM_FILTERS,
    PortalAdmin,
    TeamOwnedAdmin,
    link,
    links,
    pretty,
    to_row,
    to_rows,
)
from webapp.runs.models import Point, Run
from webapp.templatetags.graft import decimals


@admin.register(Run)
class RunAdmin(TeamOwnedAdmin):
    editable = ("name", "notes")
    extra = (
        "team_link",
        "owner_link",
        "job_link",
        "data_link",
        "source_checkpoint_link",
        "source_run_link",
        "twin_of_link",
        "twin_link",
        "checkpoint_link",
        "derived_run_links",
        "tag_names",
        "spec_shown",
        "comparison_shown",
    )
    list_display = (
        "name",
        "method",
        "state",
        "data_link",
        "source_link",
        "checkpoint_link",
        "best_loss",
        "owner",
        "created_at",
    )
    list_select_related = (
        "job",
        "dataset_version__dataset",
        "source_checkpoint",
        "source_run",
        "checkpoint",
        "owner",
    )
    list_filter = ("job__state", "method", *TEAM_FILTERS)
    search_fields = ("name", "notes", "tags__name", "id", "job__id")

    job_link = link("job", _("job"))
    data_link = link("dataset_version", _("data"))
    source_checkpoint_link = link("source_checkpoint", _("source"))
    source_run_link = link("source_run", _("source run"))
    twin_of_link = link("twin_of", _("twin of"))
    twin_link = link("twin", _("twin"))
    checkpoint_link = link("checkpoint", _("checkpoint"))
    derived_run_links = links("derived_runs", _("runs from it"))
    comparison_shown = pretty("comparison", _("comparison"))

    @admin.display(description=_("state"), ordering="job__state")
    def state(self, run: Run) -> Any:
        return run.job.get_state_display()

    @admin.display(description=_("best validation loss"), ordering="best_validation_loss")
    def best_loss(self, run: Run) -> str:
        return decimals(run.best_validation_loss)

    @admin.display(description=_("source"))
    def source_link(self, run: Run) -> SafeString | str:
        return to_row(run.source_checkpoint or run.source_run)

    @admin.display(description=_("tags"))
    def tag_names(self, run: Run) -> SafeString | str:
        return to_rows(run.tags.all())

    @admin.display(description=_("specification"))
    def spec_shown(self, run: Run) -> Any:
        return pretty("spec", "")(self, run.job)


@admin.register(Point)
class PointAdmin(PortalAdmin):
    """Millions of rows: found by run and name, never counted."""

    extra = ("run_link",)
    list_display = ("run_link", "name", "step", "value", "tier")
    list_select_related = ("run",)
    search_fields = ("=name", "=run__id", "run__name")
    ordering = ("-id",)

    run_link = link("run", _("run"))
