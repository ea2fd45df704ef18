"""Who may do what. One function a question, each raising; views and services call these."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.shortcuts import get_object_or_404

from webapp.accounts import selectors
from webapp.accounts.models import Membership, Team


def get_for_user(model: Any, user: Any, **lookup: Any) -> Any:
    """The object, or 404 when it is another team's: outsiders do not learn that it exists."""
    queryset = model.objects.all() if hasattr(model, "objects") else model
    return get_object_or_404(queryset.for_user(user), **lookup)


def check_can_write(user: Any, team: Team | None) -> None:
    """Members and admins may create and change; viewers get a 403."""
    if team is None or selectors.role(user, team) not in {
        Membership.Role.MEMBER,
        Membership.Role.ADMIN,
    }:
        raise PermissionDenied


def check_can_manage(user: Any, team: Team | None) -> None:
    """Admins of a team may change its members."""
    if team is None or selectors.role(user, team) != Membership.Role.ADMIN:
        raise PermissionDenied


def check_can_edit(user: Any, instance: Model) -> None:
    """Whoever may write in the object's team may edit it."""
    check_can_write(user, instance.team)  # type: ignore[attr-defined]
