"""How an upload is read and split."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from training.data.readers.tables import MOST_COLUMNS
from training.errors import gettext_noop as _
from training.settings import Settings, field_error

#: Sounds are learned as pictures of so many frames at most, and bands in such steps.
MOST_FRAMES, BAND_STEP = 256, 4
#: What labels are: names of classes, or a number of each example.
LabelType = Literal["auto", "classes", "number"]
#: What a table's column holds.
Type = Literal["number", "category", "ignored"]


class PrepareSpec(Settings):
    """Check, count and split an upload into a prepared data set (no TensorFlow)."""

    version: Literal[1] = 1
    path: str
    #: The name the file had; only its suffix is looked at, and only as a hint.
    filename: str = ""
    format: Literal[
        "auto", "text", "jsonl", "csv", "parquet", "conll", "images", "sounds", "table"
    ] = Field("auto", title=_("Format"), description=_("Auto looks at the name and the content."))
    text_field: str = Field(
        "",
        max_length=200,
        title=_("Text column"),
        description=_(
            "Column or key that holds the text, or the list of a sentence's words; of CoNLL the "
            "column's number, from 1. Empty: found by its name and content."
        ),
    )
    pair_field: str = Field(
        "",
        max_length=200,
        title=_("Second text column"),
        description=_(
            "Column or key that holds the second text of a pair, such as a hypothesis beside its "
            "premise or an answer beside its question; empty: each text stands alone."
        ),
    )
    label_field: str = Field(
        "",
        max_length=200,
        title=_("Label column"),
        description=_(
            "Column or key that holds each example's class or number, or the list of its words' "
            "tags; of CoNLL the column's number, from 1. Empty: tags of words are found by the "
            "column's name, other texts have no labels; images and sounds have those of the list "
            "that comes with them, or of their folders."
        ),
    )
    label_type: LabelType = Field(
        "auto",
        title=_("Labels are"),
        description=_(
            "Names of classes that are told apart, or a number of each example that is predicted. "
            "Automatic: numbers with fractions, or too many to be classes, are numbers."
        ),
    )
    leave_out_rare: bool = Field(
        False,
        title=_("Leave out rare classes"),
        description=_("Leave out classes with fewer examples than there are splits."),
    )
    folders_are_classes: bool = Field(
        True,
        title=_("Folders are classes"),
        description=_(
            "Images and sounds without a list of labels have their folder's name as their class."
        ),
    )
    targets: list[str] = Field(
        default_factory=list,
        max_length=100,
        title=_("Targets"),
        description=_(
            "Columns of a table that are to be predicted: classes are told apart, numbers are "
            "estimated. One a line; empty: none yet."
        ),
    )
    columns: dict[str, Type] = Field(
        default_factory=dict,
        max_length=MOST_COLUMNS,
        title=_("Types of columns"),
        description=_(
            "Of a table's columns whose type is to be another than the one found, one a line: "
            "name = number, category or ignored."
        ),
    )
    leave_out_unlabelled: bool = Field(
        True,
        title=_("Leave out rows without a target"),
        description=_("Leave out the rows of a table in which every target is missing."),
    )
    longest_px: int = Field(
        256,
        ge=8,
        le=1024,
        title=_("Longest side (pixels)"),
        description=_("Larger images are made smaller, in proportion; smaller ones stay."),
    )
    sound_rate: int | None = Field(
        None,
        ge=4000,
        le=48_000,
        title=_("Sampling rate (Hz)"),
        description=_(
            "Sounds are resampled to it, and hold frequencies up to half of it. Empty: the most "
            "frequent one of the files, at most 16,000."
        ),
    )
    sound_seconds: float | None = Field(
        None,
        ge=0.1,
        le=30,
        title=_("Length (seconds)"),
        description=_(
            "Longer sounds are cut at their end, shorter ones filled up with silence. Empty: what "
            "nearly all of them need, at most about two seconds."
        ),
    )
    mel_bands: int = Field(
        64,
        ge=28,
        le=64,
        title=_("Mel bands"),
        description=_(
            "Bands of frequencies that a sound's picture has, one above the other; a multiple of 4."
        ),
    )
    window_ms: float = Field(
        64,
        ge=8,
        le=256,
        title=_("Window (ms)"),
        description=_("Longer: pitches are told apart better, moments worse."),
    )
    hop_ms: float = Field(
        16,
        ge=2,
        le=128,
        title=_("Hop (ms)"),
        description=_(
            "From one column of the picture to the next; half of the window at most. Longer: "
            "longer sounds fit into a model."
        ),
    )
    same_level: bool = Field(
        True,
        title=_("Same level"),
        description=_("Every sound is made as loud as the others, by its loudest moment."),
    )
    validation_percent: float = Field(
        5,
        gt=0,
        le=50,
        title=_("Validation share (%)"),
        description=_("Examples held out to watch training."),
    )
    test_percent: float = Field(
        5,
        ge=0,
        le=50,
        title=_("Test share (%)"),
        description=_("Examples held out for the report; never seen while training."),
    )
    remove_duplicates: bool = Field(
        True,
        title=_("Remove duplicates"),
        description=_("Keep one of several with the same content; copies never straddle splits."),
    )
    seed: int = Field(0, ge=0, lt=2**31, title=_("Seed"), description=_("Decides the split."))

    @model_validator(mode="after")
    def _consistent(self) -> PrepareSpec:
        if self.validation_percent + self.test_percent >= 100:
            raise field_error("nothing_left_to_train", "test_percent")
        if self.mel_bands % BAND_STEP:
            raise field_error("mel_bands_step", "mel_bands", step=BAND_STEP)
        if 2 * self.hop_ms > self.window_ms:
            raise field_error("hop_too_long", "hop_ms", most=f"{self.window_ms / 2:g}")
        return self
