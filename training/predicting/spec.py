"""The spec of predictions. Light."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.data.pixels import ImagePx
from training.errors import gettext_noop as _
from training.settings import Settings
from training.spec import SPEC_VERSION, DataSpec, DeviceSpec, Seed


class PredictSpec(Settings):
    """Predict with a supervised checkpoint, or with a head, on a prepared data set."""

    version: Literal[1] = SPEC_VERSION
    checkpoint: str = Field(
        title=_("Checkpoint"), description=_("A classifier, a model of numbers, an ensemble.")
    )
    #: A head on frozen features: ``checkpoint`` is then the model whose features it reads.
    head: str = ""
    data: DataSpec
    split: Literal["all", "train", "validation", "test"] = Field(
        "all", title=_("Split"), description=_("Which part of the data is predicted.")
    )
    unknown_labels: Literal["leave_out", "refuse"] = Field(
        "leave_out",
        title=_("Labels that the model does not know"),
        description=_(
            "The data may have classes that the model never learned. Their rows are predicted, "
            "counted and left out of the scores; or nothing is predicted and they are named."
        ),
    )
    other_types: Literal["convert", "refuse"] = Field(
        "convert",
        title=_("Columns of another type"),
        description=_(
            "A column may hold categories where the model learned numbers, or numbers where it "
            "learned categories. Its values are read as what the model knows, and those that "
            "cannot be are counted and missing; or nothing is predicted and the columns are named."
        ),
    )
    format: Literal["csv", "parquet"] = Field(
        "csv", title=_("File"), description=_("Form of the file with all predictions.")
    )
    #: For models of which nobody knows what they were trained with.
    image_px: ImagePx = None
    most_tokens: int = Field(
        128,
        ge=4,
        le=32_768,
        title=_("Longest text (tokens)"),
        description=_("For models of which nobody knows what they were trained with."),
    )
    #: Prepared data sets that the checkpoint, or what it came from, learned from, beside these
    #: data: examples of theirs that are predicted are counted.
    trained_on: list[str] = Field(default_factory=list)
    batch_size: int = Field(
        64,
        ge=1,
        le=4096,
        title=_("Batch size"),
        description=_("Examples that the model is shown together."),
    )
    seed: Seed = 0
    devices: DeviceSpec = Field(default_factory=DeviceSpec)
