"""The fixed cast of people."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.accounts.models import Membership, Team, User


@dataclass(frozen=True)
class Cast:
    """People whose rights every test knows.

    Attributes:
        alice: Member and admin of ``team``; owns most things.
        bob: Member of ``team``.
        vera: Viewer of ``team``.
        mallory: Member of ``other_team`` only.
    """

    team: Team
    other_team: Team
    alice: User
    bob: User
    vera: User
    mallory: User


def make_cast() -> Cast:
    team = Team.objects.create(name="Alpha")
    other = Team.objects.create(name="Omega")

    def person(name: str, where: Team, role: str) -> User:
        user = User.objects.create_user(f"{name.lower()}@example.org", name=name)
        user.current_team = where
        user.save(update_fields=["current_team"])
        Membership.objects.create(team=where, user=user, role=role)
        return user

    return Cast(
        team=team,
        other_team=other,
        alice=person("Alice", team, Membership.Role.ADMIN),
        bob=person("Bob", team, Membership.Role.MEMBER),
        vera=person("Vera", team, Membership.Role.VIEWER),
        mallory=person("Mallory", other, Membership.Role.MEMBER),
    )
