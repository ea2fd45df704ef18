"""What networks of texts and images are shown of an example: what they were trained with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from training.backbones.encoder.config import EncoderConfig
from training.backbones.image_config import ImageConfig
from training.backbones.registry import model_class
from training.data.inputs import ImageInputs, Inputs, TextInputs
from training.data.labelled import Labelled
from training.data.pixels import ANY_PX, Statistics, statistics_of
from training.data.tokenizers import tokenizer_of
from training.errors import TrainingError
from training.predicting.outputs import Outputs, Progress, outputs_of
from training.settings import Settings
from training.weights.checkpoint import Checkpoint


class InputSizes(Settings):
    """How much of an example is seen; of the other kind of data nothing is said."""

    image_px: int | None = None
    most_tokens: int | None = None


def sizes_of(checkpoint: Checkpoint, image_px: int | None, most_tokens: int) -> InputSizes:
    """What a network was trained with, by its card; else what is given."""
    config = checkpoint.config
    told: dict[str, Any] = checkpoint.card.get("inputs") or {}
    if isinstance(config, ImageConfig):
        px = config.fixed_px or told.get("image_px") or image_px or ANY_PX
        return InputSizes(image_px=px)
    if isinstance(config, EncoderConfig):
        most = told.get("most_tokens") or most_tokens
        return InputSizes(most_tokens=min(most, config.context or most))
    return InputSizes()


def statistics_for(checkpoint: Checkpoint) -> Statistics:
    """Mean and deviation that a network of images was trained with."""
    config = checkpoint.config
    assert isinstance(config, ImageConfig)
    return statistics_of("auto", checkpoint.card, config.in_channels)


def inputs_for(
    checkpoint: Checkpoint, sizes: InputSizes, rows: Iterable[Mapping[str, Any]], field: str
) -> Inputs:
    """What a network is shown.

    Args:
        checkpoint: The network.
        sizes: From :func:`sizes_of`.
        rows: Of texts, all that will be asked for.
        field: Of the spec, which a refusal names.

    Raises:
        TrainingError: ``image_channels``.
    """
    config = checkpoint.config
    if isinstance(config, ImageConfig):
        if config.in_channels not in (1, 3):
            raise TrainingError("image_channels", field=field, channels=config.in_channels)
        px = sizes.image_px or ANY_PX
        return ImageInputs(px, config.in_channels, statistics_for(checkpoint))
    assert sizes.most_tokens is not None
    return TextInputs(tokenizer_of(checkpoint), rows, sizes.most_tokens)


def network_outputs(
    checkpoint: Checkpoint,
    inputs: Inputs,
    splits: list[Labelled],
    batch_size: int,
    progress: Progress | None = None,
) -> Outputs:
    """What a network's head says of texts or images, float64 [examples, outputs].

    Args:
        checkpoint: The network.
        inputs: From :func:`inputs_for`.
        splits: The examples, one split after the other.
        batch_size: Shown together.
        progress: See :func:`training.predicting.outputs.outputs_of`.
    """
    model = model_class(checkpoint.config.architecture)(checkpoint.config)
    model.load_named(checkpoint.tensors())
    total, before, found = sum(map(len, splits)), 0, []

    def call(arrays: Any) -> Any:
        return [inputs.call(model, arrays, training=False)]

    for examples in splits:

        def tell(share: float, start: int = before, count: int = len(examples)) -> None:
            if progress is not None:
                progress((start + share * count) / total)

        def take(rows: Any, of: Labelled = examples) -> Any:
            return inputs.take(of, rows)

        found += outputs_of(call, take, len(examples), batch_size, tell)
        before += len(examples)
    return np.concatenate(found)
