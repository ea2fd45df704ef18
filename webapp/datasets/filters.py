"""What the list of datasets can be narrowed down by."""

from __future__ import annotations

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from webapp.datasets import selectors
from webapp.datasets.models import Dataset

#: sort parameter → (column, descending, label).
SORTS = {
    "-created": ("created_at", True, _("Newest first")),
    "created": ("created_at", False, _("Oldest first")),
    "name": ("name", False, _("By name")),
    "-updated": ("updated_at", True, _("Changed last")),
}
DEFAULT_SORT = "-created"


class DatasetFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(
        label=_("Search"),
        method="search",
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    state = django_filters.ChoiceFilter(
        label=_("State"),
        empty_label=_("Any state"),
        choices=[("ready", _("ready")), ("checking", _("being checked")), ("failed", _("failed"))],
        method="in_state",
    )
    kind = django_filters.ChoiceFilter(
        label=_("Whose"),
        empty_label=_("Anybody's"),
        choices=[("own", _("my own")), ("team", _("the team's")), ("sample", _("samples"))],
        method="of_kind",
    )

    class Meta:
        model = Dataset
        fields: list[str] = []

    def search(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        for word in value.split():
            queryset = queryset.filter(
                Q(name__icontains=word) | Q(description__icontains=word) | Q(origin__icontains=word)
            )
        return queryset

    def in_state(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(newest_state__in=selectors.states_named(value))

    def of_kind(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        if value == "own":
            return queryset.filter(owner=self.request.user, is_sample=False)
        return queryset.filter(is_sample=value == "sample")
