"""Data sets, their versions and uploads in the administration."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from webapp.administration import TEAM_FILTERS, TeamOwnedAdmin, link, links, pretty
from webapp.datasets.models import Dataset, DatasetVersion, Upload


@admin.register(Dataset)
class DatasetAdmin(TeamOwnedAdmin):
    editable = ("name", "description", "origin")
    extra = ("team_link", "owner_link", "version_links")
    list_display = ("name", "team", "owner", "is_sample", "created_at")
    list_select_related = ("team", "owner")
    list_filter = ("is_sample", *TEAM_FILTERS)
    search_fields = ("name", "description", "id")

    version_links = links("versions", _("versions"), "dataset")


@admin.register(DatasetVersion)
class DatasetVersionAdmin(TeamOwnedAdmin):
    extra = (
        "team_link",
        "owner_link",
        "dataset_link",
        "job_link",
        "run_links",
        "checkpoint_links",
        "summary_shown",
        "preview_shown",
        "manifest_shown",
    )
    list_display = ("__str__", "dataset_link", "job_link", "raw_size", "owner", "created_at")
    list_select_related = ("dataset", "job", "owner")
    list_filter = ("job__state", *TEAM_FILTERS)
    search_fields = ("dataset__name", "filename", "sha256", "raw_blake3", "id")

    dataset_link = link("dataset", _("data set"))
    job_link = link("job", _("job"))
    run_links = links("runs", _("runs"))
    checkpoint_links = links("checkpoints", _("checkpoints"))
    summary_shown = pretty("summary", _("summary"))
    preview_shown = pretty("preview", _("preview"))
    manifest_shown = pretty("manifest", _("files"))


@admin.register(Upload)
class UploadAdmin(TeamOwnedAdmin):
    extra = ("team_link", "owner_link")
    list_display = ("filename", "relative_path", "size", "received", "owner", "created_at")
    list_select_related = ("owner",)
    search_fields = ("filename", "relative_path", "blake3", "id")
