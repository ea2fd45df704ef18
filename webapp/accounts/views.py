"""Signing in and out, one's profile, one's team."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts import permissions, selectors, services
from webapp.accounts.errors import AccountError
from webapp.accounts.forms import (
    InviteForm,
    PasswordForm,
    ProfileForm,
    RoleForm,
    SignInForm,
    TeamForm,
)
from webapp.accounts.models import Membership, Team
from webapp.htmx import PortalRequest
from webapp.paging import page_of

#: Where a fresh link waits between the POST that made it and the page that shows it once.
LINK_KEY = "fresh_link"


def _next(request: HttpRequest) -> str:
    """Where to go after signing in: a path of this portal, else the start page."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return target
    return resolve_url("home")


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(_next(request))
    form = SignInForm(request.POST or None, request=request)
    if request.method == "POST" and form.is_valid() and form.user is not None:
        login(request, form.user)
        return redirect(_next(request))
    return render(
        request,
        "accounts/sign_in.html",
        {"form": form, "next": request.POST.get("next") or request.GET.get("next") or ""},
    )


@login_not_required
@never_cache
@require_GET
def sign_in_link(request: HttpRequest) -> HttpResponse:
    """Sign in by a link that works once. A used one is no fault of whoever is signed in already."""
    user = services.link_redeem(token=request.GET.get("token", ""))
    if user is not None:
        login(request, user, backend="sesame.backends.ModelBackend")
        return redirect(_next(request))
    if request.user.is_authenticated:
        return redirect(_next(request))
    return render(request, "accounts/link_refused.html", {"next": _next(request)}, status=403)


@require_POST
def sign_out(request: PortalRequest) -> HttpResponse:
    logout(request)
    messages.success(request, _("You are signed out."))
    return redirect("accounts:sign_in")


@require_http_methods(["GET", "POST"])
def profile(request: PortalRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, initial={"name": request.user.name})
    if request.method == "POST" and form.is_valid():
        services.profile_update(user=request.user, name=form.cleaned_data["name"])
        messages.success(request, _("Your name is changed."))
        return redirect("accounts:profile")
    context = {"form": form, "password_form": PasswordForm(user=request.user)}
    return render(request, "accounts/profile.html", context)


@sensitive_post_parameters()
@require_POST
def password(request: PortalRequest) -> HttpResponse:
    form = PasswordForm(request.POST, user=request.user)
    if form.is_valid():
        services.password_set(user=request.user, password=form.cleaned_data["new_password"])
        update_session_auth_hash(request, request.user)
        messages.success(request, _("Your password is changed. Other devices are signed out."))
        return redirect("accounts:profile")
    context = {"form": ProfileForm(initial={"name": request.user.name}), "password_form": form}
    return render(request, "accounts/profile.html", context, status=422)


@never_cache
@require_GET
def team(request: PortalRequest) -> HttpResponse:
    return _team_page(request, InviteForm())


def _team_page(request: PortalRequest, invite: InviteForm, status: int = 200) -> HttpResponse:
    members = list(selectors.members_of(request.team)) if request.team else []
    own = next((row for row in members if row.user_id == request.user.pk), None)
    link = request.session.pop(LINK_KEY, None)
    return render(
        request,
        "accounts/team.html",
        {
            "members": members,
            "is_admin": own is not None and own.role == Membership.Role.ADMIN,
            "roles": Membership.Role.choices,
            "teams": selectors.teams_of(request.user),
            "form": invite,
            "fresh_link": link,
        },
        status=status,
    )


def _managed(request: PortalRequest) -> Team:
    """The current team, for its admins only."""
    permissions.check_can_manage(request.user, request.team)
    if request.team is None:
        raise PermissionDenied
    return request.team


def _membership(request: PortalRequest, pk: int) -> Membership:
    """A membership of the current team; of another team: 404 before any question of role."""
    rows = selectors.memberships_managed_by(request.user, request.team)
    membership = get_object_or_404(rows, pk=pk)
    permissions.check_can_manage(request.user, membership.team)
    return membership


@require_POST
def team_rename(request: PortalRequest) -> HttpResponse:
    team = _managed(request)
    form = TeamForm(request.POST)
    if form.is_valid():
        services.team_rename(team=team, name=form.cleaned_data["name"], actor=request.user)
        messages.success(request, _("The team is renamed."))
    else:
        messages.error(request, _("A team needs a name of at most 100 characters."))
    return redirect("accounts:team")


@require_POST
def team_switch(request: PortalRequest) -> HttpResponse:
    chosen = request.POST.get("team", "")
    if not (chosen.isascii() and chosen.isdigit()):
        raise Http404
    team = get_object_or_404(selectors.teams_of(request.user), pk=chosen)
    services.team_switch(user=request.user, team=team)
    return redirect("home")


@require_POST
def member_invite(request: PortalRequest) -> HttpResponse:
    team = _managed(request)
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            invitation = services.member_invite(team=team, actor=request.user, **form.cleaned_data)
        except AccountError as error:
            form.add_error("email", str(error.message))
        else:
            _announce(request, invitation)
            return redirect("accounts:team")
    return _team_page(request, form, status=422)


def _announce(request: PortalRequest, invitation: services.Invitation) -> None:
    person = str(invitation.membership.user)
    if invitation.link_token:
        _keep_link(request, person, invitation.link_token)
        messages.success(request, _("%(person)s is in the team.") % {"person": person})
    else:
        messages.success(
            request,
            _("%(person)s is in the team and signs in as before.") % {"person": person},
        )


def _keep_link(request: PortalRequest, person: str, token: str) -> None:
    address = request.build_absolute_uri(reverse("accounts:sign_in_link"))
    request.session[LINK_KEY] = {"person": person, "url": f"{address}?token={token}"}


@require_POST
def member_role(request: PortalRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    form = RoleForm(request.POST)
    if form.is_valid():
        try:
            services.member_set_role(
                membership=membership, role=form.cleaned_data["role"], actor=request.user
            )
            messages.success(request, _("The role is changed."))
        except AccountError as error:
            messages.error(request, str(error.message))
    return redirect("accounts:team")


@require_POST
def member_link(request: PortalRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    try:
        token = services.member_link(membership=membership, actor=request.user)
        _keep_link(request, str(membership.user), token)
    except AccountError as error:
        messages.error(request, str(error.message))
    return redirect("accounts:team")


@require_POST
def member_remove(request: PortalRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    try:
        services.member_remove(membership=membership, actor=request.user)
        messages.success(
            request, _("%(person)s is no longer in the team.") % {"person": membership.user}
        )
    except AccountError as error:
        messages.error(request, str(error.message))
    return redirect("accounts:team")


@require_GET
def audit_trail(request: PortalRequest) -> HttpResponse:
    team = _managed(request)
    page = page_of(
        selectors.audit_trail(team),
        key="id",
        descending=True,
        cursor=request.GET.get("cursor", ""),
        size=50,
    )
    return render(request, "accounts/audit_trail.html", {"page": page})
