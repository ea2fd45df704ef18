"""Reads for the playground."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet
from django.http import Http404

from webapp.accounts.models import Team, User
from webapp.jobs.models import State
from webapp.jobs.selectors import error_sentence
from webapp.playground.models import Generation

HISTORY = 15


@dataclass(frozen=True)
class Past:
    """A group of requests in the history."""

    group: uuid.UUID
    at: datetime
    generations: list[Generation]

    @property
    def first(self) -> Generation:
        return self.generations[0]


@dataclass(frozen=True)
class Answer:
    """One checkpoint's text as the page shows it.

    Attributes:
        generation: The row.
        error: Why it failed, in the reader's language; empty when it did not.
        rate: Tokens a second, None before the first.
        is_loading: Whether the model is being loaded: running, and no token yet.
    """

    generation: Generation
    error: str
    rate: float | None
    is_loading: bool


def _rows(user: User) -> QuerySet[Generation]:
    rows: QuerySet[Generation] = Generation.objects.for_user(user)
    return rows.select_related("checkpoint", "job", "owner", "team").defer(
        "checkpoint__card", "checkpoint__manifest", "checkpoint__tensors", "job__report"
    )


def group(*, user: User, group: uuid.UUID) -> list[Generation]:
    """The requests started together, in their order.

    Raises:
        Http404: There are none that this person may see.
    """
    found = list(_rows(user).filter(group=group).order_by("created_at", "pk"))
    if not found:
        raise Http404
    return found


def answers(generations: list[Generation]) -> list[Answer]:
    """What to show of each."""
    return [
        Answer(
            generation,
            error_sentence(generation.job),
            generation.tokens / generation.seconds if generation.seconds else None,
            generation.job.state == State.RUNNING and not generation.tokens,
        )
        for generation in generations
    ]


def progress_mark(generations: list[Generation]) -> str:
    """Changes whenever there is something new to show."""
    return "-".join(
        f"{generation.job.state[:2]}{generation.job.requested[:1]}{generation.tokens}"
        for generation in generations
    )


def history(*, user: User, team: Team | None, before: datetime | None = None) -> list[Past]:
    """The team's last requests by group, the newest first; two queries."""
    groups = Generation.objects.for_user(user).filter(team=team)
    found = groups.values("group").annotate(at=Max("created_at")).order_by("-at", "group")
    if before is not None:
        found = found.filter(at__lt=before)
    times: dict[Any, datetime] = {row["group"]: row["at"] for row in found[:HISTORY]}
    members: dict[Any, list[Generation]] = {}
    for generation in _rows(user).filter(group__in=times).order_by("created_at", "pk"):
        members.setdefault(generation.group, []).append(generation)
    return [Past(key, at, members[key]) for key, at in times.items() if key in members]
