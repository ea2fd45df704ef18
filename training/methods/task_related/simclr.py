"""SimCLR: two views of an image are told from all other images of the batch [0].

    ℓ(i, j) = −log( exp(s_ij / T) / Σ_{k ≠ i} exp(s_ik / T) )        s: cosine of the projections

averaged over both directions of each pair; z = g(f(x)), f the backbone, g a projector of two layers
that is dropped afterwards: what is carried over is f.

- [0] Chen et al., 2020, https://arxiv.org/abs/2002.05709

Details people get wrong: the 2N − 2 negatives include those of the same view; a larger batch has
more of them, and so has accumulation not; the features before the projector are the ones to use.

``docs/methods/simclr.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from training.errors import gettext_noop as _
from training.methods.contract import LoopMethod
from training.settings import Settings
from training.siamese.method import siamese_method
from training.siamese.mlp import Layer
from training.siamese.settings import PROJECTOR, Hidden, Projection, SiameseSpec, Temperature


class SimCLRObjective(Settings):
    """What is minimised."""

    temperature: Temperature = 0.2
    hidden: Hidden = 512
    projection: Projection = 128


class SimCLRSpec(SiameseSpec):
    """One run, complete; see :class:`training.siamese.settings.SiameseSpec`."""

    method: Literal["simclr"] = "simclr"
    objective: SimCLRObjective = Field(default_factory=SimCLRObjective)

    def mlps(self, width: int) -> dict[str, tuple[int, list[Layer]]]:
        """The projector g."""
        hidden = Layer(self.objective.hidden, norm="affine", relu=True)
        return {PROJECTOR: (width, [hidden, Layer(self.objective.projection)])}


def _task(*parts: Any) -> Any:
    from training.methods.task_related.simclr_task import SimCLRTask

    return SimCLRTask(*parts)


METHOD: Final[LoopMethod] = siamese_method(
    name="simclr",
    family="task_related",
    title=_("SimCLR"),
    summary=_(
        "Improve an image network without labels: two views of an image are told from all other "
        "images of a large batch."
    ),
    settings=SimCLRSpec,
    task=_task,
)
