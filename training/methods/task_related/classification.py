"""Classification: a network with a head over labelled texts or images, from a source or none.

    loss = −(1/N) Σ log p(label_i | x_i)  [ + α/2 Σ ‖w − w₀‖² over the backbone's kernels ]

Without a source this is supervised pretraining [0]: the backbone learns with its head, and later
runs start from it. With one it is fine-tuning; :mod:`training.engine.policies` has the ways.

- [0] Kolesnikov et al., 2020, "Big Transfer (BiT)", https://arxiv.org/abs/1912.11370
- [1] Li et al., 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks"
  (L2-SP), https://arxiv.org/abs/1802.01483

Details people get wrong: the head is new unless its classes are the very same, even where their
number is; L2-SP pulls the backbone towards the source and never a new head; while the backbone is
frozen its batch norms keep the source's statistics, or it would change all the same; averages of
Adam begin when a weight is first trained, not when the run begins; classes must not be told from
the order of the examples.

``docs/methods/classification.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.encoder.config import EncoderConfig
from training.backbones.image_config import ImageConfig
from training.backbones.lora import (
    factor_specs,
    initial_factors,
    matrices_of_role,
    merge,
    write_adapter,
)
from training.backbones.registry import BACKBONES, AnyConfig
from training.data.inputs import Augmentation, ImageInputs, Inputs, TextInputs
from training.data.labelled import Labelled, class_names, few, labelled_split, read_about
from training.data.order import rows_of_batch, spread_batches
from training.data.pixels import ANY_PX, Normalisation, statistics_of
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizers import tokenizer_of
from training.engine.phases import Phase
from training.engine.policies import Policy, blocks_below_head, phases_of, rates_of
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.estimate import Estimate, estimate_classifier
from training.evaluation.beside import beaten_by, most_wrong, without_a_model
from training.evaluation.classification import Probabilities, classification_scores
from training.events import EventLog
from training.features.settings import Kind, require_kind
from training.methods.contract import Batch, LoopMethod
from training.report import describe_dataset
from training.settings import Settings, field_error
from training.spec import (
    SPEC_VERSION,
    DataSpec,
    DeviceSpec,
    LookSpec,
    LowRankSpec,
    OptimisationSpec,
    Seed,
    SourceSpec,
)
from training.weights.checkpoint import Checkpoint, read_checkpoint
from training.weights.plan import Plan
from training.weights.planner import make_plan

SPLITS = ("train", "validation", "test")


class InputSpec(Settings):
    """What the network is shown of an example."""

    most_tokens: int = Field(
        128,
        ge=4,
        le=32_768,
        title=_("Longest text (tokens)"),
        description=_("Longer texts are cut; at most the model's context."),
    )
    image_px: int | None = Field(
        None,
        ge=16,
        le=1024,
        title=_("Image size (pixels)"),
        description=_(
            "Images are scaled to this shorter side and their middle square is seen; empty: the "
            "network's own size, or 224."
        ),
    )
    normalisation: Normalisation = Field(
        "auto",
        title=_("Normalisation of images"),
        description=_(
            "What the network was trained with: ImageNet's mean and deviation, the range -1 to 1, "
            "or 0 to 1. Auto: what it came with, else ImageNet's."
        ),
    )
    augmentation: Augmentation = Field(
        "none",
        title=_("Augmentation of images"),
        description=_(
            "Training images are shifted by up to an eighth of their side, and mirrored half the "
            "time where left and right mean the same."
        ),
    )
    #: A checkpoint whose tokenizer and normalisation are used, and nothing else of it. A scratch
    #: twin takes its transfer's source here, so that both are shown the same.
    checkpoint: str = ""


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


class ClassificationLoraSpec(LowRankSpec):
    """Which matrices of a transformer get low-rank updates; the paper's are the default."""

    targets: list[AdaptedLayer] = Field(
        default_factory=lambda: list[AdaptedLayer](("attention.query", "attention.value")),
        min_length=1,
        title=_("LoRA layers"),
        description=_("Matrices that get an update of their own; of transformers only."),
    )


class ClassificationTrainingSpec(OptimisationSpec):
    """How the weights are adapted."""

    steps: int = Field(
        200,
        ge=1,
        le=10_000_000,
        title=_("Steps"),
        description=_("Optimiser updates; each sees batch size × accumulation examples."),
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=4096,
        title=_("Batch size"),
        description=_("Examples in memory at a time, over all devices together."),
    )
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
    norms: Literal["batch", "source"] = Field(
        "batch",
        title=_("Batch norms"),
        description=_(
            "Normalise by each batch, or always by the source's statistics: better for small "
            "batches. While blocks are frozen it is always the source's."
        ),
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title=_("Dropout"),
        description=_("Share of activations dropped in training; of texts only."),
    )
    weight_decay: float = Field(
        0.01,
        ge=0,
        le=1,
        title=_("Weight decay"),
        description=_("AdamW's; matrices only, never biases and norms."),
    )
    lora: ClassificationLoraSpec | None = Field(
        None,
        title=_("LoRA"),
        description=_(
            "Train small low-rank updates and the head, and leave the weights as they are."
        ),
    )


class ClassificationSpec(Settings):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    version: Literal[1] = SPEC_VERSION
    method: Literal["classification"] = "classification"
    seed: Seed = 0
    data: DataSpec
    examples: int | None = Field(
        None,
        ge=2,
        title=_("Training examples"),
        description=_("Use only so many labelled examples, each class in its share; empty: all."),
    )
    inputs: InputSpec = Field(default_factory=InputSpec)
    #: Its classes are set by the data. With a source and no model, the source's own is used.
    model: AnyConfig | None = None
    source: SourceSpec | None = None
    training: ClassificationTrainingSpec = Field(default_factory=ClassificationTrainingSpec)
    evaluation: LookSpec = Field(default_factory=LookSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> ClassificationSpec:
        if self.source is None:
            if self.model is None:
                raise field_error("model_missing", "model")
            if self.training.policy != "full":
                raise field_error("policy_without_source", "training.policy")
            if self.training.lora is not None:
                raise field_error("lora_without_source", "training.lora")
            if self.training.norms != "batch":
                raise field_error("norms_without_source", "training.norms")
            if self.training.l2_sp:
                raise field_error("l2_sp_without_source", "training.l2_sp")
        if self.training.lora is not None and self.training.l2_sp:
            raise field_error("lora_and_l2_sp", "training.l2_sp")
        return self


def scratch_twin(spec: ClassificationSpec, source: BackboneConfig) -> ClassificationSpec:
    """The same data, seed, steps and inputs, but random weights, all of them trained alike.

    Args:
        spec: The transfer; has a source.
        source: The source's architecture, used where the transfer names none.

    Raises:
        ValueError: When the spec has no source.
    """
    if spec.source is None:
        raise ValueError("only a transfer has a scratch twin")
    alike = {
        "policy": "full",
        "rate_decay": 1.0,
        "head_rate": 1.0,
        "l2_sp": 0.0,
        "norms": "batch",
        "lora": None,
    }
    shown_by = spec.inputs.checkpoint or spec.source.checkpoint
    return ClassificationSpec.model_validate(
        spec.model_copy(
            update={
                "source": None,
                "model": spec.model or source,
                "inputs": spec.inputs.model_copy(update={"checkpoint": shown_by}),
                "training": spec.training.model_copy(update=alike),
            }
        ).model_dump()
    )


def with_classes(config: BackboneConfig, names: list[str]) -> BackboneConfig:
    """The same network with a head for these classes."""
    values = config.model_dump()
    if isinstance(config, ImageConfig):
        values["num_classes"] = len(names)
    elif isinstance(config, EncoderConfig):
        values |= {"head": "classification", "labels": names}
        # There is a pooler exactly where this head reads it, whatever the source has.
        if "pooler" in values:
            values["pooler"] = None
    return type(config).model_validate(values)


def _with_rows(config: BackboneConfig, rows: int | None, tokens: int) -> BackboneConfig:
    """The same network with a row for each token, as many as the tokenizer's checkpoint has.

    Raises:
        TrainingError: ``vocabulary_too_small``.
    """
    if rows is None or rows < tokens:
        raise TrainingError("vocabulary_too_small", vocabulary=rows, tokens=tokens)
    return type(config).model_validate(config.model_dump() | {"vocab_size": rows})


def classes_of(config: BackboneConfig, card: Mapping[str, Any]) -> list[str]:
    """The classes that a checkpoint's head tells apart, in its order; none where nobody said."""
    if isinstance(config, EncoderConfig):
        return list(config.labels)
    return [str(name) for name in card.get("classes", ())]


def head_of_labels(config: BackboneConfig) -> list[str]:
    """The head's tensors with something for each class."""
    return [spec.name for spec in config.tensors() if spec.block == "head" and "label" in spec.axes]


def adapted_matrices(
    config: BackboneConfig, lora: ClassificationLoraSpec | None
) -> list[TensorSpec]:
    """The matrices that get low-rank updates; none without LoRA, or where there are no such."""
    if lora is None:
        return []
    roles: set[str] = set(lora.targets)
    if roles & ATTENTION_INPUTS:
        roles.add("attention.qkv")
    return matrices_of_role(config, roles)


def estimate_run(
    spec: ClassificationSpec, config: BackboneConfig, examples_per_s: float | None = None
) -> Estimate:
    """What a run will take; see :func:`training.estimate.estimate_classifier`."""
    lora = spec.training.lora
    factors = factor_specs(adapted_matrices(config, lora), lora.rank) if lora else None
    return estimate_classifier(spec, config, examples_per_s, factors)


class LoadedExamples:
    """Labelled examples, inputs and configuration; see :class:`training.methods.contract.Loaded`.

    Args:
        spec: The run.
        out: Its folder; nothing is kept there.
        events: Not needed.

    Attributes:
        config: The model, its head set by the data's classes.
        source: The opened source, or None.
        kind: Of the data, ``text`` or ``image``.
        names: The classes, in the source's order where they are the source's.
        splits: Those that there are, by name.
        inputs: What the network is shown.
        images: How pixels are normalised, ``{mean, std}``, for the card; None for texts.
    """

    def __init__(self, spec: ClassificationSpec, out: Path, events: EventLog) -> None:
        self.spec = spec
        dataset = Path(spec.data.path)
        about = read_about(dataset)
        self.kind: Kind = about["kind"]
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        told = class_names(about)
        known = classes_of(self.source.config, self.source.card) if self.source else []
        #: Whether the source's head is of use: it tells the very same classes apart.
        self.keeps_head = sorted(known) == sorted(told)
        self.names = known if self.keeps_head else told
        base = spec.model
        if base is None:
            assert self.source is not None
            base = self.source.config
        METHOD.require_trained(base)
        if spec.training.lora is not None and not adapted_matrices(base, spec.training.lora):
            raise TrainingError(
                "lora_adapts_nothing",
                field="training.lora",
                architecture=BACKBONES[base.architecture].title,
            )
        require_kind(base, self.kind)
        self.config = with_classes(base, self.names)
        self.splits = _read_splits(spec, dataset, about, self.names)
        like = self.source
        if spec.inputs.checkpoint:
            like = read_checkpoint(Path(spec.inputs.checkpoint))
        self.tokenizer: TextTokenizer | None = None
        self.images: dict[str, list[float]] | None = None
        self.inputs: Inputs
        if self.kind == "text":
            if like is None:
                raise TrainingError("text_needs_tokenizer", field="inputs.checkpoint")
            self.tokenizer = tokenizer_of(like)
            self.config = _with_rows(self.config, like.config.vocabulary, self.tokenizer.size)
            texts = (text for split in self.splits.values() for text in split.texts)
            most = min(spec.inputs.most_tokens, self.config.context or spec.inputs.most_tokens)
            self.inputs = TextInputs(self.tokenizer, texts, most)
        else:
            self.inputs = self._image_inputs(like)

    def _image_inputs(self, like: Checkpoint | None) -> ImageInputs:
        config, wanted = self.config, self.spec.inputs
        assert isinstance(config, ImageConfig)
        fixed = config.fixed_px
        if fixed is not None and wanted.image_px not in (None, fixed):
            raise TrainingError("image_size_fixed", field="inputs.image_px", size=fixed)
        if config.in_channels not in (1, 3):
            raise TrainingError("image_channels", field="model", channels=config.in_channels)
        card = like.card if like is not None else {}
        statistics = statistics_of(wanted.normalisation, card, config.in_channels)
        self.images = {"mean": list(statistics[0]), "std": list(statistics[1])}
        px = wanted.image_px or fixed or ANY_PX
        return ImageInputs(px, config.in_channels, statistics, wanted.augmentation)

    @property
    def width(self) -> int:
        # Convolutions in bfloat16 are no quicker on a processor.
        return (self.config.stream_width or 0) if self.kind == "text" else 0

    def needed_memory(self) -> int:
        return estimate_run(self.spec, self.config).memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        return ClassifierTask(self, compute_dtype, strategy, events)


def _read_splits(
    spec: ClassificationSpec, dataset: Path, about: dict[str, Any], names: list[str]
) -> dict[str, Labelled]:
    """Every split that there is, labels in the names' order, training cut to what was asked for.

    Raises:
        TrainingError: ``split_missing``, ``examples_fewer_than_classes``.
    """
    found = {}
    places = np.array([names.index(name) for name in class_names(about)])
    for split in SPLITS:
        examples = labelled_split(dataset, split, about)
        if examples is None or not len(examples):
            continue
        if split == "train" and spec.examples is not None:
            # By the data's own order of classes: a twin gets the same examples as its transfer.
            examples = examples.chosen(few(examples.labels, spec.examples, spec.seed))
        found[split] = replace(examples, labels=places[examples.labels])
    for split in ("train", "validation"):
        # Without a validation split nothing would say which weights were the best.
        if split not in found:
            raise TrainingError("split_missing", field="data.path", split=split)
    return found


class ClassifierTask:
    """A network on its labelled examples; see :class:`training.methods.contract.Task`."""

    counts: Final = "examples"
    sample_every: int | None = None

    def __init__(
        self, loaded: LoadedExamples, compute_dtype: str, strategy: Any, events: EventLog
    ) -> None:
        from training.backbones.registry import model_class

        self.loaded, self.spec = loaded, loaded.spec
        training = self.spec.training
        events.emit("phase", name="building", fraction=None, detail="")
        self.plan = self._plan()
        options: dict[str, Any] = {"compute_dtype": compute_dtype}
        if loaded.kind == "text":
            options["dropout"] = training.dropout
        with strategy.scope():
            self.model = model_class(loaded.config.architecture)(loaded.config, **options)
        self.weights_event = self._start_weights(events)
        factors = self._adapt(strategy)
        blocks = blocks_below_head(loaded.config, self._new_names(), factors)
        self.phases = phases_of(
            training.policy,
            blocks,
            steps=training.steps,
            share=training.frozen_share,
            stages=training.stages,
        )
        self.rates = rates_of(blocks, decay=training.rate_decay, head_rate=training.head_rate)
        ever = {name for phase in self.phases for name in phase.names}
        self.model.train_only(ever)
        self.parameters = {
            "total": loaded.config.parameter_count(),
            "trainable": sum(
                math.prod(spec.shape)
                for spec in [*loaded.config.tensors(), *factors]
                if spec.name in ever
            ),
        }
        self._pulled = self._kernels_to_pull(blocks) if training.l2_sp else {}

    def _plan(self) -> Plan | None:
        """Which weights come from the source; None: there is none."""
        loaded, spec = self.loaded, self.spec
        if loaded.source is None or spec.source is None:
            return None
        afresh = list(spec.source.reinitialise)
        if not loaded.keeps_head:
            afresh += head_of_labels(loaded.config)
        return make_plan(
            loaded.config,
            loaded.source.config,
            {name: info.shape for name, info in loaded.source.infos.items()},
            same_tokenizer=_reads_alike(loaded.source, loaded.tokenizer),
            reinitialise=afresh,
        )

    def _new_names(self) -> set[str]:
        """What does not come whole from the source; without one nothing counts as new."""
        rows = self.plan.rows if self.plan is not None else []
        return {row.target for row in rows if row.copied < row.parameters}

    def _start_weights(self, events: EventLog) -> dict[str, Any] | None:
        """Set every variable from the seed, or from the source by a plan; prove the copy."""
        from training.weights.copy import apply_plan, verify
        from training.weights.initial import initial_weights

        loaded, plan = self.loaded, self.plan
        initial = initial_weights(loaded.config, self.spec.seed)
        if loaded.source is None or plan is None:
            self.model.load_named(initial)
            return None
        events.emit("phase", name="copying", fraction=None, detail="")
        source = loaded.source
        self.model.load_named(apply_plan(plan, source.tensors(), initial, np.float32))
        proof = verify(plan, source.tensors(), self.model.named())
        proof.require_exact()
        return plan.counts() | {"verified": proof.exact}

    def _adapt(self, strategy: Any) -> list[TensorSpec]:
        """Give matrices their low-rank factors, as they start; none without LoRA."""
        lora = self.spec.training.lora
        self.matrices = adapted_matrices(self.loaded.config, lora)
        if lora is None:
            return []
        with strategy.scope():
            self.model.adapt(self.matrices, lora.rank, lora.alpha / lora.rank)
        initial = initial_factors(self.matrices, lora.rank, self.spec.seed)
        for name, value in initial.items():
            self.model.named_variables[name].assign(value)
        return factor_specs(self.matrices, lora.rank)

    def _kernels_to_pull(self, blocks: list[list[str]]) -> dict[str, np.ndarray]:
        """The backbone's matrices and convolutions, as they are before the first step."""
        variables = self.model.named_variables
        return {
            name: np.array(variables[name].value)
            for block in blocks[1:]
            for name in block
            if len(variables[name].shape) >= 2
        }

    # --- training ----------------------------------------------------------------------------

    def _arrays(self, split: str, rows: Any, random: np.random.Generator | None = None) -> Batch:
        examples = self.loaded.splits[split]
        arrays = self.loaded.inputs.take(examples, rows, random)
        labels = examples.labels[rows].astype(np.int32)
        return (*arrays, labels, np.ones(len(rows), np.float32))

    def batch(self, index: int) -> Batch:
        seed, count = self.spec.seed, len(self.loaded.splits["train"])
        rows = rows_of_batch(seed, index, self.spec.training.batch_size, count)
        # The upper half of the key: no epoch's order is drawn from the same numbers.
        key = np.array([seed, (1 << 32) + index], np.uint64)
        return self._arrays("train", rows, np.random.Generator(np.random.Philox(key=key)))

    def epoch(self, sequences: int) -> tuple[int, int]:
        return divmod(sequences, len(self.loaded.splits["train"]))

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed loss, real examples, and gradients of the sum; to be traced.

        Args:
            parts: What the inputs are, labels int32 [B], mask float32 [B].
            seed: int32 [2], for dropout.
            variables: What to differentiate by: the phase's tensors, in its order.
            phase: Which part of the run.
        """
        import tensorflow as tf

        *arrays, labels, mask = parts
        training = self.spec.training
        whole = phase.whole and (self.loaded.kind == "text" or training.norms == "batch")
        count = tf.reduce_sum(mask)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self.loaded.inputs.call(self.model, arrays, training=whole, seed=seed)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_sum(losses * mask)
        gradients = [tf.convert_to_tensor(one) for one in tape.gradient(loss, variables)]
        if training.l2_sp:
            # α (w − w₀) for the mean loss; gradients here are of the sum.
            for place, (name, variable) in enumerate(zip(phase.names, variables, strict=True)):
                if name in self._pulled:
                    gradients[place] += training.l2_sp * count * (variable - self._pulled[name])
        return loss, count, gradients

    # --- evaluation --------------------------------------------------------------------------

    def evaluation_batches(self, split: str, limit: int) -> Iterator[Batch]:
        if split not in self.loaded.splits:
            return
        count = len(self.loaded.splits[split])
        for rows, real in spread_batches(count, self.spec.training.batch_size, limit):
            *arrays, mask = self._arrays(split, rows)
            mask[real:] = 0
            yield (*arrays, mask)

    def scores(self, parts: Any) -> dict[str, Any]:
        import tensorflow as tf

        *arrays, labels, mask = parts
        logits = self.loaded.inputs.call(self.model, arrays, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        hits = tf.cast(tf.argmax(logits, -1, output_type=labels.dtype) == labels, tf.float32)
        return {
            "loss": tf.reduce_sum(losses * mask),
            "correct": tf.reduce_sum(hits * mask),
            "examples": tf.reduce_sum(mask),
        }

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Mean loss in nats per example, accuracy, examples."""
        examples = sums["examples"]
        return {
            "loss": sums["loss"] / examples,
            "accuracy": sums["correct"] / examples,
            "examples": int(examples),
        }

    def samples(self) -> Iterator[dict[str, str]]:
        yield from ()

    # --- the result --------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """Scores on what it never saw, beside what it must beat."""
        loaded, names = self.loaded, self.loaded.names
        split = "test" if "test" in loaded.splits else "validation"
        scored, train = loaded.splits[split], loaded.splits["train"]
        predicted = {"model": self._predict(split, events)}
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        predicted |= without_a_model(loaded.kind, train, scored, len(names), self.spec.seed)
        results = {
            name: classification_scores(one, scored.labels, names, self.spec.seed)
            for name, one in predicted.items()
        }
        return {
            "data": describe_dataset(Path(self.spec.data.path)),
            "classes": names,
            "examples": len(train),
            "split": split,
            "scores": results,
            "beaten_by": beaten_by(results),
            "predictions": most_wrong(loaded.kind, split, scored, predicted["model"], names),
        }

    def _predict(self, split: str, events: EventLog) -> Probabilities:
        """Probabilities of the classes, float64 [examples, classes]."""
        import tensorflow as tf

        def compute(arrays: Any) -> Any:
            return self.loaded.inputs.call(self.model, arrays, training=False)

        compiled = tf.function(compute, autograph=False)
        count, told, found = len(self.loaded.splits[split]), 0.0, []
        for rows, real in spread_batches(count, self.spec.training.batch_size):
            *arrays, _labels, _mask = self._arrays(split, rows)
            logits = compiled(tuple(tf.constant(array) for array in arrays)).numpy()
            found.append(logits[:real].astype(np.float64))
            if time.monotonic() - told > 1:
                told = time.monotonic()
                done = sum(len(one) for one in found) / count
                events.emit("phase", name="evaluating", fraction=round(done, 4), detail=split)
        logits = np.concatenate(found)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(shares / shares.sum(1, keepdims=True))

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/``, the head and the names of its classes with it."""
        from training.weights.checkpoint import write_checkpoint

        loaded, source = self.loaded, self.loaded.source
        dataset = Path(self.spec.data.path)
        about = {
            "method": METHOD.name,
            "parents": [source.weights_sha256] if source else [],
            "data": describe_dataset(dataset),
            "classes": loaded.names,
            **({"images": loaded.images} if loaded.images is not None else {}),
            **about,
        }
        lora, tensors, extras = self.spec.training.lora, self.model.named() | dict(best), None
        if lora is not None:
            scale = lora.alpha / lora.rank
            tensors = merge(tensors, tensors, loaded.config, self.matrices, scale)
            extras = partial(self._write_adapter, best, lora)
        rates = source.dropout if source is not None else None
        return write_checkpoint(
            folder,
            loaded.config,
            tensors,
            loaded.tokenizer,
            about,
            dropout=rates,
            extras=extras,
        )

    def _write_adapter(
        self, best: Mapping[str, np.ndarray], lora: ClassificationLoraSpec, folder: Path
    ) -> None:
        # Whole names: the ends of two of a block's modules can be the same.
        modules = [one.name.removesuffix(".weight") for one in self.matrices]
        task = "SEQ_CLS" if self.loaded.kind == "text" else None
        write_adapter(folder / "adapter", best, self.matrices, lora, modules=modules, task=task)


def _reads_alike(source: Checkpoint, tokenizer: TextTokenizer | None) -> bool:
    """Whether a row of the source's embedding means the same token to the new model."""
    return tokenizer is None or tokenizer_of(source).sha256 == tokenizer.sha256


METHOD: Final = LoopMethod(
    name="classification",
    family="task_related",
    title=_("Classification"),
    summary=_(
        "Train a network with a head on labelled texts or images: from a source that is adapted "
        "(fine-tuning), or from nothing, as a source for others (supervised pretraining)."
    ),
    data=("labelled_text", "labelled_image"),
    backbones=tuple(name for name, backbone in BACKBONES.items() if not backbone.writes),
    settings=ClassificationSpec,
    example={
        "data": {"path": "DATASET"},
        "source": {"checkpoint": "CHECKPOINT"},
    },
    checkpoints=("source.checkpoint", "inputs.checkpoint"),
    load=LoadedExamples,
    twin=scratch_twin,
    estimate=estimate_run,
)
