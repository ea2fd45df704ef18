"""Which data a method learns from."""

from __future__ import annotations

from django.db.models import QuerySet

from training.methods.registry import METHODS
from webapp.accounts.models import Team
from webapp.datasets.models import DatasetVersion
from webapp.datasets.selectors import labelled, numbered, of_images, of_texts, tagged
from webapp.runs.tables import with_classes, with_targets

#: Kinds of data that need no labels, or have them in a column.
CHOSEN = {"text": of_texts, "image": of_images, "table": with_classes}
#: Begins what a method calls data whose labels it needs.
LABELLED = "labelled_"
#: Methods that take more of a kind than the others do, or something else.
WIDER = {"multi_task": with_targets, "regression": numbered, "token_classification": tagged}


def learnable(team: Team, method: str) -> QuerySet[DatasetVersion]:
    """The team's data that a method takes; labels must be known, what needs none may be on its
    way."""
    rows: QuerySet[DatasetVersion] = DatasetVersion.objects.filter(team=team)
    if method in WIDER:
        return WIDER[method](rows)
    for kind, chosen in CHOSEN.items():
        if kind in METHODS[method].data:
            return chosen(rows)
    kinds = [kind.removeprefix(LABELLED) for kind in METHODS[method].data]
    return labelled(rows, kinds)
