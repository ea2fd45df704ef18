"""What the services refuse, each with the sentence that the person reads."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _


class AccountError(Exception):
    """Base: ``message`` is the translated sentence."""

    message: Any = ""


class LastAdmin(AccountError):
    message = _("A team needs at least one admin. Make somebody else an admin first.")


class AlreadyMember(AccountError):
    message = _("This person is already in the team.")


class LinkRefused(AccountError):
    message = _(
        "This person has an account of their own beyond this team, so only they can open it. "
        "Ask them to sign in with their password."
    )
