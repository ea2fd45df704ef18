"""Writes about people and teams."""

from __future__ import annotations

from dataclasses import dataclass

import sesame.utils
from django.db import transaction
from django.utils import timezone
from sesame.backends import ModelBackend as LinkBackend

from webapp.accounts import audit
from webapp.accounts.errors import AlreadyMember, LastAdmin, LinkRefused
from webapp.accounts.models import Membership, Team, User


@dataclass(frozen=True)
class Invitation:
    """What an invitation made.

    Attributes:
        membership: The new membership.
        link_token: Signs the person in once; empty when they had an account before, since nobody
            else may open it.
    """

    membership: Membership
    link_token: str


@transaction.atomic
def team_create(*, name: str, owner: User, actor: User | None = None) -> Team:
    """Make a team whose first admin is ``owner``, and make it their current one."""
    team = Team.objects.create(name=name)
    Membership.objects.create(team=team, user=owner, role=Membership.Role.ADMIN)
    User.objects.filter(pk=owner.pk).update(current_team=team)
    owner.current_team = team
    audit.record("team.create", actor=actor or owner, instance=team, team=team)
    return team


@transaction.atomic
def team_rename(*, team: Team, name: str, actor: User) -> None:
    """Give a team another name."""
    before, team.name = team.name, name
    team.save(update_fields=["name"])
    audit.record("team.rename", actor=actor, instance=team, team=team, before=before, after=name)


@transaction.atomic
def member_invite(*, team: Team, email: str, name: str, role: str, actor: User) -> Invitation:
    """Put a person into a team, making the account when there is none yet.

    Raises:
        AlreadyMember: Nothing to do.
    """
    user = User.objects.filter(email=User.objects.normalize_email(email).lower()).first()
    is_new = user is None
    if user is None:
        user = User.objects.create_user(email, name=name, current_team=team)
    elif Membership.objects.filter(team=team, user=user).exists():
        raise AlreadyMember
    elif not user.has_usable_password() and user.last_login is None:
        # Invited elsewhere and never came: whoever made that first link could open this team
        # with it. A new unusable password makes the link void.
        user.set_unusable_password()
        user.save(update_fields=["password"])
    membership = Membership.objects.create(team=team, user=user, role=role)
    audit.record(
        "member.invite", actor=actor, instance=user, team=team, role=role, new_account=is_new
    )
    return Invitation(membership, sesame.utils.get_token(user) if is_new else "")


@transaction.atomic
def member_link(*, membership: Membership, actor: User) -> str:
    """A new one-time sign-in link's token for a member who has no other team.

    Raises:
        LinkRefused: The person belongs to other teams or runs the portal: a link would open more
            than this team's admin may open.
    """
    user = membership.user
    if user.is_staff or user.is_superuser or user.memberships.exclude(pk=membership.pk).exists():
        raise LinkRefused
    audit.record("member.link", actor=actor, instance=user, team=membership.team)
    return sesame.utils.get_token(user)


@transaction.atomic
def member_set_role(*, membership: Membership, role: str, actor: User) -> None:
    """Change what a member may do.

    Raises:
        LastAdmin: Nobody could manage the team any more.
    """
    if role != Membership.Role.ADMIN:
        _check_other_admin(membership)
    before, membership.role = membership.role, Membership.Role(role)
    membership.save(update_fields=["role"])
    audit.record(
        "member.role",
        actor=actor,
        instance=membership.user,
        team=membership.team,
        before=str(before),
        after=role,
    )


@transaction.atomic
def member_remove(*, membership: Membership, actor: User) -> None:
    """Take a person out of a team; what they made stays the team's.

    Raises:
        LastAdmin: Nobody could manage the team any more.
    """
    _check_other_admin(membership)
    user, team = membership.user, membership.team
    membership.delete()
    User.objects.filter(pk=user.pk, current_team=team).update(current_team=None)
    audit.record("member.remove", actor=actor, instance=user, team=team)


@transaction.atomic
def team_switch(*, user: User, team: Team) -> None:
    """Show another of the person's teams from now on."""
    User.objects.filter(pk=user.pk).update(current_team=team)
    user.current_team = team
    audit.record("team.switch", actor=user, instance=team, team=team)


@transaction.atomic
def profile_update(*, user: User, name: str) -> None:
    """Change the name that others see."""
    before, user.name = user.name, name
    user.save(update_fields=["name"])
    audit.record(
        "profile.update",
        actor=user,
        instance=user,
        team=user.current_team,
        before=before,
        after=name,
    )


@transaction.atomic
def password_set(*, user: User, password: str) -> None:
    """Set a new password; links made before no longer work."""
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record("profile.password", actor=user, instance=user, team=user.current_team)


@transaction.atomic
def link_redeem(*, token: str) -> User | None:
    """The person a one-time link belongs to, who is now taken to have signed in; None when the
    link was used, is too old, or was never ours.

    The backend is asked directly and not through ``authenticate()``: stale links are no guesses,
    and ten of them must not lock an address out.
    """
    user: User | None = LinkBackend().authenticate(None, sesame=token)
    if user is None:
        return None
    # The token is bound to last_login: of two requests with one link, one moves it.
    moved = User.objects.filter(pk=user.pk, last_login=user.last_login).update(
        last_login=timezone.now()
    )
    if not moved:
        return None
    user.refresh_from_db()
    audit.record("link.used", actor=user, instance=user, team=user.current_team)
    return user


def _check_other_admin(membership: Membership) -> None:
    if membership.role != Membership.Role.ADMIN:
        return
    # The rows are locked, or two admins could remove each other in the same moment.
    admins = Membership.objects.select_for_update().filter(
        team=membership.team, role=Membership.Role.ADMIN
    )
    if not [row for row in admins if row.pk != membership.pk]:
        raise LastAdmin
