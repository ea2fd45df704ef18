"""Entities in the tags of words: which scheme tags follow, and where entities begin and end.

    Anna  B-PER      an entity of the type PER, of two words
    Blum  I-PER
    met   O

- Ramshaw and Marcus, 1995, "Text Chunking using Transformation-Based Learning" (IOB1); Tjong Kim
  Sang and Veenstra, 1999, "Representing Text Chunks" (IOB2); Ratinov and Roth, 2009, "Design
  Challenges and Misconceptions in Named Entity Recognition" (BILOU, elsewhere BIOES).

Tags are read leniently, as ``conlleval`` and the default of ``seqeval`` do: I-X that continues
nothing begins an entity. So IOB1 and IOB2 need no setting, and a malformed tag costs no more than
its own entity. Pure Python.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OUTSIDE = "O"
#: Prefix as BIOES has it, by those of BILOU and BMES.
_PREFIX = {"L": "E", "U": "S", "M": "I"}
_TAG = re.compile(r"([BIESLUM])(?:-(.+))?")

#: Type, first word and last word.
Entity = tuple[str, int, int]
#: ``O`` or the prefix as BIOES has it, and the type.
Parts = tuple[str, str]


def parts_of(tag: str) -> Parts | None:
    """Prefix and type of a tag, ``("O", "")`` outside of entities; None: it is no such tag."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    found = _TAG.fullmatch(tag)
    if found is None:
        return None
    return _PREFIX.get(found[1], found[1]), found[2] or "_"


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a sentence, in order; tags that follow no scheme are outside of all."""
    found: list[Entity] = []
    begun: tuple[str, int] | None = None
    before: Parts = (OUTSIDE, "")
    for place, tag in enumerate([*tags, OUTSIDE]):
        now = parts_of(tag) or (OUTSIDE, "")
        if begun is not None and not continues(before, now):
            found.append((*begun, place - 1))
            begun = None
        if begun is None and now[0] != OUTSIDE:
            begun = (now[1], place)
        before = now
    return found


def continues(before: Parts, now: Parts) -> bool:
    """Whether a tag goes on with the entity of the one before it."""
    inside = OUTSIDE not in (before[0], now[0]) and before[1] == now[1]
    return inside and before[0] not in "ES" and now[0] not in "BS"


@dataclass
class SchemeCounts:
    """What decides which scheme tags follow, gathered sentence by sentence.

    Attributes:
        lone: B- that no entity of its type stands before, as IOB1 never has it.
        started: I- and E- that continue no entity, as only IOB1 has it.
        unended: Entities of BIOES that end without E- or S-.
    """

    lone: int = 0
    started: int = 0
    unended: int = 0

    def add(self, tags: Sequence[str]) -> None:
        """Count a sentence's."""
        before: Parts = (OUTSIDE, "")
        for tag in [*tags, OUTSIDE]:
            now = parts_of(tag) or (OUTSIDE, "")
            same = before[0] != OUTSIDE and before[1] == now[1]
            goes_on = continues(before, now)
            self.lone += now[0] == "B" and not same
            self.started += now[0] in ("I", "E") and not goes_on
            self.unended += before[0] in ("B", "I") and not goes_on
            before = now

    def scheme(self, names: Iterable[str]) -> str | None:
        """``IOB1``, ``IOB2``, ``BIOES`` or ``BILOU``; None where tags are not those of entities.

        Args:
            names: Every tag there is.
        """
        prefixes: Counter[str] = Counter()
        for name in names:
            if name == OUTSIDE:
                continue
            found = _TAG.fullmatch(name)
            if found is None:
                return None
            prefixes[found[1]] += 1
        if not prefixes:
            return None
        if set("LU") & set(prefixes):
            return "BILOU"
        if set("ESM") & set(prefixes):
            return "BIOES"
        return "IOB2" if self.lone >= self.started and prefixes["B"] else "IOB1"

    def malformed(self, scheme: str | None) -> int:
        """How many tags break the rules of a scheme."""
        match scheme:
            case None:
                return 0
            case "IOB1":
                return self.lone
            case "IOB2":
                return self.started
            case _:
                return self.started + self.unended
