"""Checkpoints, their stages, statistics and imports in the administration."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from webapp.administration import (
    TEAM_FILTERS,
    PortalAdmin,
    TeamOwnedAdmin,
    link,
    links,
    pretty,
    to_rows,
)
from webapp.checkpoints.models import (
    Checkpoint,
    CheckpointExport,
    CheckpointImport,
    CheckpointPush,
    CheckpointStatistics,
    StageChange,
    TransferPlan,
)
from webapp.checkpoints.selectors import HEAVY
from webapp.templatetags.graft import file_size, short_number


@admin.register(Checkpoint)
class CheckpointAdmin(TeamOwnedAdmin):
    editable = ("name", "notes")
    extra = (
        "team_link",
        "owner_link",
        "job_link",
        "run_links",
        "import_links",
        "export_links",
        "parent_links",
        "child_links",
        "derived_run_links",
        "data_link",
        "stage_links",
        "statistics_link",
        "tag_names",
        "scores_shown",
        "config_shown",
        "card_shown",
        "manifest_shown",
        "tensors_shown",
    )
    list_display = (
        "name",
        "stage",
        "origin",
        "architecture",
        "task",
        "method",
        "parameters_shown",
        "size_shown",
        "data_link",
        "job_link",
        "owner",
        "created_at",
    )
    list_select_related = ("dataset_version__dataset", "job", "owner")
    list_filter = ("stage", "origin", "architecture", "task", "method", *TEAM_FILTERS)
    search_fields = ("name", "notes", "weights_sha256", "tags__name", "id")

    job_link = link("job", _("job"))
    data_link = link("dataset_version", _("data"))
    run_links = links("made_by_run", _("made by"))
    import_links = links("imports", _("imported by"))
    export_links = links("exports", _("exports"), "checkpoint")
    parent_links = links("parents", _("sources"))
    child_links = links("children", _("what came of it"))
    derived_run_links = links("derived_runs", _("runs from it"))
    stage_links = links("stage_changes", _("stages"))
    statistics_link = link("statistics", _("statistics"))
    scores_shown = pretty("scores", _("scores"))
    config_shown = pretty("config", _("configuration"))
    card_shown = pretty("card", _("card"))
    manifest_shown = pretty("manifest", _("files"))
    tensors_shown = pretty("tensors", _("tensors"))

    @admin.display(description=_("parameters"), ordering="parameters")
    def parameters_shown(self, checkpoint: Checkpoint) -> str:
        return short_number(checkpoint.parameters)

    @admin.display(description=_("size"), ordering="size")
    def size_shown(self, checkpoint: Checkpoint) -> str:
        return file_size(checkpoint.size)

    @admin.display(description=_("tags"))
    def tag_names(self, checkpoint: Checkpoint) -> SafeString | str:
        return to_rows(checkpoint.tags.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        listing = match is not None and match.url_name == "checkpoints_checkpoint_changelist"
        return rows.defer(*HEAVY, "config") if listing else rows


class OfCheckpoint(PortalAdmin):
    """For rows that name their checkpoint: what only its own page shows is not loaded."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*(f"checkpoint__{name}" for name in HEAVY))


@admin.register(StageChange)
class StageChangeAdmin(OfCheckpoint):
    extra = ("checkpoint_link", "actor_link")
    list_display = ("at", "checkpoint_link", "before", "stage", "actor_link", "reason")
    list_select_related = ("checkpoint", "actor")
    list_filter = (
        "stage",
        "before",
        ("checkpoint__team", admin.RelatedOnlyFieldListFilter),
        ("actor", admin.RelatedOnlyFieldListFilter),
    )
    search_fields = ("checkpoint__name", "actor__name", "actor__email", "reason")
    date_hierarchy = "at"

    checkpoint_link = link("checkpoint", _("checkpoint"))
    actor_link = link("actor", _("person"))


@admin.register(CheckpointStatistics)
class CheckpointStatisticsAdmin(OfCheckpoint, TeamOwnedAdmin):
    extra = (
        "team_link",
        "owner_link",
        "checkpoint_link",
        "job_link",
        "summary_shown",
        "values_shown",
    )
    list_display = ("checkpoint_link", "job_link", "owner", "created_at")
    list_display_links = ("created_at",)
    list_select_related = ("checkpoint", "job", "owner")
    list_filter = ("job__state", *TEAM_FILTERS)
    search_fields = ("checkpoint__name", "checkpoint__weights_sha256", "id")

    checkpoint_link = link("checkpoint", _("checkpoint"))
    job_link = link("job", _("job"))
    summary_shown = pretty("summary", _("summary"))
    values_shown = pretty("values", _("values"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("histograms")


@admin.register(CheckpointImport)
class CheckpointImportAdmin(OfCheckpoint, TeamOwnedAdmin):
    extra = (
        "team_link",
        "owner_link",
        "job_link",
        "source_link",
        "checkpoint_link",
        "progress_shown",
        "manifest_shown",
    )
    list_display = (
        "name",
        "origin",
        "repository",
        "job_link",
        "checkpoint_link",
        "owner",
        "created_at",
    )
    list_select_related = ("job", "checkpoint", "owner")
    list_filter = ("origin", "job__state", *TEAM_FILTERS)
    search_fields = ("name", "repository", "id")

    job_link = link("job", _("job"))
    source_link = link("source", _("source"))
    checkpoint_link = link("checkpoint", _("checkpoint"))
    progress_shown = pretty("progress", _("progress"))
    manifest_shown = pretty("manifest", _("files"))


@admin.register(TransferPlan)
class TransferPlanAdmin(TeamOwnedAdmin):
    editable = ("name",)
    extra = ("team_link", "owner_link", "architecture", "values_shown")
    list_display = ("name", "architecture", "owner", "created_at")
    list_select_related = ("owner",)
    list_filter = ("architecture", *TEAM_FILTERS)
    search_fields = ("name", "id")

    values_shown = pretty("values", _("values"))


@admin.register(CheckpointExport)
class CheckpointExportAdmin(OfCheckpoint, TeamOwnedAdmin):
    extra = (
        "team_link",
        "owner_link",
        "job_link",
        "checkpoint_link",
        "proof_shown",
        "manifest_shown",
    )
    list_display = ("checkpoint_link", "format", "size_shown", "job_link", "owner", "created_at")
    list_select_related = ("job", "checkpoint", "owner")
    list_filter = ("format", "job__state", *TEAM_FILTERS)
    search_fields = ("checkpoint__name", "format", "id")

    job_link = link("job", _("job"))
    checkpoint_link = link("checkpoint", _("checkpoint"))
    proof_shown = pretty("proof", _("proof"))
    manifest_shown = pretty("manifest", _("files"))

    @admin.display(description=_("size"), ordering="size")
    def size_shown(self, export: CheckpointExport) -> str:
        return file_size(export.size)


@admin.register(CheckpointPush)
class CheckpointPushAdmin(OfCheckpoint, TeamOwnedAdmin):
    """The sealed token is not shown."""

    hidden = ("sealed_token",)
    extra = ("team_link", "owner_link", "job_link", "checkpoint_link", "result_shown")
    list_display = ("repository", "checkpoint_link", "job_link", "owner", "created_at")
    list_select_related = ("job", "checkpoint", "owner")
    list_filter = ("job__state", *TEAM_FILTERS)
    search_fields = ("repository", "checkpoint__name", "id")

    job_link = link("job", _("job"))
    checkpoint_link = link("checkpoint", _("checkpoint"))
    result_shown = pretty("result", _("result"))
