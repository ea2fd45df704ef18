"""What is said of a run and its twin: the run without its source, or without the other targets.

A run from a source is compared with the same run from random weights; one from scratch, where its
method learns other things beside its main task, with the same run on that task alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webapp.runs.models import Run

Words = str | Promise


@dataclass(frozen=True)
class Pair:
    """The words for the two.

    Attributes:
        key: ``scratch`` or ``single``.
        run: What the run is called beside its twin.
        twin: What the twin is called.
        question: What the two are there to answer.
        best_run: The run's best value.
        best_twin: The twin's.
        pending: While they have not both ended.
        suffix: Of the twin's name, after the run's.
    """

    key: str
    run: Words
    twin: Words
    question: Words
    best_run: Words
    best_twin: Words
    pending: Words
    suffix: Words


SCRATCH = Pair(
    key="scratch",
    run=_("transfer"),
    twin=_("scratch twin"),
    question=_("Was the transfer worth it?"),
    best_run=_("Best of the transfer"),
    best_twin=_("Best of the scratch twin"),
    pending=_("The comparison with the scratch twin stands here as soon as both have ended."),
    suffix=_("%(run)s · scratch twin"),
)
SINGLE = Pair(
    key="single",
    run=_("several targets"),
    twin=_("single-task twin"),
    question=_("Did the other targets help?"),
    best_run=_("Best with several targets"),
    best_twin=_("Best of the single-task twin"),
    pending=_("The comparison with the single-task twin stands here as soon as both have ended."),
    suffix=_("%(run)s · main target alone"),
)


def pair_of(run: Run) -> Pair:
    """Which of the two a run and its twin are, or would be."""
    return SCRATCH if (run.twin_of or run).is_transfer else SINGLE
