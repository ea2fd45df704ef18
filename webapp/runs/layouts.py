"""Which settings each method's form shows, in which order, and what their choices are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from training.fine_tuning.settings import FineTuningSpec
from training.generative.settings import GenerativeSpec
from training.methods.feature_matching.moco import MoCoSpec
from training.methods.task_related.byol import BYOLSpec
from training.methods.task_related.cgan import CGANSpec
from training.methods.task_related.classification_spec import ClassificationSpec
from training.methods.task_related.conditional_lm_spec import ConditionalLMSpec
from training.methods.task_related.cvae import CVAESpec
from training.methods.task_related.multi_task_spec import MultiTaskSpec
from training.methods.task_related.regression_spec import RegressionSpec
from training.methods.task_related.simclr import SimCLRSpec
from training.methods.task_related.simsiam import SimSiamSpec
from training.methods.task_related.token_classification_spec import TokenClassificationSpec
from training.methods.task_related.wide_deep_spec import WideDeepSpec
from training.siamese.settings import SiameseSpec
from training.spec import RunSpec
from webapp.runs.fields import Layout, Section

_SCHEDULES: Mapping[str, str | Promise] = {
    "cosine": _("cosine"),
    "linear": _("linear"),
    "constant": _("constant"),
}
_DEVICES: Mapping[str, str | Promise] = {
    "auto": _("automatic"),
    "cpu": _("processor"),
    "gpu": _("graphics card"),
}
_PRECISIONS: Mapping[str, str | Promise] = {"auto": _("automatic")}
_NORMALISATIONS: Mapping[str, str | Promise] = {
    "auto": _("automatic: what the network came with, else ImageNet's"),
    "imagenet": _("ImageNet's mean and deviation"),
    "inception": _("range -1 to 1"),
    "unit": _("range 0 to 1"),
}
#: Every method has these.
_CHOICES: Mapping[str, Mapping[str, str | Promise]] = {
    "training.schedule": _SCHEDULES,
    "training.precision": _PRECISIONS,
    "devices.kind": _DEVICES,
}
_LOOK_SECTION = Section(
    "evaluation",
    _("Evaluation"),
    ("evaluation.every",),
    ("evaluation.batches", "evaluation.checkpoint_every"),
)
_DEVICE_SECTION = Section("devices", _("Devices"), ("devices.kind", "devices.count"))

_OPTIMISER_PATHS = (
    "training.accumulation",
    "training.schedule",
    "training.final_learning_rate",
    "training.weight_decay",
    "training.clip_norm",
    "training.beta_1",
    "training.beta_2",
    "training.epsilon",
    "training.precision",
    "seed",
)
_TRAINING_SECTION = Section(
    "training",
    _("Training"),
    (
        "training.steps",
        "training.batch_size",
        "training.learning_rate",
        "training.warmup_steps",
    ),
    _OPTIMISER_PATHS,
)

_LORA_SECTION = Section(
    "lora", _("LoRA"), ("training.lora.rank", "training.lora.alpha", "training.lora.targets")
)

CAUSAL_LM = Layout(
    spec=RunSpec,
    groups=(
        Section(
            "model",
            _("Model"),
            ("model.n_layer", "model.n_embd", "model.n_head", "model.n_positions"),
            (
                "model.n_inner",
                "model.activation_function",
                "model.layer_norm_epsilon",
                "model.tie_word_embeddings",
                "model.scale_attn_weights",
                "model.scale_attn_by_inverse_layer_idx",
            ),
        ),
        Section("tokenizer", _("Tokenizer"), ("tokenizer.kind", "tokenizer.vocabulary_size")),
        Section(
            "training",
            _("Training"),
            (
                "training.steps",
                "training.batch_size",
                "training.sequence_length",
                "training.learning_rate",
                "training.warmup_steps",
                "training.dropout",
            ),
            (
                "training.accumulation",
                "training.packing",
                "training.schedule",
                "training.final_learning_rate",
                "training.weight_decay",
                "training.clip_norm",
                "training.beta_1",
                "training.beta_2",
                "training.epsilon",
                "training.precision",
                "seed",
            ),
        ),
        _LORA_SECTION,
        Section(
            "evaluation",
            _("Evaluation and samples"),
            ("evaluation.every", "evaluation.sample_every", "evaluation.prompts"),
            ("evaluation.batches", "evaluation.checkpoint_every", "evaluation.sample_tokens"),
        ),
        _DEVICE_SECTION,
    ),
    apart=("source.reinitialise",),
    lines=frozenset({"evaluation.prompts", "source.reinitialise"}),
    choice_names={
        "tokenizer.kind": {
            "gpt2": _("GPT-2's published vocabulary"),
            "train": _("trained on this data set"),
            "source": _("the source's own"),
            "checkpoint": _("of the same source as its transfer"),
        },
        **_CHOICES,
    },
)

_WITH_PACKING = next(group for group in CAUSAL_LM.groups if group.key == "training")

CONDITIONAL_LM = replace(
    CAUSAL_LM,
    spec=ConditionalLMSpec,
    groups=(
        *(group for group in CAUSAL_LM.groups if group.key in ("model", "tokenizer")),
        Section("control", _("Labels"), ("control.unlabelled_share",), ("control.given",)),
        replace(
            _WITH_PACKING,
            advanced=tuple(path for path in _WITH_PACKING.advanced if path != "training.packing"),
        ),
        _LORA_SECTION,
        Section(
            "evaluation",
            _("Evaluation and samples"),
            (
                "evaluation.every",
                "evaluation.sample_every",
                "evaluation.samples",
                "evaluation.prompts",
            ),
            (
                "evaluation.batches",
                "evaluation.checkpoint_every",
                "evaluation.sample_tokens",
                "evaluation.judged",
            ),
        ),
        _DEVICE_SECTION,
    ),
)

#: What a run without a source has no use for.
ADAPTATION = Section(
    "adaptation",
    _("How the weights are adapted"),
    (
        "training.policy",
        "training.frozen_share",
        "training.stages",
        "training.rate_decay",
        "training.head_rate",
        "training.l2_sp",
    ),
    ("training.norms",),
)


def _fine_tuning(
    spec: type[FineTuningSpec],
    main: tuple[str, ...] = (),
    advanced: tuple[str, ...] = (),
    choices: Mapping[str, Mapping[str, str | Promise]] = MappingProxyType({}),
    *,
    images: bool = True,
) -> Layout:
    """The layout of a method that trains a network with a head on labelled examples.

    Args:
        spec: Its own.
        main: Settings of training that only it has.
        advanced: Those of them that most people never touch.
        choices: What their choices are called.
        images: Whether networks of images are trained too.
    """
    of_images = ("inputs.augmentation", "inputs.image_px")
    return Layout(
        spec=spec,
        groups=(
            ADAPTATION if images else replace(ADAPTATION, advanced=()),
            _LORA_SECTION,
            Section(
                "inputs",
                _("What the network is shown"),
                ("examples", *(of_images if images else ()), "inputs.most_tokens"),
                ("inputs.normalisation",) if images else (),
            ),
            Section(
                "training",
                _("Training"),
                (
                    "training.steps",
                    "training.batch_size",
                    "training.learning_rate",
                    "training.warmup_steps",
                    *main,
                ),
                (*advanced, "training.dropout", *_OPTIMISER_PATHS),
            ),
            _LOOK_SECTION,
            _DEVICE_SECTION,
        ),
        apart=("source.reinitialise",),
        lines=frozenset({"source.reinitialise"}),
        choice_names={
            "training.policy": {
                "full": _("everything (full fine-tuning)"),
                "head": _("only the head (frozen backbone)"),
                "gradual": _("gradual unfreezing, from the top down"),
                "lp_ft": _("the head first, then everything (LP-FT)"),
            },
            "training.lora.targets": {
                "attention.query": _("queries"),
                "attention.key": _("keys"),
                "attention.value": _("values"),
                "attention.output": _("attention's output"),
                "feed_forward.in": _("feed-forward, in"),
                "feed_forward.out": _("feed-forward, out"),
            },
            "training.norms": {
                "batch": _("by each batch"),
                "source": _("by the source's statistics"),
            },
            "inputs.augmentation": {
                "none": _("none"),
                "shift": _("shifted"),
                "shift_flip": _("shifted and mirrored"),
            },
            "inputs.normalisation": _NORMALISATIONS,
            **choices,
            **_CHOICES,
        },
    )


def _siamese(
    spec: type[SiameseSpec], objective: tuple[str, ...], advanced: tuple[str, ...] = ()
) -> Layout:
    """The layout of a method on two views.

    Args:
        spec: Its own.
        objective: Settings of what is minimised.
        advanced: Those of them that most people never touch.
    """

    def paths(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"objective.{name}" for name in names)

    return Layout(
        spec=spec,
        groups=(
            Section("objective", _("What is compared"), paths(objective), paths(advanced)),
            Section(
                "views",
                _("How two views of an image differ"),
                (
                    "views.image_px",
                    "views.least_area",
                    "views.flip",
                    "views.colour",
                    "views.grey",
                    "views.blur",
                ),
                ("views.normalisation",),
            ),
            _TRAINING_SECTION,
            Section(
                "evaluation",
                _("Evaluation"),
                ("evaluation.every", "evaluation.examples", "evaluation.neighbours"),
                ("evaluation.batches", "evaluation.checkpoint_every"),
            ),
            _DEVICE_SECTION,
        ),
        apart=("source.reinitialise",),
        lines=frozenset({"source.reinitialise"}),
        choice_names={
            "objective.variant": {"v1": _("version 1"), "v2": _("version 2")},
            "views.normalisation": _NORMALISATIONS,
            **_CHOICES,
        },
    )


WIDE_DEEP = Layout(
    spec=WideDeepSpec,
    groups=(
        Section("target", _("What is predicted"), ("target",)),
        Section(
            "features",
            _("What of a row it is shown"),
            ("features.crosses",),
            (
                "features.buckets",
                "features.pieces",
                "features.cross_rows",
                "features.cross_examples",
            ),
        ),
        Section(
            "network",
            _("Model"),
            ("network.parts", "network.hidden"),
            ("network.embedding",),
        ),
        Section(
            "training",
            _("Training"),
            (
                "training.steps",
                "training.batch_size",
                "training.deep_optimiser",
                "training.learning_rate",
                "training.wide_rate",
                "training.warmup_steps",
            ),
            ("training.l1", "training.l2", "training.dropout", *_OPTIMISER_PATHS),
        ),
        _LOOK_SECTION,
        _DEVICE_SECTION,
    ),
    apart=("source.reinitialise",),
    lines=frozenset({"features.crosses", "network.hidden", "source.reinitialise"}),
    choice_names={
        "network.parts": {
            "both": _("wide and deep together"),
            "wide": _("the wide part alone"),
            "deep": _("the deep part alone"),
        },
        "training.deep_optimiser": {"adagrad": "AdaGrad", "adamw": "AdamW"},
        **_CHOICES,
    },
)


def _generative(
    spec: type[GenerativeSpec],
    objective: tuple[str, ...],
    model: tuple[str, ...],
    advanced: tuple[str, ...],
) -> Layout:
    """The layout of a method that makes images of classes.

    Args:
        spec: Its own.
        objective: Settings of what is minimised.
        model: Those of the model that only it has.
        advanced: Those of them that most people never touch.
    """

    def paths(section: str, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{section}.{name}" for name in names)

    return Layout(
        spec=spec,
        groups=(
            Section(
                "model",
                _("Model"),
                paths("model", ("image_px", "in_channels", *model, "width", "latent")),
                paths("model", ("embedding", *advanced)),
            ),
            Section("objective", _("What is minimised"), paths("objective", objective)),
            _TRAINING_SECTION,
            Section(
                "evaluation",
                _("Evaluation and samples"),
                ("evaluation.every", "evaluation.sample_every", "evaluation.samples"),
                (
                    "evaluation.images",
                    "evaluation.batches",
                    "evaluation.checkpoint_every",
                    "judge.epochs",
                ),
            ),
            _DEVICE_SECTION,
        ),
        apart=("source.reinitialise",),
        lines=frozenset({"source.reinitialise"}),
        choice_names={
            "model.likelihood": {
                "bernoulli": _("Bernoulli, for drawings"),
                "gaussian": _("Gaussian, for photographs"),
            },
            "objective.loss": {"hinge": _("hinge"), "non_saturating": _("non-saturating")},
            **_CHOICES,
        },
    )


MULTI_TASK = Layout(
    spec=MultiTaskSpec,
    groups=(
        Section(
            "tasks",
            _("What is predicted"),
            ("tasks", "training.weighting"),
            ("training.main_share", "only_main"),
        ),
        Section(
            "network",
            _("Model"),
            ("network.hidden",),
            ("network.embedding", "features.pieces"),
        ),
        Section(
            "training",
            _("Training"),
            _TRAINING_SECTION.paths,
            ("training.dropout", *_OPTIMISER_PATHS),
        ),
        _LOOK_SECTION,
        _DEVICE_SECTION,
    ),
    apart=("source.reinitialise",),
    lines=frozenset({"tasks", "network.hidden", "source.reinitialise"}),
    choice_names={
        "training.weighting": {
            "fixed": _("fixed, as written above"),
            "uncertainty": _("learned, by uncertainty"),
        },
        **_CHOICES,
    },
)


LAYOUTS: dict[str, Layout] = {
    "causal_lm": CAUSAL_LM,
    "conditional_lm": CONDITIONAL_LM,
    "classification": _fine_tuning(ClassificationSpec, advanced=("training.cycles",)),
    "regression": _fine_tuning(
        RegressionSpec,
        ("training.loss",),
        choices={"training.loss": {"squared": _("squared"), "huber": _("Huber's")}},
    ),
    "token_classification": _fine_tuning(TokenClassificationSpec, images=False),
    "wide_deep": WIDE_DEEP,
    "multi_task": MULTI_TASK,
    "simclr": _siamese(SimCLRSpec, ("temperature", "projection"), ("hidden",)),
    "byol": _siamese(
        BYOLSpec, ("momentum", "projection"), ("hidden", "predictor", "stop_gradient")
    ),
    "simsiam": _siamese(SimSiamSpec, ("projection", "bottleneck"), ("hidden", "stop_gradient")),
    "moco": _siamese(
        MoCoSpec,
        ("temperature", "queue", "momentum", "projection"),
        ("hidden", "variant", "norm_parts"),
    ),
    "cvae": _generative(CVAESpec, ("kl_weight",), ("likelihood",), ("hidden",)),
    "cgan": _generative(
        CGANSpec,
        ("loss", "r1", "average", "discriminator_rate"),
        (),
        ("discriminator_width", "spectral_norm"),
    ),
}
