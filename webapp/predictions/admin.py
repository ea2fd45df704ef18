"""Predictions in the administration."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from webapp.administration import TEAM_FILTERS, TeamOwnedAdmin, link
from webapp.predictions.models import Prediction


@admin.register(Prediction)
class PredictionAdmin(TeamOwnedAdmin):
    editable = ("name",)
    extra = (
        "team_link",
        "owner_link",
        "checkpoint_link",
        "head_link",
        "dataset_version_link",
        "job_link",
    )
    list_display = ("name", "checkpoint_link", "job_link", "examples", "owner", "created_at")
    list_select_related = ("checkpoint", "job", "owner")
    list_filter = ("job__state", *TEAM_FILTERS)
    search_fields = ("name", "checkpoint__name", "dataset_version__dataset__name", "id")

    checkpoint_link = link("checkpoint", _("checkpoint"))
    head_link = link("head", _("head"))
    dataset_version_link = link("dataset_version", _("data"))
    job_link = link("job", _("job"))
