"""Whether a transfer was worth it, or several targets or labels, in a plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from webapp.runs.twins import SCRATCH, Pair


@dataclass(frozen=True)
class Verdict:
    """A run against its twin: a transfer and the same from scratch, unless something else is said.

    Attributes:
        kind: ``helped``, ``hurt`` or ``same``.
        sentence: For people, in their language.
        measure: The metric that they are judged by.
        transfer_best: Best of the transfer.
        transfer_step: Where it was.
        twin_best: Best of the twin.
        twin_step: Where that was.
        reached_step: First step at which the transfer was as good as the twin's best; None: never.
        share: ``reached_step`` as a share of ``twin_step``.
    """

    kind: str
    sentence: str
    measure: str
    transfer_best: float
    transfer_step: int
    twin_best: float
    twin_step: int
    reached_step: int | None
    share: float | None

    @property
    def percent(self) -> int | None:
        return None if self.share is None else round(100 * self.share)


def verdict(comparison: Mapping[str, Any], pair: Pair = SCRATCH) -> Verdict | None:
    """The outcome written on a run's row; None while there is none."""
    if not comparison:
        return None
    transfer, twin = comparison["transfer"], comparison["twin"]
    # Comparisons that were written before there was more than one measure name none.
    measure = comparison.get("measure", "validation_loss")
    return Verdict(
        kind=comparison["verdict"],
        sentence=_sentence(comparison, SENTENCES[pair.key][measure], measure),
        measure=measure,
        transfer_best=transfer[measure],
        transfer_step=transfer["step"],
        twin_best=twin[measure],
        twin_step=twin["step"],
        reached_step=comparison["reached_step"],
        share=comparison["share"],
    )


def _sentence(comparison: Mapping[str, Any], sentences: Mapping[str, str], measure: str) -> str:
    reached, share = comparison["reached_step"], comparison["share"]
    values = {
        "twin_best": f"{comparison['twin'][measure]:.3f}",
        "twin_step": comparison["twin"]["step"],
        "best": f"{comparison['transfer'][measure]:.3f}",
        "reached": reached,
        "percent": None if share is None else round(100 * share),
    }
    match comparison["verdict"]:
        case "helped" if reached == 0:
            outcome = "helped_at_once"
        case "helped" if reached is not None:
            outcome = "helped"
        case "hurt":
            outcome = "hurt"
        case _:
            outcome = "same"
    return _(sentences[outcome]) % values


#: Measure → outcome → the sentence.
_SCRATCH: dict[str, dict[str, str]] = {
    "validation_loss": {
        "helped_at_once": gettext_noop(
            "The transfer helped: before its first step it was already better than the best "
            "that training from scratch came to (%(twin_best)s), and it ended at %(best)s."
        ),
        "helped": gettext_noop(
            "The transfer helped: it reached the scratch twin's best validation loss "
            "(%(twin_best)s) at step %(reached)s, where training from scratch needed "
            "%(twin_step)s steps. That is %(percent)s%% of the steps. Its own best is %(best)s."
        ),
        "hurt": gettext_noop(
            "The transfer hurt: its best validation loss is %(best)s, and the scratch twin, "
            "with the same data and steps, came to %(twin_best)s."
        ),
        "same": gettext_noop(
            "The transfer made no difference worth naming: its best validation loss is "
            "%(best)s, the scratch twin's %(twin_best)s."
        ),
    },
    "validation_frechet": {
        "helped_at_once": gettext_noop(
            "The transfer helped: before its first step the images that it made already lay as "
            "near to real ones as training from scratch came to (%(twin_best)s), and at best at "
            "%(best)s."
        ),
        "helped": gettext_noop(
            "The transfer helped: the images that it made lay as near to real ones as at the "
            "scratch twin's best (%(twin_best)s) at step %(reached)s, where training from scratch "
            "needed %(twin_step)s steps. That is %(percent)s%% of the steps. Its own best is "
            "%(best)s."
        ),
        "hurt": gettext_noop(
            "The transfer hurt: the images that it made lay %(best)s from real ones at best, and "
            "the scratch twin's, with the same data and steps, %(twin_best)s."
        ),
        "same": gettext_noop(
            "The transfer made no difference worth naming: the images that it made lay %(best)s "
            "from real ones at best, the scratch twin's %(twin_best)s."
        ),
    },
    "validation_knn": {
        "helped_at_once": gettext_noop(
            "The transfer helped: before its first step nearest neighbours already told as many "
            "images right as training from scratch came to (%(twin_best)s), and at best "
            "%(best)s."
        ),
        "helped": gettext_noop(
            "The transfer helped: nearest neighbours told as many images right as at the scratch "
            "twin's best (%(twin_best)s) at step %(reached)s, where training from scratch needed "
            "%(twin_step)s steps. That is %(percent)s%% of the steps. Its own best is %(best)s."
        ),
        "hurt": gettext_noop(
            "The transfer hurt: nearest neighbours tell %(best)s of the images right at best, and "
            "%(twin_best)s with the scratch twin, which had the same data and steps."
        ),
        "same": gettext_noop(
            "The transfer made no difference worth naming: nearest neighbours tell %(best)s of the "
            "images right at best, and %(twin_best)s with the scratch twin."
        ),
    },
}
_SINGLE: dict[str, dict[str, str]] = {
    "validation_loss": {
        "helped_at_once": gettext_noop(
            "The other targets helped: before its first step the run was already better on the "
            "main target than training on that alone came to (%(twin_best)s), and at best it came "
            "to %(best)s."
        ),
        "helped": gettext_noop(
            "The other targets helped: on the main target the run reached the single-task twin's "
            "best validation loss (%(twin_best)s) at step %(reached)s, where training on that "
            "target alone needed %(twin_step)s steps. Its own best is %(best)s."
        ),
        "hurt": gettext_noop(
            "The other targets hurt: on the main target the best validation loss is %(best)s, and "
            "the single-task twin, with the same network, data and steps, came to %(twin_best)s. "
            "Leave them out, or give them smaller weights."
        ),
        "same": gettext_noop(
            "The other targets made no difference worth naming: on the main target the best "
            "validation loss is %(best)s, the single-task twin's %(twin_best)s."
        ),
    },
}
_UNLABELLED: dict[str, dict[str, str]] = {
    "validation_loss": {
        "helped_at_once": gettext_noop(
            "The labels helped: before its first step the run was already better than the twin "
            "without labels came to (%(twin_best)s), and at best it came to %(best)s."
        ),
        "helped": gettext_noop(
            "The labels helped: the run reached the best validation loss of the twin without "
            "labels (%(twin_best)s) at step %(reached)s, where that needed %(twin_step)s steps. "
            "Its own best is %(best)s."
        ),
        "hurt": gettext_noop(
            "The labels hurt: the best validation loss is %(best)s, and the twin without labels, "
            "with the same texts, model and steps, came to %(twin_best)s."
        ),
        "same": gettext_noop(
            "The labels made no difference worth naming: the best validation loss is %(best)s with "
            "them, and %(twin_best)s without."
        ),
    },
}
#: Kind of twin → measure → outcome → the sentence.
SENTENCES = {"scratch": _SCRATCH, "single": _SINGLE, "unlabelled": _UNLABELLED}
