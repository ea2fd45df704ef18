"""Reads about people and teams."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, QuerySet, When

from webapp.accounts.models import AuditEvent, Membership, Team, User


def current_team(user: Any) -> Team | None:
    """The team whose lists are shown: the chosen one while still a member, else the first."""
    if not user.is_authenticated:
        return None
    chosen = Case(When(pk=user.current_team_id, then=0), default=1)
    return Team.objects.filter(memberships__user=user).order_by(chosen, "pk").first()


def role(user: Any, team: Team) -> str | None:
    """The person's role in the team (``viewer``, ``member``, ``admin``), None for outsiders."""
    return Membership.objects.filter(user=user, team=team).values_list("role", flat=True).first()


def can_write(user: Any, team: Team | None) -> bool:
    """Whether pages show this person what changes something. The check itself is in the view."""
    return team is not None and role(user, team) in {Membership.Role.MEMBER, Membership.Role.ADMIN}


def teams_of(user: User) -> QuerySet[Team]:
    """The teams that the person belongs to, by name."""
    return Team.objects.filter(memberships__user=user).order_by("name", "pk")


def members_of(team: Team) -> QuerySet[Membership]:
    """The team's members with their people: admins first, then by name."""
    return (
        Membership.objects.filter(team=team)
        .select_related("user")
        .order_by("role", "user__name", "user__email")
    )


def memberships_managed_by(user: User, team: Team | None) -> QuerySet[Membership]:
    """The memberships of the person's current team: outside it, nothing is found."""
    if team is None:
        return Membership.objects.none()
    return Membership.objects.filter(team=team, team__memberships__user=user).select_related(
        "user", "team"
    )


def audit_trail(team: Team) -> QuerySet[AuditEvent]:
    """What was changed in the team, with who did it."""
    return AuditEvent.objects.filter(team=team).select_related("actor")
