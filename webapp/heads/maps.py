"""A head's map of its data: the points of an SVG, and one of them with its neighbours."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from webapp import storage
from webapp.heads.models import Head
from webapp.templatetags.graft import amount

#: Classes with a colour of their own, the largest first; the others share one.
COLOURS = 9
#: Of the SVG's viewBox, and what is left free at its edges.
WIDTH, HEIGHT, MARGIN = 1000, 760, 14


@dataclass(frozen=True)
class Spot:
    """A point on the drawing; x and y in units of the viewBox."""

    index: int
    x: float
    y: float
    colour: str
    faded: bool
    told: str


@dataclass(frozen=True)
class Entry:
    """A line of the legend; ``name`` is empty for all other classes together."""

    name: str
    colour: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Item:
    """A point that is looked at, with its neighbours, the nearest first."""

    index: int
    point: dict[str, Any]
    neighbours: list[Neighbour]
    x: float
    y: float
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Neighbour:
    index: int
    point: dict[str, Any]
    cosine: float
    same: bool


def read(head: Head) -> dict[str, Any]:
    """``map.json``.

    Raises:
        storage.BlobMissing: It is not in the store any more.
    """
    with storage.open_blob(head.manifest["map.json"]["blake3"]) as file:
        found: dict[str, Any] = json.load(file)
    return found


def spots(document: dict[str, Any], chosen: str) -> list[Spot]:
    """Every point; those of other classes than the chosen one are faded.

    Args:
        document: From :func:`read`.
        chosen: A class; empty: none is.
    """
    colours = _colours(document)
    return [
        Spot(
            index,
            *_place(point),
            colours[point["label"]],
            bool(chosen) and point["label"] != chosen,
            amount(point["number"]) if "number" in point else point["label"],
        )
        for index, point in enumerate(document["points"])
    ]


def legend(document: dict[str, Any], chosen: str) -> list[Entry]:
    """The classes that have a colour, and the others together."""
    counts = Counter(point["label"] for point in document["points"])
    colours = _colours(document)
    own = [name for name in document["classes"] if colours[name] != OTHER]
    found = [Entry(name, colours[name], counts[name], name == chosen) for name in own]
    if rest := sum(counts.values()) - sum(entry.count for entry in found):
        found.append(Entry("", OTHER, rest, False))
    return found


def item(document: dict[str, Any], index: int) -> Item:
    """A point with its neighbours.

    Raises:
        IndexError: There is no such point.
    """
    points = document["points"]
    if not 0 <= index < len(points):
        raise IndexError(index)
    point = points[index]
    near = [
        Neighbour(other, points[other], cosine, points[other]["label"] == point["label"])
        for other, cosine in point["neighbours"]
    ]
    before = index - 1 if index else None
    after = index + 1 if index + 1 < len(points) else None
    return Item(index, point, near, *_place(point), before, after)


OTHER = "other"


def _colours(document: dict[str, Any]) -> dict[str, str]:
    return {
        name: str(place) if place < COLOURS else OTHER
        for place, name in enumerate(document["classes"])
    }


def _place(point: dict[str, Any]) -> tuple[float, float]:
    return (
        round(MARGIN + point["x"] * (WIDTH - 2 * MARGIN), 1),
        round(MARGIN + point["y"] * (HEIGHT - 2 * MARGIN), 1),
    )
