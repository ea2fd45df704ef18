"""Generated texts in the administration."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from webapp.administration import TEAM_FILTERS, TeamOwnedAdmin, link, pretty
from webapp.playground.models import Generation


@admin.register(Generation)
class GenerationAdmin(TeamOwnedAdmin):
    extra = ("team_link", "owner_link", "job_link", "checkpoint_link", "settings_shown")
    list_display = (
        "__str__",
        "checkpoint_link",
        "job_link",
        "tokens",
        "reason",
        "owner",
        "created_at",
    )
    list_select_related = ("checkpoint", "job", "owner")
    list_filter = ("reason", "job__state", *TEAM_FILTERS)
    search_fields = ("text", "checkpoint__name", "group", "id")

    job_link = link("job", _("job"))
    checkpoint_link = link("checkpoint", _("checkpoint"))
    settings_shown = pretty("settings", _("settings"))
