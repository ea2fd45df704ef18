"""What a button does with a job, on pages that show how far the job has got."""

from __future__ import annotations

from typing import Protocol

from django.contrib import messages
from django.utils.translation import gettext

from webapp.accounts.models import User
from webapp.accounts.permissions import check_can_edit
from webapp.htmx import PortalRequest
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.models import Job


class Action(Protocol):
    """A service of :mod:`webapp.jobs.services`."""

    def __call__(self, *, job: Job, actor: User | None) -> object: ...


def act(request: PortalRequest, job: Job, action: Action) -> None:
    """Cancel a job or try it again; when it is past that already, the person is told.

    Raises:
        PermissionDenied: They may only look.
    """
    check_can_edit(request.user, job)
    try:
        action(job=job, actor=request.user)
    except IllegalTransition:
        messages.info(request, gettext("It has changed in the meantime; this is how it stands."))
