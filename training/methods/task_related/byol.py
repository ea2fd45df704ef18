"""BYOL: one view predicts what a slowly following network makes of the other; no negatives [0].

    loss = ‖q(z) / ‖q(z)‖ − z′ / ‖z′‖‖²        z = g(f(x)), z′ = g′(f′(x′))

summed over both directions; f and g are the online backbone and projector, q its predictor; the
target f′, g′ gets no gradient and follows after each step, θ′ ← m θ′ + (1 − m) θ, m rising from its
start to 1 by a cosine.

- [0] Grill et al., 2020, "Bootstrap Your Own Latent", https://arxiv.org/abs/2006.07733

Details people get wrong: only the online side has a predictor; the loss is symmetric; no gradient
flows into the target; the target's parameters are averaged and not its running statistics; a run of
a few hundred steps needs a target that follows faster than the paper's 0.996.

``docs/methods/byol.md`` has the commands and the figures that this rests on.
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


class BYOLObjective(Settings):
    """What is minimised."""

    momentum: float = Field(
        0.9,
        ge=0,
        lt=1,
        title=_("Momentum of the target"),
        description=_(
            "How much the target keeps at each step, at first; it rises to 1. 0.9 for some hundred "
            "steps, 0.99 for some thousand, 0.996 for tens of thousands."
        ),
    )
    hidden: Hidden = 512
    projection: Projection = 128
    predictor: bool = Field(
        True,
        title=_("Predictor"),
        description=_("Without it the features collapse; off is there to see that happen."),
    )
    stop_gradient: StopGradient = True


class BYOLSpec(SiameseSpec):
    """One run, complete; see :class:`training.siamese.settings.SiameseSpec`."""

    method: Literal["byol"] = "byol"
    objective: BYOLObjective = Field(default_factory=BYOLObjective)

    @property
    def has_momentum(self) -> bool:
        # Where gradients flow into the target, it is the online network itself.
        return self.objective.stop_gradient

    def mlps(self, width: int) -> dict[str, tuple[int, list[Layer]]]:
        """Projector g and predictor q, of the same shape."""
        objective = self.objective
        layers = [Layer(objective.hidden, norm="affine", relu=True), Layer(objective.projection)]
        found = {PROJECTOR: (width, layers)}
        if objective.predictor:
            found[PREDICTOR] = (objective.projection, layers)
        return found


def _task(*parts: Any) -> Any:
    from training.methods.task_related.byol_task import BYOLTask

    return BYOLTask(*parts)


METHOD: Final[LoopMethod] = siamese_method(
    name="byol",
    family="task_related",
    title=_("BYOL"),
    summary=_(
        "Improve an image network without labels or negatives: one view of an image predicts what "
        "a slowly following network makes of the other."
    ),
    settings=BYOLSpec,
    task=_task,
)
