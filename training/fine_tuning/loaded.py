"""Labelled texts or images with the network that learns them, before TensorFlow is imported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.encoder.config import Head
from training.backbones.image_config import ImageConfig
from training.backbones.registry import BACKBONES
from training.data.inputs import ImageInputs, Inputs, TextInputs
from training.data.labelled import Labelled, read_about
from training.data.pixels import ANY_PX, statistics_of
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizers import tokenizer_of
from training.errors import TrainingError
from training.events import EventLog
from training.features.settings import Kind, require_kind
from training.fine_tuning.settings import (
    adapted_matrices,
    estimate_run,
    with_classes,
    with_rows,
)
from training.weights.checkpoint import Checkpoint, read_checkpoint

SPLITS = ("train", "validation", "test")


class LoadedExamples(ABC):
    """Labelled examples, inputs and configuration; see :class:`training.methods.contract.Loaded`.

    A method says what the labels are, and for what the source's head is of use.

    Args:
        spec: The run.
        out: Its folder; nothing is kept there.
        events: Not needed.
        splits: Which are read.

    Attributes:
        config: The model, its head set by the data's labels.
        source: The opened source, or None.
        kind: Of the data, ``text`` or ``image``.
        names: Of the head's outputs.
        keeps_head: Whether the source's head is of use: it says these very things.
        splits: Those that there are, by name.
        inputs: What the network is shown.
        images: How pixels are normalised, ``{mean, std}``, for the card; None for texts.
        shown: How much of an example is seen, ``{image_px}`` or ``{most_tokens}``, and whether
            texts are ``pairs``; for the card.
    """

    #: The head of a network of texts, and how it is shown them.
    HEAD: Head = "classification"
    TEXTS: type[TextInputs] = TextInputs

    def __init__(
        self,
        spec: Any,
        out: Path,
        events: EventLog,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        self.spec = spec
        dataset = Path(spec.data.path)
        about = read_about(dataset)
        self.kind: Kind = about["kind"]
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        self.names, self.keeps_head = self.head(about)
        base = spec.model
        if base is None:
            assert self.source is not None
            base = self.source.config
        self.require_trained(base)
        if spec.training.lora is not None and not adapted_matrices(base, spec.training.lora):
            raise TrainingError(
                "lora_adapts_nothing",
                field="training.lora",
                architecture=BACKBONES[base.architecture].title,
            )
        require_kind(base, self.kind)
        self.config = with_classes(base, self.names, self.HEAD)
        self.splits = self._read_splits(dataset, about, splits)
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
            self.inputs = self.TEXTS(self.tokenizer, rows, most)
            self.shown = {"most_tokens": most, "pairs": bool(about.get("pair_field"))}
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

    @abstractmethod
    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""

    # --- what a method decides ---------------------------------------------------------------

    @abstractmethod
    def require_trained(self, config: BackboneConfig) -> None:
        """Refuse an architecture that the method does not train."""

    @abstractmethod
    def head(self, about: dict[str, Any]) -> tuple[list[str], bool]:
        """Names of the head's outputs, and whether the source's head is of use.

        Args:
            about: ``dataset.json``.

        Raises:
            TrainingError: The data have no such labels.
        """

    @abstractmethod
    def read_split(
        self, dataset: Path, split: str, about: dict[str, Any], most: int | None
    ) -> Labelled | None:
        """A split, its labels as they are learned; None: there is none.

        Args:
            dataset: Where.
            split: Which.
            about: ``dataset.json``.
            most: Use only so many examples; the seed decides which, and the source does not, so
                that a twin gets the same as its transfer. None: all.
        """

    def _read_splits(
        self, dataset: Path, about: dict[str, Any], wanted: Sequence[str]
    ) -> dict[str, Labelled]:
        """Every wanted split that there is, the training split maybe cut.

        Raises:
            TrainingError: ``split_missing``, and what :meth:`read_split` refuses.
        """
        found = {}
        for split in wanted:
            most = self.spec.examples if split == "train" else None
            examples = self.read_split(dataset, split, about, most)
            if examples is not None and len(examples):
                found[split] = examples
        for split in ("train", "validation"):
            # Without a validation split nothing would say which weights were the best.
            if split in wanted and split not in found:
                raise TrainingError("split_missing", field="data.path", split=split)
        return found
