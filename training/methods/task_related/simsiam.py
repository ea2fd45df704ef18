"""SimSiam: one view predicts the other, by one and the same network, with a stop-gradient [0].

    loss = −cos(h(z₁), z₂) / 2 − cos(h(z₂), z₁) / 2        z = g(f(x))

with no gradient into the right side of each; f is the backbone, g a projector of three layers, h a
predictor of two, narrow in the middle.

- [0] Chen and He, 2021, https://arxiv.org/abs/2011.10566

Details people get wrong: the projector ends in a batch norm without scale and shift; the predictor
ends without any; the predictor's learning rate stays constant while the others' falls.

``docs/methods/simsiam.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from training.errors import gettext_noop as _
from training.methods.contract import LoopMethod
from training.settings import Settings
from training.siamese.method import siamese_method
from training.siamese.mlp import Layer
from training.siamese.settings import (
    PREDICTOR,
    PROJECTOR,
    Hidden,
    Projection,
    SiameseSpec,
    StopGradient,
)


class SimSiamObjective(Settings):
    """What is minimised."""

    hidden: Hidden = 512
    projection: Projection = 512
    bottleneck: int = Field(
        128,
        ge=8,
        le=16_384,
        title=_("Width of the predictor's middle"),
        description=_("A quarter of the projection in the paper."),
    )
    stop_gradient: StopGradient = True


class SimSiamSpec(SiameseSpec):
    """One run, complete; see :class:`training.siamese.settings.SiameseSpec`."""

    method: Literal["simsiam"] = "simsiam"
    objective: SimSiamObjective = Field(default_factory=SimSiamObjective)

    def mlps(self, width: int) -> dict[str, tuple[int, list[Layer]]]:
        """Projector g and predictor h."""
        objective = self.objective
        hidden = Layer(objective.hidden, norm="affine", relu=True)
        middle = Layer(objective.bottleneck, norm="affine", relu=True)
        return {
            PROJECTOR: (width, [hidden, hidden, Layer(objective.projection, norm="plain")]),
            PREDICTOR: (objective.projection, [middle, Layer(objective.projection)]),
        }


def _task(*parts: Any) -> Any:
    from training.methods.task_related.simsiam_task import SimSiamTask

    return SimSiamTask(*parts)


METHOD: Final[LoopMethod] = siamese_method(
    name="simsiam",
    family="task_related",
    title=_("SimSiam"),
    summary=_(
        "Improve an image network without labels, negatives or a second network: one view of an "
        "image predicts the other."
    ),
    settings=SimSiamSpec,
    task=_task,
)
