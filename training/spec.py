"""The specification of a run: what web form, YAML file, command line and API fill in.

Light on purpose: importing this module imports no TensorFlow, so that the web process validates
with the very same models as the engine. Titles and help texts are marked for translation here;
everything about layout stays in the portal's forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from training.backbones.gpt2.config import GPT2Config
from training.backbones.registry import BACKBONES, AnyConfig, config_of
from training.data.prepare_spec import PrepareSpec
from training.errors import gettext_noop as _
from training.settings import Settings, field_error
from training.weights.plan_settings import PlanSettings

SPEC_VERSION: Final = 1


class DataSpec(Settings):
    """Where the text is: a folder made by ``prepare`` (see ``docs/formats.md``)."""

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


class LoraSpec(Settings):
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
    targets: list[LoraTarget] = Field(
        default_factory=lambda: list[LoraTarget](("c_attn", "attn.c_proj")),
        min_length=1,
        title=_("LoRA layers"),
        description=_("Matrices that get an update of their own."),
    )


class TrainingSpec(Settings):
    steps: int = Field(
        400,
        ge=1,
        le=10_000_000,
        title=_("Steps"),
        description=_("Optimiser updates; each sees batch size × accumulation sequences."),
    )
    batch_size: int = Field(
        16,
        ge=1,
        le=4096,
        title=_("Batch size"),
        description=_("Sequences in memory at a time, over all devices together."),
    )
    accumulation: int = Field(
        1,
        ge=1,
        le=1024,
        title=_("Gradient accumulation"),
        description=_("Batches summed into one update: a larger batch in the same memory."),
    )
    sequence_length: int = Field(
        128,
        ge=8,
        le=32_768,
        title=_("Sequence length"),
        description=_("Tokens a training sequence holds; at most the model's context."),
    )
    packing: bool = Field(
        True,
        title=_("Pack documents"),
        description=_("Put short documents end to end, so that no token is wasted on padding."),
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
    weight_decay: float = Field(
        0.1,
        ge=0,
        le=1,
        title=_("Weight decay"),
        description=_("AdamW's; matrices only, never biases and layer norms."),
    )
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
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title=_("Dropout"),
        description=_("Share of activations dropped in training (embeddings, attention, blocks)."),
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title=_("Precision"),
        description=_(
            "bfloat16 computes faster where the processor has it, with float32 masters. "
            "Auto: bfloat16 where it is faster."
        ),
    )
    lora: LoraSpec | None = Field(
        None,
        title=_("LoRA"),
        description=_("Train small low-rank updates and leave the weights as they are."),
    )

    @model_validator(mode="after")
    def _consistent(self) -> TrainingSpec:
        if self.warmup_steps > self.steps:
            raise field_error("warmup_longer_than_run", "warmup_steps", steps=self.steps)
        return self


class EvaluationSpec(Settings):
    every: int = Field(
        25,
        ge=1,
        title=_("Evaluate every"),
        description=_("Steps between two looks at the validation text."),
    )
    batches: int = Field(
        16,
        ge=1,
        title=_("Validation batches"),
        description=_("Most batches a look takes; the report uses ten times as many."),
    )
    checkpoint_every: int = Field(
        50,
        ge=1,
        title=_("Save every"),
        description=_("Steps between two complete training states; two are kept."),
    )
    sample_every: int = Field(
        100,
        ge=1,
        title=_("Write a sample every"),
        description=_("Steps between two generated texts."),
    )
    sample_tokens: int = Field(
        48, ge=1, le=1024, title=_("Sample length"), description=_("Tokens a sample holds.")
    )
    prompts: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(
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


#: Architectures that runs train.
TRAINED = [name for name, backbone in BACKBONES.items() if issubclass(backbone.config, GPT2Config)]


def trained_config(values: Mapping[str, Any]) -> GPT2Config:
    """The configuration of a model that runs train, from its fields.

    Raises:
        ValueError: Values that it cannot have, or an architecture that no method trains.
    """
    config = config_of(values)
    if not isinstance(config, GPT2Config):
        raise field_error("architecture_not_trained", "", architecture=config.architecture)
    return config


def _trained(value: Any) -> Any:
    known = isinstance(value, Mapping) and value.get("architecture", "gpt2") in BACKBONES
    return trained_config(value) if known else value


class RunSpec(Settings):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    version: Literal[1] = SPEC_VERSION
    method: Literal["causal_lm"] = Field(
        "causal_lm", title=_("Method"), description=_("How the model is trained.")
    )
    seed: Seed = 0
    data: DataSpec
    tokenizer: TokenizerSpec = Field(default_factory=TokenizerSpec)
    #: With a source and no model, the source's own architecture is used.
    model: Annotated[GPT2Config | None, BeforeValidator(_trained), SerializeAsAny()] = None
    source: SourceSpec | None = None
    training: TrainingSpec = Field(default_factory=TrainingSpec)
    evaluation: EvaluationSpec = Field(default_factory=EvaluationSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> RunSpec:
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


class ImportSpec(Settings):
    """Bring a foreign model in: from the Hub (the only job with a network) or from a folder."""

    version: Literal[1] = SPEC_VERSION
    kind: Literal["hub", "folder"]
    #: Hub: ``owner/name`` or ``name``.
    repository: str = Field("", max_length=200)
    revision: str = Field("main", max_length=200)
    #: Base address of the Hub or of a mirror; empty: the library's default.
    endpoint: str = Field("", max_length=500)
    #: Folder: where the uploaded files lie.
    path: str = ""


class AboutSpec(Settings):
    """What a model card says and the checkpoint's own card does not know."""

    #: What people call the model; empty: by its architecture.
    name: str = Field("", max_length=200)
    #: Name on the Hub of the model that it came from, and that model's licence.
    base_model: str = Field("", max_length=200)
    licence: str = Field("", max_length=100)
    #: What people call the data that it was trained on; empty: the card's name for it.
    data: str = Field("", max_length=200)


class ExportSpec(Settings):
    """Write a checkpoint in another form, proved by running what was written."""

    version: Literal[1] = SPEC_VERSION
    checkpoint: str
    format: Literal["graft", "huggingface", "keras", "saved_model", "litert", "onnx"]
    about: AboutSpec = Field(default_factory=AboutSpec)


class PushSpec(Settings):
    """Send a checkpoint to the Hub, with a model card. The token comes in HF_TOKEN, never here."""

    version: Literal[1] = SPEC_VERSION
    checkpoint: str
    #: ``owner/name``; made when it is not there.
    repository: str = Field(max_length=200)
    #: Base address of the Hub or of a mirror; empty: HF_ENDPOINT, else the library's default.
    endpoint: str = Field("", max_length=500)
    #: Whether a repository that is made is for its owner's eyes only.
    private: bool = True
    about: AboutSpec = Field(default_factory=AboutSpec)


class CopySpec(Settings):
    """Copy weights into a new model without TensorFlow; the result is a checkpoint."""

    version: Literal[1] = SPEC_VERSION
    source: SourceSpec
    #: The new model; with none, the base's, or else the source's own.
    model: AnyConfig | None = None
    #: A checkpoint of the new model's shape, whose values stay where nothing is copied.
    base: str = ""
    settings: PlanSettings = Field(default_factory=PlanSettings)
    #: The new model's. Where it differs from the source's, rows go by token.
    tokenizer: TokenizerSpec = Field(default_factory=lambda: TokenizerSpec(kind="source"))
    #: With a tokenizer that is to be trained: on which text.
    data: DataSpec | None = None
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _consistent(self) -> CopySpec:
        if self.base and self.model is not None:
            raise field_error("model_and_base", "model")
        if self.base and self.tokenizer.kind != "source":
            raise field_error("base_and_tokenizer", "tokenizer.kind")
        if self.tokenizer.kind == "train" and self.data is None:
            raise field_error("missing", "data.path")
        return self


class ProbeSpec(Settings):
    """Compare what two checkpoints compute on the same inputs."""

    version: Literal[1] = SPEC_VERSION
    one: str
    other: str
    seed: int = Field(0, ge=0, lt=2**31)


class StatisticsSpec(Settings):
    """Look at every value of a checkpoint's weights."""

    version: Literal[1] = SPEC_VERSION
    #: Its folder, or one safetensors file.
    checkpoint: str


class ScoredDataSpec(Settings):
    """A prepared data set that weights are scored on, and what it stands for in a merge."""

    path: str = Field(title=_("Data"), description=_("A prepared data set."))
    role: Literal["target", "source"] = Field(
        "target",
        title=_("Role"),
        description=_(
            "Target: what the model is to be good at. Source: what it should not forget."
        ),
    )


class ScoringSpec(Settings):
    """How weights are scored: as the report of a run scores them."""

    method: Literal["causal_lm"] = Field(
        "causal_lm", title=_("Method"), description=_("Whose scores are taken.")
    )
    data: list[ScoredDataSpec] = Field(
        min_length=1, max_length=8, title=_("Data"), description=_("What is scored on.")
    )
    split: Literal["validation", "test"] = Field(
        "validation", title=_("Split"), description=_("Which part of the data.")
    )
    sequence_length: int = Field(
        128,
        ge=8,
        le=32_768,
        title=_("Sequence length"),
        description=_("Tokens a sequence holds; at most the model's context."),
    )
    batch_size: int = Field(
        16, ge=1, le=4096, title=_("Batch size"), description=_("Sequences in memory at a time.")
    )
    batches: int = Field(
        160, ge=1, title=_("Batches"), description=_("Most batches that are scored.")
    )


class EvaluateSpec(ScoringSpec):
    """Score a checkpoint on prepared data."""

    version: Literal[1] = SPEC_VERSION
    checkpoint: str = Field(title=_("Checkpoint"), description=_("The model to score."))


Share = Annotated[float, Field(ge=0, le=1)]


class MergeScoringSpec(ScoringSpec):
    """What a merge is judged by."""

    alphas: list[Share] = Field(
        default_factory=lambda: [step / 10 for step in range(11)],
        max_length=101,
        title=_("Points"),
        description=_("Shares at which an interpolation is scored; 0, 1 and its own always are."),
    )


#: Ways to merge that start from a base.
MERGES_WITH_BASE = frozenset({"task_arithmetic", "ties", "lora"})


class MergeSpec(Settings):
    """Merge checkpoints of one architecture and tokenizer; see :mod:`training.weights.merge`."""

    version: Literal[1] = SPEC_VERSION
    method: Literal[
        "interpolate", "soup_uniform", "soup_greedy", "task_arithmetic", "ties", "lora"
    ] = Field("interpolate", title=_("Method"), description=_("How the weights are put together."))
    checkpoints: list[str] = Field(
        min_length=1,
        max_length=16,
        title=_("Checkpoints"),
        description=_("What is merged; an interpolation goes from the first to the second."),
    )
    base: str = Field(
        "",
        title=_("Base"),
        description=_("What all were fine-tuned from; for task arithmetic, TIES and LoRA."),
    )
    alpha: Share | None = Field(
        0.5,
        title=_("Share of the second"),
        description=_(
            "0 is the first checkpoint, 1 the second. Empty: the point with the lowest loss on "
            "the target."
        ),
    )
    scale: float = Field(
        1.0,
        ge=-4,
        le=4,
        title=_("Scale"),
        description=_("How much of what was learned is added to the base; below 0 takes it away."),
    )
    #: λ of each checkpoint for task arithmetic and LoRA; empty: ``scale`` for all.
    scales: list[Annotated[float, Field(ge=-4, le=4)]] = Field(
        default_factory=list,
        title=_("Scales"),
        description=_("One for each checkpoint, in their order; empty: the same for all."),
    )
    keep_percent: float = Field(
        20,
        gt=0,
        le=100,
        title=_("Kept (%)"),
        description=_("TIES keeps these largest changes of each checkpoint and drops the others."),
    )
    evaluate: MergeScoringSpec | None = None

    @model_validator(mode="after")
    def _consistent(self) -> MergeSpec:
        needs_base = self.method in MERGES_WITH_BASE
        count = len(self.checkpoints)
        if self.method == "interpolate" and count != 2:
            raise field_error("merge_two", "checkpoints", count=count)
        if not needs_base and count < 2:
            raise field_error("merge_several", "checkpoints")
        if needs_base and not self.base:
            raise field_error("merge_without_base", "base")
        if self.scales and len(self.scales) != count:
            raise field_error("merge_scales", "scales", count=count, found=len(self.scales))
        judged = self.method == "soup_greedy" or (
            self.method == "interpolate" and self.alpha is None
        )
        if judged and not self._has_target():
            field = "evaluate" if self.method == "soup_greedy" else "alpha"
            raise field_error("merge_without_target", field)
        return self

    def _has_target(self) -> bool:
        return self.evaluate is not None and any(d.role == "target" for d in self.evaluate.data)


class GenerateSpec(Settings):
    """One request to a language model (playground, ``python -m training generate``)."""

    version: Literal[1] = SPEC_VERSION
    checkpoint: str
    prompt: str = Field("", max_length=100_000, title=_("Prompt"))
    max_tokens: int = Field(
        128, ge=1, le=4096, title=_("Length"), description=_("Most tokens to write.")
    )
    temperature: float = Field(
        0.8,
        ge=0,
        le=5,
        title=_("Temperature"),
        description=_("0 always takes the likeliest token; higher is bolder."),
    )
    top_k: int = Field(
        0,
        ge=0,
        le=100_000,
        title=_("Top-k"),
        description=_("Choose among the k likeliest tokens; 0: among all."),
    )
    top_p: float = Field(
        0.95,
        gt=0,
        le=1,
        title=_("Top-p"),
        description=_("Choose among the likeliest tokens that make up this probability."),
    )
    stop: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list,
        max_length=8,
        title=_("Stop words"),
        description=_("Writing ends before any of these."),
    )
    seed: int = Field(0, ge=0, lt=2**31, title=_("Seed"), description=_("Same seed, same text."))


#: ``python -m training COMMAND SPEC.json --out DIR`` → the spec's model.
COMMANDS: dict[str, type[Settings]] = {
    "run": RunSpec,
    "prepare": PrepareSpec,
    "import": ImportSpec,
    "transfer": CopySpec,
    "probe": ProbeSpec,
    "statistics": StatisticsSpec,
    "merge": MergeSpec,
    "evaluate": EvaluateSpec,
    "export": ExportSpec,
    "push": PushSpec,
    "generate": GenerateSpec,
}
