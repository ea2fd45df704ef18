"""A version's numbers, shaped for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.data.entities import parts_of
from training.data.labelled import number_name
from webapp import taggings
from webapp.datasets import table_figures as column_figures
from webapp.datasets.models import DatasetVersion
from webapp.datasets.table_figures import TYPES, bars_of, note_of
from webapp.jobs.models import Job, State
from webapp.jobs.selectors import sentence
from webapp.templatetags.graft import amount

#: Of the histogram, in the units of its viewBox.
WIDTH, HEIGHT = 640, 150
#: Ranges that it has at least: one bar alone says nothing.
LEAST_RANGES = 5

PHASES: dict[str, Any] = {
    "loading": _("Loading"),
    "reading": _("Reading and counting"),
    "checking": _("Checking"),
    "tokenizing": _("Counting tokens"),
    "splitting": _("Splitting"),
    "saving": _("Saving"),
}

SPLIT_NAMES: dict[str, Any] = {
    "train": _("training"),
    "validation": _("validation"),
    "test": _("test"),
}


#: Kind of data → what its examples are called in its summary.
COUNTED = {"text": "documents", "image": "images", "sound": "sounds", "table": "rows"}
#: Kind of data → the histogram of its examples' sizes; rows of a table have none.
HISTOGRAMS = {"text": "lengths", "image": "sides", "sound": "lengths_ms"}
#: Format that was asked for → kind of data, where nothing could be read.
ASKED = {"images": "image", "sounds": "sound", "table": "table"}


@dataclass(frozen=True)
class Bar:
    """One range of sizes; x, y, width, height in units of the viewBox."""

    low: int
    high: int
    examples: int
    x: int
    y: int
    width: int
    height: int
    middle: int


@dataclass(frozen=True)
class Split:
    """A split; ``tokens`` is None for all but texts. The share is of tokens, or of examples."""

    name: str
    label: Any
    examples: int
    tokens: int | None
    percent: float


@dataclass(frozen=True)
class Class:
    """A class: examples of each split, in the splits' order, and its share of all, 0..1."""

    name: str
    examples: list[int]
    share: float


@dataclass(frozen=True)
class TagRow(Class):
    """A tag, or a type of entities: the same of words, or of entities, and its colour."""

    colour: int


@dataclass(frozen=True)
class TagFigures:
    """The tags of words, and the entities that they are of, the commonest first.

    Attributes:
        tags: Words of each.
        entities: Entities of each type; none where tags are not those of entities.
        sentences: Of the preview, ``{id, split, words (webapp.taggings.Word), length}``.
    """

    tags: list[TagRow]
    entities: list[TagRow]
    sentences: list[dict[str, Any]]


@dataclass(frozen=True)
class Number:
    """A number that is to be predicted of each example.

    Attributes:
        name: Its column's.
        note: Its range, in a line.
        bars: Its histogram.
        figures: (title, value) of each.
    """

    name: str
    note: str
    bars: list[column_figures.Bar]
    figures: list[tuple[str, str]]


@dataclass(frozen=True)
class Progress:
    """How far a check is.

    Attributes:
        phase: What it is doing, in the reader's language.
        fraction: 0..1, None when not known.
        examples: Read so far.
        bytes_per_s: Of the raw file.
        left_s: Seconds left.
    """

    phase: str
    fraction: float | None
    examples: str
    bytes_per_s: float | None
    left_s: float | None


def bars(version: DatasetVersion) -> list[Bar]:
    """The histogram: tokens a document, the longer side of an image in pixels, or milliseconds of a
    sound."""
    if version.kind not in HISTOGRAMS:
        return []
    histogram, counted = HISTOGRAMS[version.kind], COUNTED[version.kind]
    ranges = _framed(
        [
            {"from": row["from"], "to": row["to"], "examples": row[counted]}
            for row in version.summary.get(histogram) or []
        ]
    )
    most = max((row["examples"] for row in ranges), default=0)
    if not most:
        return []
    step = WIDTH // len(ranges)
    found = []
    for place, row in enumerate(ranges):
        # A range with any examples shows: at least two units high.
        height = max(round(row["examples"] / most * (HEIGHT - 20)), 2 if row["examples"] else 0)
        found.append(
            Bar(
                low=row["from"],
                high=row["to"] - 1,
                examples=row["examples"],
                x=place * step + 2,
                y=HEIGHT - height,
                width=min(step - 4, 72),
                height=height,
                middle=place * step + 2 + min(step - 4, 72) // 2,
            )
        )
    return found


def _framed(ranges: list[dict[str, int]]) -> list[dict[str, int]]:
    """With empty ranges at both ends, so that a few bars stand in a scale."""
    if not ranges:
        return []
    framed = list(ranges)
    while len(framed) < LEAST_RANGES:
        low, high = framed[0]["from"], framed[-1]["to"]
        framed.append({"from": high, "to": 2 * high, "examples": 0})
        if low > 1 and len(framed) < LEAST_RANGES:
            framed.insert(0, {"from": low // 2, "to": low, "examples": 0})
    return framed


def splits(version: DatasetVersion) -> list[Split]:
    """Examples of training, validation and test, with their share."""
    rows = version.summary.get("splits") or {}
    counted = COUNTED[version.kind]
    weights = [row.get("tokens", row[counted]) for row in rows.values()]
    total = sum(weights) or 1
    return [
        Split(
            name, SPLIT_NAMES.get(name, name), row[counted], row.get("tokens"), 100 * weight / total
        )
        for (name, row), weight in zip(rows.items(), weights, strict=True)
    ]


def classes(version: DatasetVersion) -> list[Class]:
    """The classes, the largest first; none where there are no labels."""
    rows = (version.summary.get("labels") or {}).get("classes") or []
    counts = [sum(row[name] for name in SPLIT_NAMES if name in row) for row in rows]
    total = sum(counts) or 1
    return [
        Class(row["name"], [row.get(name, 0) for name in _splits_of(version)], count / total)
        for row, count in zip(rows, counts, strict=True)
    ]


def sound(version: DatasetVersion) -> dict[str, Any]:
    """How long its sounds are learned, the windows of their pictures, and the rates that they came
    at, for its page."""
    about = version.summary["sound"]
    return {
        "sound_rates": f"{', '.join(version.summary['rates'])} Hz",
        "sound_seconds": about["frames"] * about["hop"] / about["rate"],
        "sound_window_ms": 1000 * about["window"] / about["rate"],
        "sound_hop_ms": 1000 * about["hop"] / about["rate"],
    }


def number(version: DatasetVersion) -> Number | None:
    """The number that is to be predicted; None where labels are classes, or there are none."""
    labels = version.summary.get("labels") or {}
    if labels.get("type") != "number" or version.kind == "table":
        return None
    statistics = labels["statistics"]
    figures = [
        (gettext("Lowest"), amount(statistics["minimum"])),
        (gettext("Mean"), amount(statistics["mean"])),
        (gettext("Median"), amount(statistics["quantiles"]["50"])),
        (gettext("Highest"), amount(statistics["maximum"])),
        (gettext("Standard deviation"), amount(statistics["std"])),
        (gettext("Different"), f"{labels['different']:,}"),
        (gettext("Without a number"), f"{labels['unlabelled']:,}"),
        (gettext("Contradicting copies"), f"{labels['conflicts']:,}"),
    ]
    return Number(number_name(version.summary), note_of(labels), bars_of(labels), figures)


def tags(version: DatasetVersion) -> TagFigures | None:
    """The tags of its sentences' words; None where it has none."""
    labels = version.summary.get("labels") or {}
    if labels.get("type") != "tags":
        return None
    scheme = labels["scheme"]
    of = taggings.colours([row["name"] for row in labels["tags"]], scheme)
    types = {(parts_of(tag) or ("", ""))[1]: colour for tag, colour in of.items()}
    return TagFigures(
        _tag_rows(version, labels["tags"], of),
        _tag_rows(version, labels["entities"], types),
        [
            {**one, "words": taggings.coloured(one["words"], one["tags"], of)}
            for one in version.preview["documents"]
        ],
    )


def _tag_rows(
    version: DatasetVersion, rows: list[dict[str, Any]], colours: dict[str, int]
) -> list[TagRow]:
    names = _splits_of(version)
    counts = [[row.get(name, 0) for name in names] for row in rows]
    total = sum(map(sum, counts)) or 1
    return [
        TagRow(row["name"], count, sum(count) / total, colours.get(row["name"], 0))
        for row, count in zip(rows, counts, strict=True)
    ]


def _splits_of(version: DatasetVersion) -> list[str]:
    return list(version.summary.get("splits") or {})


def warnings(version: DatasetVersion) -> list[str]:
    """What is worth knowing, each a sentence in the reader's language."""
    return [
        sentence(warning["code"], warning.get("params") or {})
        for warning in version.summary.get("warnings") or []
    ]


def progress(job: Job, size: int) -> Progress:
    """How far a running check is; rate and time left while the file is read."""
    phase = str(PHASES.get(job.phase, job.phase)) or gettext("Starting")
    detail = str(job.live.get("detail") or "")
    rate = left = None
    if job.state == State.RUNNING and job.started_at and job.phase == "reading" and job.fraction:
        elapsed = max((timezone.now() - job.started_at).total_seconds(), 0.001)
        rate = job.fraction * size / elapsed
        left = elapsed * (1 - job.fraction) / job.fraction
    examples = detail if job.phase == "reading" and detail.isdigit() else ""
    return Progress(phase, job.fraction, examples, rate, left)


def settings_used(version: DatasetVersion) -> list[tuple[Any, Any]]:
    """The settings of the check that mattered, as they are called in the form."""
    from webapp.datasets.forms import KIND_SETTINGS, SETTINGS, SettingsForm

    form = SettingsForm()
    kind = version.kind
    if not version.summary:
        # Nothing could be read: what was asked for says what it was taken for.
        kind = ASKED.get(version.job.spec.get("format", ""), kind)
    own = set(KIND_SETTINGS.get(kind, ()))
    left_out = {name for names in KIND_SETTINGS.values() for name in names} - own
    if kind == "table" and not version.job.spec.get("label_field"):
        left_out |= {"label_field", "label_type"}
    tagged = (version.summary.get("labels") or {}).get("type") == "tags"
    if tagged:
        left_out |= {"pair_field", "label_type", "leave_out_rare"}
    if kind == "sound":  # their labels are always classes
        left_out.add("label_type")
    rows: list[tuple[Any, Any]] = []
    for name in SETTINGS:
        value = version.job.spec.get(name)
        if name in left_out or value is None:
            continue
        field = form.fields[name]
        choices = dict(getattr(field, "choices", []))
        if isinstance(value, bool):
            shown: Any = gettext("yes") if value else gettext("no")
        elif isinstance(value, list):
            shown = ", ".join(value) or gettext("none")
        elif isinstance(value, dict):
            types = [f"{column}: {TYPES[type]}" for column, type in value.items()]
            shown = ", ".join(types) or gettext("as found")
        elif value == "":
            none = name in ("label_field", "pair_field") and kind == "text" and not tagged
            shown = gettext("none") if none else gettext("automatic")
        else:
            shown = choices.get(value, f"{value:g}" if isinstance(value, float) else value)
        rows.append((field.label, shown))
    return rows
