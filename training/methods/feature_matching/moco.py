"""MoCo: a view is matched with the other among a queue of keys that a momentum encoder made [0].

    loss = −log( exp(q·k₊ / T) / ( exp(q·k₊ / T) + Σ_{k in the queue} exp(q·k / T) ) )

That is InfoNCE [1]; q is made by the encoder, k₊ and the queue by one that follows it,
θ_k ← m θ_k + (1 − m) θ_q. The queue has many negatives however small the batch. Version 2 [2] has
a projector of two layers and a higher temperature.

- [0] He et al., 2020, https://arxiv.org/abs/1911.05722
- [1] van den Oord et al., 2018, https://arxiv.org/abs/1807.03748
- [2] Chen et al., 2020, "Improved Baselines with Momentum Contrastive Learning",
  https://arxiv.org/abs/2003.04297

Details people get wrong: keys enter the queue after the loss is computed, or each would be its own
negative; the queue is a multiple of the batch, and much shorter than the data, or an image's own
keys are among its negatives; parameters are averaged and not running statistics; batch norms tell a
query which batch its key was in, and the loss falls without anything learned. The paper shuffles
keys between graphics cards, each of which normalises its own part; here the batch is cut into
``norm_parts``, and the keys are shuffled before.

``docs/methods/moco.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from training.errors import gettext_noop as _
from training.methods.contract import LoopMethod
from training.settings import Settings, field_error
from training.siamese.method import siamese_method
from training.siamese.mlp import Layer
from training.siamese.settings import PROJECTOR, Hidden, Projection, SiameseSpec, Temperature


class MoCoObjective(Settings):
    """What is minimised."""

    variant: Literal["v1", "v2"] = Field(
        "v2",
        title=_("Version of MoCo"),
        description=_(
            "Version 1 compares after one linear layer, version 2 after two; the temperature was "
            "0.07 and 0.2."
        ),
    )
    temperature: Temperature = 0.2
    hidden: Hidden = 512
    projection: Projection = 128
    queue: int = Field(
        1024,
        ge=2,
        le=1_000_000,
        title=_("Length of the queue"),
        description=_(
            "Keys of earlier batches that are negatives; a multiple of the batch size, and a "
            "fraction of the images: an image's own earlier keys would be its negatives too."
        ),
    )
    momentum: float = Field(
        0.99,
        ge=0,
        lt=1,
        title=_("Momentum of the key encoder"),
        description=_(
            "How much it keeps at each step: 0.99 for some hundred or thousand steps, 0.999 for "
            "more."
        ),
    )
    norm_parts: int = Field(
        4,
        ge=1,
        le=64,
        title=_("Parts of a batch for batch norms"),
        description=_(
            "Each part is normalised by itself and keys are shuffled before, so that no statistics "
            "tell which key belongs to which query. 1: all together."
        ),
    )


class MoCoSpec(SiameseSpec):
    """One run, complete; see :class:`training.siamese.settings.SiameseSpec`."""

    method: Literal["moco"] = "moco"
    objective: MoCoObjective = Field(default_factory=MoCoObjective)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        batch = self.training.batch_size
        if self.objective.queue % batch:
            raise field_error("queue_not_multiple", "objective.queue", batch=batch)
        parts = self.objective.norm_parts * self.devices.count
        if batch % parts or batch // parts < 2:
            raise field_error("parts_do_not_divide", "objective.norm_parts", batch=batch)
        return self

    @property
    def has_momentum(self) -> bool:
        return True

    @property
    def queue_shape(self) -> tuple[int, int]:
        return self.objective.queue, self.objective.projection

    def mlps(self, width: int) -> dict[str, tuple[int, list[Layer]]]:
        """The projector, of one or two layers, without batch norms."""
        objective = self.objective
        layers = [Layer(objective.projection)]
        if objective.variant == "v2":
            layers = [Layer(objective.hidden, relu=True), *layers]
        return {PROJECTOR: (width, layers)}


def _task(*parts: Any) -> Any:
    from training.methods.feature_matching.moco_task import MoCoTask

    return MoCoTask(*parts)


METHOD: Final[LoopMethod] = siamese_method(
    name="moco",
    family="feature_matching",
    title=_("MoCo"),
    summary=_(
        "Learn features of images without labels: a view is matched with the other of the same "
        "image among thousands in a queue (InfoNCE)."
    ),
    settings=MoCoSpec,
    task=_task,
)
