"""The specs of the commands that are no runs: imports, copies, merges, exports, scores, texts.

A run's stands in :mod:`training.spec`; :data:`COMMANDS` has all of them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from training.backbones.registry import AnyConfig
from training.data.prepare_spec import PrepareSpec
from training.errors import gettext_noop as _
from training.predicting.spec import PredictSpec
from training.settings import Settings, field_error
from training.spec import SPEC_VERSION, DataSpec, RunSpec, Seed, SourceSpec, TokenizerSpec
from training.weights.plan_settings import PlanSettings


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
    label: str = Field(
        "",
        max_length=200,
        title=_("Label"),
        description=_(
            "The class of the text, for a model that was trained with labels; empty: without one."
        ),
    )
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


class DrawSpec(Settings):
    """Images to make with a checkpoint of a conditional VAE or GAN."""

    version: Literal[1] = SPEC_VERSION
    checkpoint: str
    #: By name; none: all that the checkpoint knows.
    classes: list[str] = Field(default_factory=list, max_length=100)
    #: Of each class.
    count: int = Field(8, ge=1, le=1000)
    seed: Seed = 0
    #: Images side by side in ``grid.png``.
    columns: int = Field(8, ge=1, le=100)


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
    "draw": DrawSpec,
    "predict": PredictSpec,
}
