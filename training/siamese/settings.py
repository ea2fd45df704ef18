"""The parts of a spec that every method on two views has. Light."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from training.backbones.contract import BackboneConfig
from training.backbones.registry import AnyConfig
from training.data.pixels import ImageNormalisation, ImagePx
from training.errors import gettext_noop as _
from training.estimate import Estimate, estimate_examples
from training.settings import Settings, field_error
from training.siamese.mlp import Layer, mlp_tensors
from training.spec import (
    SPEC_VERSION,
    BatchSize,
    DataSpec,
    DeviceSpec,
    LookEvery,
    LookSpec,
    OptimisationSpec,
    Seed,
    SourceSpec,
    WeightDecay,
)

#: Prefixes of what a run trains beside the backbone, and of what follows it.
PROJECTOR, PREDICTOR, MOMENTUM, QUEUE = "projector", "predictor", "momentum", "queue"

Share = Annotated[float, Field(ge=0, le=1)]


class ViewsSpec(Settings):
    """How two random views of an image are made; see :mod:`training.siamese.views`."""

    image_px: ImagePx = None
    normalisation: ImageNormalisation = "auto"
    least_area: float = Field(
        0.2,
        gt=0,
        le=1,
        title=_("Smallest part that is seen"),
        description=_(
            "A view is a random part of the image, scaled to its size: at least this share of it, "
            "at most all. 0.08 for ImageNet; larger where the subject fills the image."
        ),
    )
    flip: bool = Field(
        True,
        title=_("Mirrored"),
        description=_("Half of the views; only where left and right mean the same."),
    )
    colour: float = Field(
        0.5,
        ge=0,
        le=1,
        title=_("Change of colours"),
        description=_(
            "How much brightness, contrast, saturation and hue change in four of five views; 1 for "
            "ImageNet, 0: not at all."
        ),
    )
    grey: Share = Field(
        0.2,
        title=_("Views in grey"),
        description=_("Share of the views without colours."),
    )
    blur: Share = Field(
        0.0,
        title=_("Blurred views"),
        description=_("Share of the views that are blurred; 0.5 for photographs of some size."),
    )
    #: A checkpoint whose normalisation is used, and nothing else of it. A scratch twin takes its
    #: transfer's source here, so that both are shown the same.
    checkpoint: str = ""


class SiameseTrainingSpec(OptimisationSpec):
    """How the weights are trained: large batches, and little decay."""

    batch_size: BatchSize = 256
    weight_decay: WeightDecay = 1e-4


class SiameseLookSpec(LookSpec):
    """How a run is looked at: by its loss, and by what its features are good for."""

    every: LookEvery = 50
    examples: int = Field(
        2000,
        ge=10,
        le=1_000_000,
        title=_("Images of a look"),
        description=_(
            "Most images of the training split whose features nearest neighbours and linear probe "
            "know; the report uses ten times as many. Needs labels, of which training sees none."
        ),
    )
    neighbours: int = Field(
        20,
        ge=1,
        le=200,
        title=_("Nearest neighbours"),
        description=_("How many decide on an image's class (kNN)."),
    )


#: Width of hidden layers and of what is compared.
Hidden = Annotated[
    int,
    Field(
        ge=8,
        le=16_384,
        title=_("Hidden width"),
        description=_("Of the layers between the backbone's features and what is compared."),
    ),
]
Projection = Annotated[
    int,
    Field(
        ge=8,
        le=16_384,
        title=_("Projection width"),
        description=_("Numbers that two views are compared by."),
    ),
]
Temperature = Annotated[
    float,
    Field(
        gt=0,
        le=10,
        title=_("Temperature"),
        description=_(
            "Cosines are divided by it: a low one looks at the hardest negatives, a high one at "
            "all alike."
        ),
    ),
]
StopGradient = Annotated[
    bool,
    Field(
        title=_("Stop-gradient"),
        description=_(
            "No gradient flows into the target. Without it the features collapse; off is there to "
            "see that happen."
        ),
    ),
]


class SiameseSpec(Settings, ABC):
    """One run, complete: two processes given equal specs produce equal curves on a CPU.

    A method's own has a ``method`` and an ``objective``.
    """

    version: Any = SPEC_VERSION
    method: str
    seed: Seed = 0
    data: DataSpec
    views: ViewsSpec = Field(default_factory=ViewsSpec)
    objective: Any
    #: Its classes are left out. With a source and no model, the source's own is used.
    model: AnyConfig | None = None
    source: SourceSpec | None = None
    training: SiameseTrainingSpec = Field(default_factory=SiameseTrainingSpec)
    evaluation: SiameseLookSpec = Field(default_factory=SiameseLookSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.model is None and self.source is None:
            raise field_error("model_missing", "model")
        if self.training.batch_size < 2 * self.devices.count:
            raise field_error("batch_of_one", "training.batch_size")
        if self.training.batch_size % self.devices.count:
            raise field_error(
                "batch_not_divisible", "training.batch_size", devices=self.devices.count
            )
        return self

    @property
    def has_momentum(self) -> bool:
        """Whether a momentum encoder follows backbone and projector."""
        return False

    @property
    def queue_shape(self) -> tuple[int, int] | None:
        """Length and width of the queue of keys; None: there is none."""
        return None

    @abstractmethod
    def mlps(self, width: int) -> dict[str, tuple[int, list[Layer]]]:
        """What is trained on top of the backbone: name → width that comes in, layers.

        Args:
            width: Of the backbone's pooled features.
        """


def pooled_config(config: BackboneConfig) -> BackboneConfig:
    """The same network without a head: pooled features come out."""
    return type(config).model_validate(config.model_dump() | {"num_classes": 0})


def pooled_width(config: BackboneConfig) -> int:
    """How many numbers the pooled features of an image are."""
    with_head = type(config).model_validate(config.model_dump() | {"num_classes": 1})
    (kernel,) = (one for one in with_head.tensors() if one.role == "classifier.kernel")
    return kernel.shape[1]


def scratch_twin(spec: SiameseSpec, source: BackboneConfig) -> SiameseSpec:
    """The same data, seed, steps and views, but random weights.

    Args:
        spec: The transfer; has a source.
        source: The source's architecture, used where the transfer names none.

    Raises:
        ValueError: When the spec has no source.
    """
    if spec.source is None:
        raise ValueError("only a transfer has a scratch twin")
    shown_by = spec.views.checkpoint or spec.source.checkpoint
    return type(spec).model_validate(
        spec.model_copy(
            update={
                "source": None,
                "model": spec.model or source,
                "views": spec.views.model_copy(update={"checkpoint": shown_by}),
            }
        ).model_dump()
    )


def estimate_run(
    spec: SiameseSpec, config: BackboneConfig, examples_per_s: float | None = None
) -> Estimate:
    """What a run will take; see :func:`training.estimate.estimate_examples`."""
    config = pooled_config(config)
    mlps = spec.mlps(pooled_width(config))
    found = {name: mlp_tensors(name, *mlp) for name, mlp in mlps.items()}
    sizes = {name: sum(t.size for t in tensors if t.trained) for name, tensors in found.items()}
    followed = config.parameter_count() + sizes[PROJECTOR] if spec.has_momentum else 0
    followed += math.prod(spec.queue_shape or (0,))
    trainable = config.parameter_count() + sum(sizes.values())
    return estimate_examples(
        spec.training,
        parameters=trainable,
        trainable=trainable,
        slots=2 * trainable,
        weights=trainable + followed,
        followed=followed,
        examples_per_s=examples_per_s,
    )
