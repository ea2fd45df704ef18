"""What the start page shows of a team's work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.datasets import selectors as datasets
from webapp.jobs.models import LIVE, State
from webapp.runs.models import Run

SHOWN = 6


@dataclass(frozen=True)
class Overview:
    """A team's newest work.

    Attributes:
        live: Runs that wait, run or are paused.
        ended: Runs that ended last.
        data: Rows of datasets with their newest versions.
        checkpoints: The newest.
        steps: ``data``, ``pretrain``, ``transfer``: which of the first three steps are done.
    """

    live: list[Run]
    ended: list[Run]
    data: list[datasets.Row]
    checkpoints: list[Checkpoint]
    steps: dict[str, bool]

    @property
    def is_new(self) -> bool:
        """Whether the team has yet to do one of the first three steps."""
        return not all(self.steps.values())


def live_runs(user: User, team: Team) -> list[Run]:
    """Runs that a person may want to watch, newest first."""
    rows = Run.objects.for_user(user).filter(team=team, job__state__in=[*LIVE, State.PAUSED])
    return list(_shown(rows).order_by("-created_at")[: 2 * SHOWN])


def overview(user: User, team: Team) -> Overview:
    """The start page's content: six queries whatever the team has."""
    runs = Run.objects.for_user(user).filter(team=team)
    ended = _shown(runs.exclude(job__state__in=[*LIVE, State.PAUSED]))
    live = live_runs(user, team)
    ended_runs = list(ended.order_by("-job__finished_at", "-created_at")[:SHOWN])
    data = datasets.with_newest(datasets.dataset_list(user, team).order_by("-created_at")[:SHOWN])
    checkpoints = list(
        Checkpoint.objects.for_user(user)
        .filter(team=team)
        .defer("tensors", "card", "manifest")
        .order_by("-created_at")[:SHOWN]
    )
    transfers = runs.filter(
        Q(source_checkpoint__isnull=False) | Q(source_run__isnull=False),
        job__state=State.SUCCEEDED,
    )
    steps = {
        "data": any(row.version is not None and row.version.is_ready for row in data),
        "pretrain": bool(checkpoints),
        "transfer": transfers.exists(),
    }
    return Overview(live, ended_runs, data, checkpoints, steps)


def _shown(runs: Any) -> Any:
    version = "dataset_version"
    return runs.select_related("job", "dataset_version__dataset").defer(
        "job__spec", f"{version}__manifest", f"{version}__summary", f"{version}__preview"
    )
