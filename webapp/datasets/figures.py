"""A version's numbers, shaped for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.datasets.models import DatasetVersion
from webapp.jobs.models import Job, State
from webapp.jobs.selectors import sentence

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


@dataclass(frozen=True)
class Bar:
    """One range of document lengths; x, y, width, height in units of the viewBox."""

    low: int
    high: int
    documents: int
    x: int
    y: int
    width: int
    height: int
    middle: int


@dataclass(frozen=True)
class Split:
    name: str
    label: Any
    documents: int
    tokens: int
    characters: int
    percent: float


@dataclass(frozen=True)
class Class:
    """A class of labelled texts: documents of each split, in the splits' order, and its share of
    all documents, 0..1."""

    name: str
    documents: list[int]
    share: float


@dataclass(frozen=True)
class Progress:
    """How far a check is.

    Attributes:
        phase: What it is doing, in the reader's language.
        fraction: 0..1, None when not known.
        documents: Read so far.
        bytes_per_s: Of the raw file.
        left_s: Seconds left.
    """

    phase: str
    fraction: float | None
    documents: str
    bytes_per_s: float | None
    left_s: float | None


def bars(version: DatasetVersion) -> list[Bar]:
    """The histogram of tokens a document."""
    ranges = _framed(version.summary.get("lengths") or [])
    most = max((row["documents"] for row in ranges), default=0)
    if not most:
        return []
    step = WIDTH // len(ranges)
    found = []
    for place, row in enumerate(ranges):
        # A range with any documents shows: at least two units high.
        height = max(round(row["documents"] / most * (HEIGHT - 20)), 2 if row["documents"] else 0)
        found.append(
            Bar(
                low=row["from"],
                high=row["to"] - 1,
                documents=row["documents"],
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
        framed.append({"from": high, "to": 2 * high, "documents": 0})
        if low > 1 and len(framed) < LEAST_RANGES:
            framed.insert(0, {"from": low // 2, "to": low, "documents": 0})
    return framed


def splits(version: DatasetVersion) -> list[Split]:
    """Documents and tokens of training, validation and test, with the share of tokens."""
    rows = version.summary.get("splits") or {}
    total = sum(row["tokens"] for row in rows.values()) or 1
    return [
        Split(
            name,
            SPLIT_NAMES.get(name, name),
            row["documents"],
            row["tokens"],
            row["characters"],
            100 * row["tokens"] / total,
        )
        for name, row in rows.items()
    ]


def classes(version: DatasetVersion) -> list[Class]:
    """The classes of labelled texts, the largest first; none where there are no labels."""
    rows = (version.summary.get("labels") or {}).get("classes") or []
    counts = [sum(row[name] for name in SPLIT_NAMES if name in row) for row in rows]
    total = sum(counts) or 1
    return [
        Class(row["name"], [row.get(name, 0) for name in _splits_of(version)], count / total)
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
    documents = detail if job.phase == "reading" and detail.isdigit() else ""
    return Progress(phase, job.fraction, documents, rate, left)


def settings_used(version: DatasetVersion) -> list[tuple[Any, Any]]:
    """The settings of the check, as they are called in the form."""
    from webapp.datasets.forms import SETTINGS, SettingsForm

    form = SettingsForm()
    rows: list[tuple[Any, Any]] = []
    for name in SETTINGS:
        value = version.job.spec.get(name)
        field = form.fields[name]
        choices = dict(getattr(field, "choices", []))
        if isinstance(value, bool):
            shown: Any = gettext("yes") if value else gettext("no")
        elif value == "":
            shown = gettext("none") if name == "label_field" else gettext("automatic")
        else:
            shown = choices.get(value, f"{value:g}" if isinstance(value, float) else value)
        rows.append((field.label, shown))
    return rows
