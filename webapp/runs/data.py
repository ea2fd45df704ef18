"""Which data a method learns from."""

from __future__ import annotations

from django.db.models import QuerySet

from training.methods.registry import METHODS
from webapp.accounts.models import Team
from webapp.datasets.models import DatasetVersion
from webapp.datasets.selectors import labelled, of_texts


def learnable(team: Team, method: str) -> QuerySet[DatasetVersion]:
    """The team's data that a method takes; labels must be known, texts may be on their way."""
    rows: QuerySet[DatasetVersion] = DatasetVersion.objects.filter(team=team)
    return of_texts(rows) if "text" in METHODS[method].data else labelled(rows)
