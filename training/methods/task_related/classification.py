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

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.backbones.image_config import ImageConfig
from training.backbones.registry import BACKBONES
from training.data.inputs import ImageInputs, Inputs, TextInputs
from training.data.labelled import Labelled, class_names, few, labelled_split, read_about
from training.data.pixels import ANY_PX, statistics_of
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizers import tokenizer_of
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.events import EventLog
from training.features.settings import Kind, require_kind
from training.methods.contract import LoopMethod
from training.methods.task_related.classification_spec import (
    ClassificationSpec,
    adapted_matrices,
    classes_of,
    estimate_run,
    scratch_twin,
    with_classes,
    with_rows,
)
from training.weights.checkpoint import Checkpoint, read_checkpoint

SPLITS = ("train", "validation", "test")


class LoadedExamples:
    """Labelled examples, inputs and configuration; see :class:`training.methods.contract.Loaded`.

    Args:
        spec: The run.
        out: Its folder; nothing is kept there.
        events: Not needed.
        splits: Which are read.

    Attributes:
        config: The model, its head set by the data's classes.
        source: The opened source, or None.
        kind: Of the data, ``text`` or ``image``.
        names: The classes, in the source's order where they are the source's.
        splits: Those that there are, by name.
        inputs: What the network is shown.
        images: How pixels are normalised, ``{mean, std}``, for the card; None for texts.
        shown: How much of an example is seen, ``{image_px}`` or ``{most_tokens}``, for the card.
    """

    def __init__(
        self,
        spec: ClassificationSpec,
        out: Path,
        events: EventLog,
        splits: Sequence[str] = SPLITS,
    ) -> None:
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
        self.splits = _read_splits(spec, dataset, about, self.names, splits)
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
            self.config = with_rows(self.config, like.config.vocabulary, self.tokenizer.size)
            rows = (row for split in self.splits.values() for row in split.rows)
            most = min(spec.inputs.most_tokens, self.config.context or spec.inputs.most_tokens)
            self.inputs = TextInputs(self.tokenizer, rows, most)
            self.shown = {"most_tokens": most}
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
        self.shown = {"image_px": px}
        return ImageInputs(px, config.in_channels, statistics, wanted.augmentation)

    @property
    def width(self) -> int:
        # Convolutions in bfloat16 are no quicker on a processor.
        return (self.config.stream_width or 0) if self.kind == "text" else 0

    def needed_memory(self) -> int:
        return estimate_run(self.spec, self.config).memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        from training.methods.task_related.classification_task import ClassifierTask

        return ClassifierTask(self, compute_dtype, strategy, events)


def _read_splits(
    spec: ClassificationSpec,
    dataset: Path,
    about: dict[str, Any],
    names: list[str],
    wanted: Sequence[str],
) -> dict[str, Labelled]:
    """Every wanted split that there is, labels in the names' order, the training split maybe cut.

    Raises:
        TrainingError: ``split_missing``, ``examples_fewer_than_classes``.
    """
    found = {}
    places = np.array([names.index(name) for name in class_names(about)])
    for split in wanted:
        examples = labelled_split(dataset, split, about)
        if examples is None or not len(examples):
            continue
        if split == "train" and spec.examples is not None:
            # By the data's own order of classes: a twin gets the same examples as its transfer.
            examples = examples.chosen(few(examples.labels, spec.examples, spec.seed))
        found[split] = replace(examples, labels=places[examples.labels])
    for split in ("train", "validation"):
        # Without a validation split nothing would say which weights were the best.
        if split in wanted and split not in found:
            raise TrainingError("split_missing", field="data.path", split=split)
    return found


METHOD: Final = LoopMethod(
    name="classification",
    family="task_related",
    title=_("Classification"),
    summary=_(
        "Train a network with a head on labelled texts or images: from a source that is adapted "
        "(fine-tuning), or from nothing, as a source for others (supervised pretraining)."
    ),
    data=("labelled_text", "labelled_image"),
    backbones=tuple(
        name
        for name, backbone in BACKBONES.items()
        if backbone.kind in ("text", "image") and not backbone.writes
    ),
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
