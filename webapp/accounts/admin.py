"""People, teams, roles, tags and the audit trail in the administration."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from webapp.accounts import audit
from webapp.accounts.models import AuditEvent, Membership, Tag, Team, User
from webapp.administration import CappedPaginator, PortalAdmin, link, pretty

admin.site.site_header = "Graft"
admin.site.site_title = "Graft"
admin.site.index_title = _("Administration")


class UserCreationForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("team", "user")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """People; their passwords are set here and shown nowhere."""

    add_form = UserCreationForm
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "memberships__team")
    search_fields = ("email", "name")
    ordering = ("email",)
    date_hierarchy = "date_joined"
    filter_horizontal = ("groups", "user_permissions")
    autocomplete_fields = ("current_team",)
    readonly_fields = ("last_login", "date_joined")
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "password", "name", "current_team")}),
        (
            _("Rights"),
            {
                "fields": (
                    "is_active",
                    "is_staff",
                    "is_superuser",
                    "groups",
                    "user_permissions",
                )
            },
        ),
        (_("Times"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {"fields": ("email", "name", "usable_password", "password1", "password2")},
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what they made keeps its owner; switch "active" off instead

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        audit.record(
            "admin.change" if change else "admin.create",
            actor=request.user,  # type: ignore[arg-type]
            instance=obj,
            fields=[name for name in form.changed_data if "password" not in name],
        )


@admin.register(Team)
class TeamAdmin(PortalAdmin):
    editable = ("name",)
    can_be_added = True
    list_display = ("name", "created_at")
    search_fields = ("name",)
    date_hierarchy = "created_at"
    inlines = (MembershipInline,)


@admin.register(Membership)
class MembershipAdmin(PortalAdmin):
    editable = ("team", "user", "role")
    can_be_added = True
    can_be_deleted = True
    list_display = ("user", "team", "role")
    list_select_related = ("user", "team")
    list_filter = ("role", ("team", admin.RelatedOnlyFieldListFilter))
    search_fields = ("user__email", "user__name", "team__name")
    autocomplete_fields = ("team", "user")


@admin.register(Tag)
class TagAdmin(PortalAdmin):
    editable = ("name",)
    extra = ("team_link",)
    can_be_deleted = True
    list_display = ("name", "team")
    list_select_related = ("team",)
    list_filter = (("team", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("name",)

    team_link = link("team", _("team"))


@admin.register(AuditEvent)
class AuditEventAdmin(PortalAdmin):
    """Who changed what and when; nobody changes it, superusers included."""

    list_display = ("at", "actor", "action", "object_link", "team")
    list_select_related = ("actor", "team")
    list_filter = (
        "object_type",
        ("actor", admin.RelatedOnlyFieldListFilter),
        ("team", admin.RelatedOnlyFieldListFilter),
    )
    search_fields = ("action", "object_name", "object_id", "actor__email")
    date_hierarchy = "at"
    ordering = ("-id",)
    paginator = CappedPaginator
    extra = ("actor_link", "team_link", "object_link", "data_shown")

    actor_link = link("actor", _("person"))
    team_link = link("team", _("team"))
    data_shown = pretty("data", _("data"))

    @admin.display(description=_("object"))
    def object_link(self, event: AuditEvent) -> SafeString | str:
        name = event.object_name or event.object_id
        for app, model in _MODELS.get(event.object_type, []):
            try:
                url = reverse(f"admin:{app}_{model}_change", args=[event.object_id])
            except NoReverseMatch:
                continue
            return format_html('{}: <a href="{}">{}</a>', event.object_type, url, name)
        return f"{event.object_type}: {name}"


#: Model name → where it is registered.
_MODELS: dict[str, list[tuple[str, str]]] = {}


def _find_models() -> None:
    from django.apps import apps

    for model in apps.get_models():
        name = model._meta.model_name
        if name and model.__module__.startswith("webapp."):
            _MODELS.setdefault(name, []).append((model._meta.app_label, name))


_find_models()
