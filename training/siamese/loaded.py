"""Images and configuration of a run on two views, before TensorFlow is imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.backbones.image_config import ImageConfig
from training.data.inputs import ImageInputs
from training.data.labelled import Labelled, class_names, examples_split, read_about
from training.data.pixels import ANY_PX, statistics_of
from training.errors import TrainingError
from training.events import EventLog
from training.features.settings import require_kind
from training.siamese.settings import SiameseSpec, estimate_run, pooled_config
from training.weights.checkpoint import read_checkpoint

SPLITS = ("train", "validation", "test")


class LoadedImages:
    """See :class:`training.methods.contract.Loaded`.

    Args:
        task: Makes the task; imports TensorFlow.
        spec: The run.
        out: Its folder; nothing is kept there.
        events: Not needed.
        splits: Which are read.

    Attributes:
        config: The backbone, without a head.
        source: The opened source, or None.
        names: The classes that watching tells apart; none where the images have no labels.
        splits: Those that there are, by name.
        inputs: What the network is shown.
        images: How pixels are normalised, ``{mean, std}``, for the card.
    """

    def __init__(
        self,
        task: Callable[..., Any],
        spec: SiameseSpec,
        out: Path,
        events: EventLog,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        self.spec, self._task = spec, task
        dataset = Path(spec.data.path)
        about = read_about(dataset)
        if about["kind"] != "image":
            raise TrainingError("method_needs_images", field="data.path")
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        base = spec.model
        if base is None:
            assert self.source is not None
            base = self.source.config
        require_kind(base, "image")
        self.config = pooled_config(base)
        assert isinstance(self.config, ImageConfig)
        self.names = class_names(about) if (about.get("labels") or {}).get("classes") else []
        self.splits = _read_splits(dataset, about, splits)
        if "train" in self.splits and len(self.splits["train"]) < spec.training.batch_size:
            # An image that is in its own batch twice would be its own negative.
            raise TrainingError(
                "batch_larger_than_data",
                field="training.batch_size",
                images=len(self.splits["train"]),
            )
        self.inputs = self._inputs(self.config)
        mean, deviation = self.inputs.mean, self.inputs.deviation
        self.images = {"mean": mean.tolist(), "std": deviation.tolist()}

    def _inputs(self, config: ImageConfig) -> ImageInputs:
        views, fixed = self.spec.views, config.fixed_px
        if fixed is not None and views.image_px not in (None, fixed):
            raise TrainingError("image_size_fixed", field="views.image_px", size=fixed)
        if config.in_channels not in (1, 3):
            raise TrainingError("image_channels", field="model", channels=config.in_channels)
        like = self.source
        if views.checkpoint:
            like = read_checkpoint(Path(views.checkpoint))
        card = like.card if like is not None else {}
        statistics = statistics_of(views.normalisation, card, config.in_channels)
        return ImageInputs(views.image_px or fixed or ANY_PX, config.in_channels, statistics)

    @property
    def width(self) -> int:
        return 0  # convolutions in bfloat16 are no quicker on a processor

    def needed_memory(self) -> int:
        return estimate_run(self.spec, self.config).memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The network with its starting weights, within the strategy's scope."""
        return self._task(self, compute_dtype, strategy, events)


def _read_splits(
    dataset: Path, about: dict[str, Any], wanted: Sequence[str]
) -> dict[str, Labelled]:
    """Every wanted split that there is.

    Raises:
        TrainingError: ``split_missing``.
    """
    found = {}
    for split in wanted:
        examples = examples_split(dataset, split, about)
        if examples is not None and len(examples):
            found[split] = examples
        elif split in ("train", "validation"):
            raise TrainingError("split_missing", field="data.path", split=split)
    return found
