"""Heads in the administration."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from webapp.administration import TEAM_FILTERS, TeamOwnedAdmin, link, pretty
from webapp.heads.models import Head


@admin.register(Head)
class HeadAdmin(TeamOwnedAdmin):
    editable = ("name",)
    extra = (
        "team_link",
        "owner_link",
        "checkpoint_link",
        "dataset_version_link",
        "job_link",
        "manifest_shown",
    )
    list_display = ("name", "checkpoint_link", "job_link", "accuracy", "owner", "created_at")
    list_select_related = ("checkpoint", "job", "owner")
    list_filter = ("job__state", *TEAM_FILTERS)
    search_fields = ("name", "checkpoint__name", "dataset_version__dataset__name", "id")

    checkpoint_link = link("checkpoint", _("checkpoint"))
    dataset_version_link = link("dataset_version", _("data"))
    job_link = link("job", _("job"))
    manifest_shown = pretty("manifest", _("files"))
