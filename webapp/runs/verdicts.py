"""Whether a transfer was worth it, in a plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _


@dataclass(frozen=True)
class Verdict:
    """Transfer against scratch twin.

    Attributes:
        kind: ``helped``, ``hurt`` or ``same``.
        sentence: For people, in their language.
        transfer_loss: Best validation loss of the transfer.
        transfer_step: Where it was.
        twin_loss: Best of the twin.
        twin_step: Where that was.
        reached_step: First step at which the transfer was at the twin's best or below; None: never.
        share: ``reached_step`` as a share of ``twin_step``.
    """

    kind: str
    sentence: str
    transfer_loss: float
    transfer_step: int
    twin_loss: float
    twin_step: int
    reached_step: int | None
    share: float | None

    @property
    def percent(self) -> int | None:
        return None if self.share is None else round(100 * self.share)


def verdict(comparison: Mapping[str, Any]) -> Verdict | None:
    """The outcome written on a transfer's row; None while there is none."""
    if not comparison:
        return None
    transfer, twin = comparison["transfer"], comparison["twin"]
    return Verdict(
        kind=comparison["verdict"],
        sentence=_sentence(comparison),
        transfer_loss=transfer["validation_loss"],
        transfer_step=transfer["step"],
        twin_loss=twin["validation_loss"],
        twin_step=twin["step"],
        reached_step=comparison["reached_step"],
        share=comparison["share"],
    )


def _sentence(comparison: Mapping[str, Any]) -> str:
    reached, share = comparison["reached_step"], comparison["share"]
    values = {
        "twin_loss": f"{comparison['twin']['validation_loss']:.3f}",
        "twin_step": comparison["twin"]["step"],
        "loss": f"{comparison['transfer']['validation_loss']:.3f}",
        "reached": reached,
        "percent": None if share is None else round(100 * share),
    }
    match comparison["verdict"]:
        case "helped" if reached == 0:
            text = _(
                "The transfer helped: before its first step it was already better than the best "
                "that training from scratch came to (%(twin_loss)s), and it ended at %(loss)s."
            )
        case "helped" if reached is not None:
            text = _(
                "The transfer helped: it reached the scratch twin's best validation loss "
                "(%(twin_loss)s) at step %(reached)s, where training from scratch needed "
                "%(twin_step)s steps. That is %(percent)s%% of the steps. Its own best is %(loss)s."
            )
        case "hurt":
            text = _(
                "The transfer hurt: its best validation loss is %(loss)s, and the scratch twin, "
                "with the same data and steps, came to %(twin_loss)s."
            )
        case _:
            text = _(
                "The transfer made no difference worth naming: its best validation loss is "
                "%(loss)s, the scratch twin's %(twin_loss)s."
            )
    return text % values
