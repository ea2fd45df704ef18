"""The specification of a run: what web form, YAML file, command line and API fill in.

Light on purpose: importing this module imports no TensorFlow, so that the web process validates
with the very same models as the engine. Titles and help texts are marked for translation here;
everything about layout stays in the portal's forms.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from training.backbones.gpt2.config import GPT2Config
from training.backbones.registry import BACKBONES, config_of
from training.errors import gettext_noop as _
from training.settings import Settings, field_error

SPEC_VERSION: Final = 1


class DataSpec(Settings):
    """Where the data is: a folder made by ``prepare`` (see ``docs/formats.md``)."""

    path: str = Field(title=_("Data"), description=_("A prepared data set."))


class TokenizerSpec(Settings):
    kind: Literal["gpt2", "train", "source", "checkpoint"] = Field(
        "gpt2",
        title=_("Tokenizer"),
        description=_(
            "GPT-2's published vocabulary, one trained on this data set, or the source's own. "
            "A transfer keeps the source's, so that its embeddings still mean the same."
        ),
    )
    #: With kind ``checkpoint``: the folder whose tokenizer is used, and nothing else of it. A
    #: scratch twin takes its transfer's source here, so that both count loss in the same tokens.
    checkpoint: str = ""
    vocabulary_size: int = Field(
        4096,
        ge=257,
        le=100_000,
        title=_("Vocabulary size"),
        description=_("Tokens to learn when the tokenizer is trained on this data set."),
    )

    @model_validator(mode="after")
    def _consistent(self) -> TokenizerSpec:
        if self.kind == "checkpoint" and not self.checkpoint:
            raise field_error("missing", "checkpoint")
        return self


#: From which everything random follows.
Seed = Annotated[
    int,
    Field(
        ge=0,
        lt=2**31,
        title=_("Seed"),
        description=_("Every random choice follows from it."),
    ),
]


class CheckpointSpec(Settings):
    """The checkpoint that a method starts from."""

    checkpoint: str = Field(title=_("Source checkpoint"), description=_("The model to start from."))


class SourceSpec(CheckpointSpec):
    """The checkpoint whose weights are carried over."""

    reinitialise: list[str] = Field(
        default_factory=list,
        title=_("Start afresh"),
        description=_("Tensors, by name or pattern, that keep their random values."),
    )


LoraTarget = Literal["c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"]


class LowRankSpec(Settings):
    """Low-rank adaptation [0]: W + (alpha / rank) · B A, with only A and B trained.

    - [0] Hu et al., 2021, https://arxiv.org/abs/2106.09685
    """

    rank: int = Field(
        8, ge=1, le=256, title=_("LoRA rank"), description=_("Width of the trained factors.")
    )
    alpha: float = Field(
        16.0,
        gt=0,
        le=1024,
        title=_("LoRA alpha"),
        description=_("Scale of the update: alpha divided by rank."),
    )


class LoraSpec(LowRankSpec):
    """The same for a language model: which of its matrices."""

    targets: list[LoraTarget] = Field(
        default_factory=lambda: list[LoraTarget](("c_attn", "attn.c_proj")),
        min_length=1,
        title=_("LoRA layers"),
        description=_("Matrices that get an update of their own."),
    )


#: Settings that every method has, with another default.
Steps = Annotated[
    int,
    Field(
        ge=1,
        le=10_000_000,
        title=_("Steps"),
        description=_("Optimiser updates; each sees batch size × accumulation examples."),
    ),
]
BatchSize = Annotated[
    int,
    Field(
        ge=1,
        le=4096,
        title=_("Batch size"),
        description=_("Examples in memory at a time, over all devices together."),
    ),
]
WeightDecay = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        title=_("Weight decay"),
        description=_("AdamW's; matrices only, never biases and norms."),
    ),
]


LookEvery = Annotated[
    int,
    Field(
        ge=1,
        title=_("Evaluate every"),
        description=_("Steps between two looks at the validation split."),
    ),
]
SaveEvery = Annotated[
    int,
    Field(
        ge=1,
        title=_("Save every"),
        description=_("Steps between two complete training states; two are kept."),
    ),
]


class OptimisationSpec(Settings):
    """How weights are optimised, whatever the method: AdamW, its rate over the steps, batches."""

    steps: Steps = 400
    batch_size: BatchSize = 16
    accumulation: int = Field(
        1,
        ge=1,
        le=1024,
        title=_("Gradient accumulation"),
        description=_("Batches summed into one update: a larger batch in the same memory."),
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        le=1,
        title=_("Learning rate"),
        description=_("The peak, reached after the warm-up."),
    )
    warmup_steps: int = Field(
        20,
        ge=0,
        title=_("Warm-up steps"),
        description=_("Steps over which the learning rate rises from zero."),
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine",
        title=_("Schedule"),
        description=_("How the learning rate falls after the warm-up."),
    )
    final_learning_rate: float = Field(
        0.1,
        ge=0,
        le=1,
        title=_("Final learning rate"),
        description=_("Where the schedule ends, as a share of the peak."),
    )
    weight_decay: WeightDecay = 0.1
    beta_1: float = Field(
        0.9, ge=0, lt=1, title=_("Adam beta 1"), description=_("Decay of the gradient's average.")
    )
    beta_2: float = Field(
        0.95, ge=0, lt=1, title=_("Adam beta 2"), description=_("Decay of the squares' average.")
    )
    epsilon: float = Field(
        1e-8, gt=0, le=1e-2, title=_("Adam epsilon"), description=_("Keeps the division finite.")
    )
    clip_norm: float | None = Field(
        1.0,
        gt=0,
        title=_("Gradient clipping"),
        description=_("Largest global norm of the gradient; empty: never clipped."),
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title=_("Precision"),
        description=_(
            "bfloat16 computes faster where the processor has it, with float32 masters. "
            "Auto: bfloat16 where it is faster."
        ),
    )

    @property
    def cycle_steps(self) -> int | None:
        """Steps after which the learning rate begins again at its peak; None: it never does."""
        return None

    @property
    def cycle_ends(self) -> list[int]:
        """The last step of each cycle; none where there is no cycle."""
        if self.cycle_steps is None:
            return []
        return [*range(self.cycle_steps, self.steps, self.cycle_steps), self.steps]

    @model_validator(mode="after")
    def _consistent(self) -> OptimisationSpec:
        if self.warmup_steps > self.steps:
            raise field_error("warmup_longer_than_run", "warmup_steps", steps=self.steps)
        return self


class TextTrainingSpec(OptimisationSpec):
    """The same for a language model: its sequences, dropout and LoRA."""

    sequence_length: int = Field(
        128,
        ge=8,
        le=32_768,
        title=_("Sequence length"),
        description=_("Tokens a training sequence holds; at most the model's context."),
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title=_("Dropout"),
        description=_("Share of activations dropped in training (embeddings, attention, blocks)."),
    )
    lora: LoraSpec | None = Field(
        None,
        title=_("LoRA"),
        description=_("Train small low-rank updates and leave the weights as they are."),
    )


class TrainingSpec(TextTrainingSpec):
    """The same on running text."""

    packing: bool = Field(
        True,
        title=_("Pack documents"),
        description=_("Put short documents end to end, so that no token is wasted on padding."),
    )


class LookSpec(Settings):
    """How often a run is looked at and saved."""

    every: LookEvery = 25
    batches: int = Field(
        16,
        ge=1,
        title=_("Validation batches"),
        description=_("Most batches a look takes; the report uses ten times as many."),
    )
    checkpoint_every: SaveEvery = 50


Prompts = list[Annotated[str, Field(min_length=1, max_length=2000)]]


class EvaluationSpec(LookSpec):
    """The same for a language model, which also writes samples."""

    sample_every: int = Field(
        100,
        ge=1,
        title=_("Write a sample every"),
        description=_("Steps between two generated texts."),
    )
    sample_tokens: int = Field(
        48, ge=1, le=1024, title=_("Sample length"), description=_("Tokens a sample holds.")
    )
    prompts: Prompts = Field(
        default_factory=list,
        max_length=8,
        title=_("Prompts"),
        description=_("Texts that samples continue; none: the first words of validation texts."),
    )


class DeviceSpec(Settings):
    kind: Literal["auto", "cpu", "gpu"] = Field(
        "auto",
        title=_("Device"),
        description=_("Auto: a graphics card where there is one, else the processor."),
    )
    count: int = Field(
        1,
        ge=1,
        le=64,
        title=_("Devices"),
        description=_("Several share each batch (MirroredStrategy)."),
    )


def trained_config(values: Mapping[str, Any]) -> GPT2Config:
    """The configuration of a language model that runs train, from its fields.

    Raises:
        ValueError: Values that it cannot have, or an architecture that is not trained to write.
    """
    config = config_of(values)
    if not isinstance(config, GPT2Config):
        raise field_error("architecture_not_trained", "", architecture=config.architecture)
    return config


def _trained(value: Any) -> Any:
    known = isinstance(value, Mapping) and value.get("architecture", "gpt2") in BACKBONES
    return trained_config(value) if known else value


class LanguageModelSpec(Settings, ABC):
    """One run of a language model, complete: two processes given equal specs produce equal curves
    on a CPU.

    A method's own has a ``method`` and a ``training``.
    """

    version: Literal[1] = SPEC_VERSION
    method: str
    seed: Seed = 0
    data: DataSpec
    tokenizer: TokenizerSpec = Field(default_factory=TokenizerSpec)
    #: With a source and no model, the source's own architecture is used.
    model: Annotated[GPT2Config | None, BeforeValidator(_trained), SerializeAsAny()] = None
    source: SourceSpec | None = None
    training: TextTrainingSpec
    evaluation: EvaluationSpec = Field(default_factory=EvaluationSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @property
    def readings(self) -> int:
        """How often a look reads each sequence."""
        return 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.model is None and self.source is None:
            raise field_error("model_missing", "model")
        if self.tokenizer.kind == "source" and self.source is None:
            raise field_error("tokenizer_without_source", "tokenizer.kind")
        if self.model is not None and self.training.sequence_length > self.model.n_positions:
            raise field_error(
                "sequence_longer_than_context",
                "training.sequence_length",
                context=self.model.n_positions,
            )
        return self


class RunSpec(LanguageModelSpec):
    """One run on running text."""

    method: Literal["causal_lm"] = Field(
        "causal_lm", title=_("Method"), description=_("How the model is trained.")
    )
    training: TrainingSpec = Field(default_factory=TrainingSpec)
