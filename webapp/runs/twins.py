"""What is said of a run and its twin: the run without its source, other targets or labels.

A run from a source is compared with the same run from random weights; one from scratch, where its
method is given more than it could do without, with the same run without that.
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
        key: ``scratch``, ``single`` or ``unlabelled``.
        run: What the run is called beside its twin.
        twin: What the twin is called.
        question: What the two are there to answer.
        best_run: The run's best value.
        best_twin: The twin's.
        pending: While they have not both ended.
        suffix: Of the twin's name, after the run's.
        offer: Asks whether there is to be a twin.
        why: What it is good for.
        takes: How long it takes.
    """

    key: str
    run: Words
    twin: Words
    question: Words
    best_run: Words
    best_twin: Words
    pending: Words
    suffix: Words
    offer: Words
    why: Words
    takes: Words


SCRATCH = Pair(
    key="scratch",
    run=_("transfer"),
    twin=_("scratch twin"),
    question=_("Was the transfer worth it?"),
    best_run=_("Best of the transfer"),
    best_twin=_("Best of the scratch twin"),
    pending=_("The comparison with the scratch twin stands here as soon as both have ended."),
    suffix=_("%(run)s · scratch twin"),
    offer=_("Also train a scratch twin"),
    why=_(
        "The same data, inputs, seed and steps, but random weights at the start: only against it "
        "can the report say whether the transfer was worth it."
    ),
    takes=_("The scratch twin takes about as long again."),
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
    offer=_("Also train a single-task twin"),
    why=_(
        "The same data, network, seed and steps, but the main target alone: only against it can "
        "the report say what the other targets gave, or whether they hurt. Without other targets "
        "there is none."
    ),
    takes=_("The single-task twin takes about as long again."),
)
UNLABELLED = Pair(
    key="unlabelled",
    run=_("with labels"),
    twin=_("twin without labels"),
    question=_("Did the labels help?"),
    best_run=_("Best with labels"),
    best_twin=_("Best of the twin without labels"),
    pending=_(
        "The comparison with the twin without labels stands here as soon as both have ended."
    ),
    suffix=_("%(run)s · without labels"),
    offer=_("Also train a twin without labels"),
    why=_(
        "The same texts, model, seed and steps, but no labels: only against it can the report say "
        "whether the labels helped."
    ),
    takes=_("The twin without labels takes about as long again."),
)
#: Method → the words for a run from scratch and its twin, where it can have one.
WITHOUT_SOURCE = {"multi_task": SINGLE, "conditional_lm": UNLABELLED}


def without_source(method: str) -> Pair:
    """The words for a run from scratch and its twin, as its method has them."""
    return WITHOUT_SOURCE.get(method, SINGLE)


def pair_of(run: Run) -> Pair:
    """Which of them a run and its twin are, or would be."""
    return SCRATCH if (run.twin_of or run).is_transfer else without_source(run.method)
