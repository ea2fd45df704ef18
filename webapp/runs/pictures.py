"""What a run has made, as pictures and as sounds: a row for each class, kept as events."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.jobs.models import JobEvent
from webapp.runs.models import Run
from webapp.runs.selectors import Sample

#: Rows of pictures on a page while a run works: those of the newest steps.
MOST_ROWS = 1000
#: What a browser is given; whatever else an event says stays where it is.
TYPES = ("image/png", "image/jpeg")

#: Set of the report → its title and what one sees, in the order of the page.
SETS: dict[str, tuple[str | Promise, str | Promise]] = {
    "made": (
        gettext_lazy("Made by this checkpoint"),
        gettext_lazy("Each column begins with the same random numbers."),
    ),
    "real": (gettext_lazy("Real"), gettext_lazy("Examples that it never saw.")),
    "reconstructions": (
        gettext_lazy("Made again"),
        gettext_lazy("Above what it never saw, below what came back."),
    ),
    "between": (
        gettext_lazy("From one to another"),
        gettext_lazy("Between two draws of random numbers."),
    ),
    "nearest": (
        gettext_lazy("Does it copy?"),
        gettext_lazy("One made, then the training examples nearest to it."),
    ),
}

#: Side of the report's table → what it is called.
SIDES: dict[str, str | Promise] = {
    "model": gettext_lazy("this checkpoint"),
    "real": gettext_lazy("real ones: the best that can be"),
    "means": gettext_lazy("the mean of each class"),
    "noise": gettext_lazy("noise"),
}


#: Of an event what a page shows without its pixels.
_TOLD = ("data__prompt", "data__sounds", "data__columns")


def _events(run: Run) -> QuerySet[JobEvent]:
    return JobEvent.objects.filter(job_id=run.job_id, kind="sample")


def grids(run: Run, after_seq: int = 0) -> list[Sample]:
    """The rows that it showed while it trained, newest step first; without their pixels."""
    rows = _events(run).filter(seq__gt=after_seq, data__set="samples").order_by("-seq")
    found = rows.values_list("seq", "step", *_TOLD)[:MOST_ROWS]
    samples = [
        Sample(seq, step or 0, str(name), "", picture=True, sounds=_lines(count, columns))
        for seq, step, name, count, columns in found
    ]
    return sorted(samples, key=lambda sample: (-sample.step, sample.seq))


def _lines(count: int | None, columns: int | None) -> list[list[int]]:
    """The places of what can be heard, as the images stand."""
    heard = range(count or 0)
    wide = max(1, columns or len(heard))
    return [list(heard[start : start + wide]) for start in range(0, len(heard), wide)]


def sound(run: Run, seq: int, place: int) -> bytes | None:
    """What an image of a row sounds like, a WAV file; None where that is not known.

    Args:
        run: Whose.
        seq: Number of the row's event.
        place: Which image of it, from 0.
    """
    later = JobEvent.objects.filter(job_id=run.job_id, seq__gt=seq)
    found = later.filter(kind="sound", data__place=place).order_by("seq").first()
    following = later.filter(kind="sample").order_by("seq").values_list("seq", flat=True).first()
    # A process that was killed may have told a row and not all of its sounds.
    if found is None or (following is not None and found.seq > following):
        return None
    told = base64.b64decode(found.data.get("sound", ""))
    return told if told.startswith(b"RIFF") else None


def content(run: Run, seq: int) -> tuple[bytes, str] | None:
    """A row's picture and its type; None where there is none."""
    event = _events(run).filter(seq=seq).first()
    if event is None or event.data.get("type") not in TYPES:
        return None
    return base64.b64decode(event.data.get("image", "")), str(event.data["type"])


@dataclass(frozen=True)
class Row:
    """A row of a set: its class, the number of its event, and what can be heard of it."""

    name: str
    seq: int
    sounds: list[list[int]]


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one kind in a report.

    Attributes:
        title: For people.
        about: What one sees.
        rows: One for each class.
    """

    title: str
    about: str
    rows: list[Row]


def of_report(run: Run) -> list[PictureSet]:
    """The report's pictures; the newest of each, since a run may have been taken up again."""
    rows = _events(run).filter(data__set__in=list(SETS)).order_by("seq")
    found: dict[str, dict[str, Row]] = {}
    for seq, kind, name, count, columns in rows.values_list("seq", "data__set", *_TOLD):
        found.setdefault(str(kind), {})[str(name)] = Row(str(name), seq, _lines(count, columns))
    return [
        PictureSet(str(title), str(about), list(found[kind].values()))
        for kind, (title, about) in SETS.items()
        if kind in found
    ]


@dataclass(frozen=True)
class SideRow:
    """One side of a report's table."""

    key: str
    title: str | Promise
    class_accuracy: float
    frechet: float
    beats: bool


def sides(generated: Mapping[str, Any]) -> list[SideRow]:
    """The model between the best that can be and what needs no learning."""
    return [
        SideRow(
            key,
            title,
            generated["sides"][key]["class_accuracy"],
            generated["sides"][key]["frechet"],
            key in generated["beaten_by"],
        )
        for key, title in SIDES.items()
        if key in generated["sides"]
    ]


def verdict(generated: Mapping[str, Any]) -> str:
    """One sentence: is what it makes worth anything?"""
    found = generated["sides"]
    values = {
        "right": f"{100 * found['model']['class_accuracy']:.0f}",
        "distance": f"{found['model']['frechet']:.1f}",
        "real": f"{found['real']['frechet']:.1f}",
        "means": f"{found['means']['frechet']:.1f}",
        "noise": f"{found['noise']['frechet']:.1f}",
        "chance": f"{100 / max(1, len(generated['classes'])):.0f}",
    }
    if "noise" in generated["beaten_by"]:
        told = _(
            "It has learned nothing yet: what it makes lies as far from real ones (%(distance)s) "
            "as noise does (%(noise)s)."
        )
    elif generated["beaten_by"]:
        told = _(
            "It is not yet worth anything: the mean of each class, always the same, lies nearer to "
            "real ones (%(means)s) than what it makes (%(distance)s). Train it longer."
        )
    else:
        told = _(
            "%(right)s%% of what it makes is of the class that was meant, where chance would be "
            "%(chance)s%%. It lies %(distance)s from real ones: those lie %(real)s from each "
            "other, the mean of each class %(means)s, noise %(noise)s."
        )
    return told % values


def warnings(generated: Mapping[str, Any]) -> list[str]:
    """What makes the numbers doubtful."""
    found, judge = [], generated["judge"]
    if generated["rough"]:
        found.append(
            _(
                "Only %(images)s real ones were there to compare with, and the judge sees "
                "%(width)s numbers in each: the distances are rough, and larger than with many."
            )
            % {"images": generated["images"], "width": generated["width"]}
        )
    if judge["accuracy"] < 0.9:
        found.append(
            _(
                "The judge tells only %(percent)s%% of real ones right, so what it says of made "
                "ones means little."
            )
            % {"percent": f"{100 * judge['accuracy']:.0f}"}
        )
    if generated["copying"]["copies"]:
        found.append(
            _(
                "What it makes lies much nearer to training examples than real, unseen ones do: "
                "it has learned some of them by heart."
            )
        )
    return found
