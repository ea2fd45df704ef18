"""What every page of the administration has in common.

Rows are made and changed by the portal's services, which keep their rules and the audit trail; the
administration shows everything, links along the lineage, and changes only what people write: names,
notes, roles. What it does change is in the audit trail too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import JSONField, ManyToManyField, Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.accounts import audit

#: Characters of a JSON value that a page shows.
JSON_LIMIT = 20_000
#: Links of a list that a page shows.
LINK_LIMIT = 20

Column = Callable[[Any, Any], Any]


def to_row(row: Model | None) -> SafeString | str:
    """A link to a row's page in the administration."""
    if row is None:
        return "–"
    try:
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return str(row)
    return format_html('<a href="{}">{}</a>', url, str(row) or str(row.pk))


def to_rows(rows: Iterable[Model]) -> SafeString | str:
    """Links to rows, one a line, the first few."""
    found = list(rows[: LINK_LIMIT + 1])  # type: ignore[index]
    if not found:
        return "–"
    lines = format_html_join(
        SafeString("<br>"), "{}", ((to_row(row),) for row in found[:LINK_LIMIT])
    )
    return format_html("{}<br>…", lines) if len(found) > LINK_LIMIT else lines


def link(name: str, title: Any) -> Column:
    """A column that links to the row a foreign key, or a one-to-one from either side, points at."""

    @admin.display(description=title, ordering=None)
    def column(_admin: Any, row: Any) -> SafeString | str:
        return to_row(getattr(row, name, None))

    return column


def links(name: str, title: Any, related: str = "") -> Column:
    """A field that links to the rows of a relation with many; ``related`` is selected with them."""

    @admin.display(description=title)
    def column(_admin: Any, row: Any) -> SafeString | str:
        rows = getattr(row, name).all()
        return to_rows(rows.select_related(related) if related else rows)

    return column


def pretty(name: str, title: Any) -> Column:
    """A field that shows JSON as people read it."""

    @admin.display(description=title)
    def column(_admin: Any, row: Any) -> SafeString | str:
        value = getattr(row, name)
        if value in (None, {}, []):
            return "–"
        text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
        if len(text) > JSON_LIMIT:
            text = text[:JSON_LIMIT] + "\n…"
        pre = format_html("<pre>{}</pre>", text)
        if text.count("\n") < 30:
            return pre
        return format_html("<details><summary>{}</summary>{}</details>", gettext("Show"), pre)

    return column


class CappedPaginator(Paginator):
    """Counts no further than people page: a full count of millions of rows takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:10_000].count())


class PortalAdmin(admin.ModelAdmin):
    """Shows everything, changes only ``editable``.

    Attributes:
        editable: Fields that may be changed by hand.
        hidden: Fields that are not shown, or in another form (by :func:`pretty`, :func:`link`).
        extra: Computed fields shown after the model's own.
    """

    editable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    can_be_added = False
    can_be_deleted = False
    list_per_page = 50
    show_full_result_count = False
    paginator = CappedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.can_be_added and super().has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.can_be_deleted and super().has_delete_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None:
            return list(self.editable)
        # Foreign keys, JSON and many-to-many have columns of their own in ``extra``.
        plain = [
            field.name
            for field in self.model._meta.get_fields()
            if getattr(field, "concrete", False)
            and not field.is_relation
            and not isinstance(field, JSONField | ManyToManyField)
            and field.name not in self.hidden
        ]
        written = [name for name in self.editable if name not in plain]
        return [*plain, *written, *self.extra]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [name for name in self.get_fields(request, obj) if name not in self.editable]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        audit.record(
            "admin.change" if change else "admin.create",
            actor=request.user,  # type: ignore[arg-type]
            instance=obj,
            fields=list(form.changed_data),
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit.record("admin.delete", actor=request.user, instance=obj)  # type: ignore[arg-type]
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)


TEAM_FILTERS: Any = (
    ("team", admin.RelatedOnlyFieldListFilter),
    ("owner", admin.RelatedOnlyFieldListFilter),
)


class TeamOwnedAdmin(PortalAdmin):
    """For rows of a team: its filters, its links."""

    list_filter: ClassVar[Any] = TEAM_FILTERS
    date_hierarchy = "created_at"
    ordering = ("-created_at",)

    team_link = link("team", _("team"))
    owner_link = link("owner", _("owner"))
