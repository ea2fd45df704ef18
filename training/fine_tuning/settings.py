"""The parts of a spec that every method of fine-tuning has, and what follows from it. Light."""

from __future__ import annotations

from typing import Literal, Self, TypeVar

from pydantic import Field, model_validator

from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.encoder.config import EncoderConfig, Head
from training.backbones.image_config import ImageConfig
from training.backbones.lora import factor_specs, matrices_of_role
from training.backbones.registry import AnyConfig
from training.data.inputs import Augmentation
from training.data.labelled import FewExamples
from training.data.pixels import ImageNormalisation, ImagePx
from training.engine.policies import Policy
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.estimate import Estimate, estimate_examples
from training.settings import Settings, field_error
from training.spec import (
    SPEC_VERSION,
    BatchSize,
    DataSpec,
    DeviceSpec,
    LookSpec,
    LowRankSpec,
    OptimisationSpec,
    Seed,
    SourceSpec,
    Steps,
    WeightDecay,
)


class TextInputSpec(Settings):
    """What the network is shown of a text."""

    most_tokens: int = Field(
        128,
        ge=4,
        le=32_768,
        title=_("Longest text (tokens)"),
        description=_("Longer texts are cut; at most the model's context."),
    )
    #: A checkpoint whose tokenizer and normalisation are used, and nothing else of it. A scratch
    #: twin takes its transfer's source here, so that both are shown the same.
    checkpoint: str = ""


class InputSpec(TextInputSpec):
    """The same of a text or an image."""

    image_px: ImagePx = None
    normalisation: ImageNormalisation = "auto"
    augmentation: Augmentation = Field(
        "none",
        title=_("Augmentation of images"),
        description=_(
            "Training images are shifted by up to an eighth of their side, and mirrored half the "
            "time where left and right mean the same."
        ),
    )


AdaptedLayer = Literal[
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "feed_forward.in",
    "feed_forward.out",
]
#: A vision transformer has one matrix for these three; adapting any of them adapts it.
ATTENTION_INPUTS = frozenset({"attention.query", "attention.key", "attention.value"})


class FineTuningLoraSpec(LowRankSpec):
    """Which matrices of a transformer get low-rank updates; the paper's are the default."""

    targets: list[AdaptedLayer] = Field(
        default_factory=lambda: list[AdaptedLayer](("attention.query", "attention.value")),
        min_length=1,
        title=_("LoRA layers"),
        description=_("Matrices that get an update of their own; of transformers only."),
    )


class AdaptationSpec(OptimisationSpec):
    """How the weights are adapted."""

    steps: Steps = 200
    batch_size: BatchSize = 32
    weight_decay: WeightDecay = 0.01
    policy: Policy = Field(
        "full",
        title=_("What is trained"),
        description=_(
            "Everything from the start; only the new head; the head first and then block by block "
            "from the top down; or the head first and then everything (LP-FT)."
        ),
    )
    frozen_share: float = Field(
        0.3,
        ge=0,
        lt=1,
        title=_("Share with frozen blocks"),
        description=_("Of the steps: how long it takes until everything is trained."),
    )
    stages: int = Field(
        3,
        ge=1,
        le=32,
        title=_("Stages of unfreezing"),
        description=_("In how many groups the blocks are unfrozen, the topmost first."),
    )
    rate_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        title=_("Learning rate from block to block"),
        description=_(
            "Each block learns at so many times the rate of the one above it: 0.9 for a dozen "
            "blocks; 1: all alike."
        ),
    )
    head_rate: float = Field(
        1.0,
        gt=0,
        le=1000,
        title=_("Learning rate of the head"),
        description=_("As a multiple of the backbone's; a new head has more to learn."),
    )
    l2_sp: float = Field(
        0.0,
        ge=0,
        le=10,
        title=_("Pull towards the source (L2-SP)"),
        description=_("Strength of the penalty on how far the backbone moves; 0: none."),
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title=_("Dropout"),
        description=_("Share of activations dropped in training; of texts only."),
    )
    lora: FineTuningLoraSpec | None = Field(
        None,
        title=_("LoRA"),
        description=_(
            "Train small low-rank updates and the head, and leave the weights as they are."
        ),
    )


class FineTuningTrainingSpec(AdaptationSpec):
    """The same where networks of images are trained too."""

    norms: Literal["batch", "source"] = Field(
        "batch",
        title=_("Batch norms"),
        description=_(
            "Normalise by each batch, or always by the source's statistics: better for small "
            "batches. While blocks are frozen it is always the source's."
        ),
    )


class FineTuningSpec(Settings):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    version: Literal[1] = SPEC_VERSION
    method: str
    seed: Seed = 0
    data: DataSpec
    examples: FewExamples = None
    inputs: TextInputSpec = Field(default_factory=TextInputSpec)
    #: Its classes are set by the data. With a source and no model, the source's own is used.
    model: AnyConfig | None = None
    source: SourceSpec | None = None
    training: AdaptationSpec = Field(default_factory=AdaptationSpec)
    evaluation: LookSpec = Field(default_factory=LookSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source is None:
            if self.model is None:
                raise field_error("model_missing", "model")
            if self.training.policy != "full":
                raise field_error("policy_without_source", "training.policy")
            if self.training.lora is not None:
                raise field_error("lora_without_source", "training.lora")
            if self.training.l2_sp:
                raise field_error("l2_sp_without_source", "training.l2_sp")
        if self.training.lora is not None and self.training.l2_sp:
            raise field_error("lora_and_l2_sp", "training.l2_sp")
        return self


class WholeSpec(FineTuningSpec):
    """The same of a run on texts or images, each of them one example."""

    inputs: InputSpec = Field(default_factory=InputSpec)
    training: FineTuningTrainingSpec = Field(default_factory=FineTuningTrainingSpec)

    @model_validator(mode="after")
    def _norms_of_source(self) -> Self:
        if self.source is None and self.training.norms != "batch":
            raise field_error("norms_without_source", "training.norms")
        return self


Spec = TypeVar("Spec", bound=FineTuningSpec)


def scratch_twin(spec: Spec, source: BackboneConfig) -> Spec:
    """The same data, seed, steps and inputs, but random weights, all of them trained alike.

    Args:
        spec: The transfer; has a source.
        source: The source's architecture, used where the transfer names none.

    Raises:
        ValueError: When the spec has no source.
    """
    if spec.source is None:
        raise ValueError("only a transfer has a scratch twin")
    ways = ("policy", "rate_decay", "head_rate", "l2_sp", "norms", "lora")
    fields = type(spec.training).model_fields
    alike = {name: fields[name].get_default() for name in ways if name in fields}
    shown_by = spec.inputs.checkpoint or spec.source.checkpoint
    return type(spec).model_validate(
        spec.model_copy(
            update={
                "source": None,
                "model": spec.model or source,
                "inputs": spec.inputs.model_copy(update={"checkpoint": shown_by}),
                "training": spec.training.model_copy(update=alike),
            }
        ).model_dump()
    )


def with_classes(
    config: BackboneConfig, names: list[str], head: Head = "classification"
) -> BackboneConfig:
    """The same network with a head for these classes; of texts, what the head gives a class."""
    values = config.model_dump()
    if isinstance(config, ImageConfig):
        values["num_classes"] = len(names)
    elif isinstance(config, EncoderConfig):
        values |= {"head": head, "labels": names}
        # There is a pooler exactly where this head reads it, whatever the source has.
        if "pooler" in values:
            values["pooler"] = None
    return type(config).model_validate(values)


def with_rows(config: BackboneConfig, rows: int | None, tokens: int) -> BackboneConfig:
    """The same network with a row for each token, as many as the tokenizer's checkpoint has.

    Raises:
        TrainingError: ``vocabulary_too_small``.
    """
    if rows is None or rows < tokens:
        raise TrainingError("vocabulary_too_small", vocabulary=rows, tokens=tokens)
    return type(config).model_validate(config.model_dump() | {"vocab_size": rows})


def adapted_matrices(config: BackboneConfig, lora: FineTuningLoraSpec | None) -> list[TensorSpec]:
    """The matrices that get low-rank updates; none without LoRA, or where there are no such."""
    if lora is None:
        return []
    roles: set[str] = set(lora.targets)
    if roles & ATTENTION_INPUTS:
        roles.add("attention.qkv")
    return matrices_of_role(config, roles)


def estimate_run(
    spec: FineTuningSpec, config: BackboneConfig, examples_per_s: float | None = None
) -> Estimate:
    """What a run will take; see :func:`training.estimate.estimate_examples`."""
    training, lora = spec.training, spec.training.lora
    factors = 0
    if lora is not None:
        factors = sum(one.size for one in factor_specs(adapted_matrices(config, lora), lora.rank))
    parameters = trainable = config.parameter_count()
    if training.policy == "head" or lora is not None:
        trainable = sum(one.size for one in config.tensors() if one.trained and one.block == "head")
    if training.policy != "head":
        trainable += factors
    return estimate_examples(
        training,
        parameters=parameters,
        trainable=trainable,
        slots=2 * trainable,
        # The factors are weights beside the others.
        weights=parameters + factors,
        examples_per_s=examples_per_s,
    )
