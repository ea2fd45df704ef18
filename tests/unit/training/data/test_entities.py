"""Entities in tags: where they begin and end, as seqeval has it, and which scheme tags follow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.parity.fixtures import REFERENCE
from training.data.entities import SchemeCounts, entities, parts_of

#: By ``tests.parity.make_entities``.
SEQEVAL: dict[str, Any] = json.loads((REFERENCE / "entities.json").read_text())


def scheme(*sentences: str) -> tuple[str | None, int]:
    """Scheme and malformed tags of sentences, each written as its tags."""
    counts, names = SchemeCounts(), set()
    for sentence in sentences:
        counts.add(sentence.split())
        names |= set(sentence.split())
    found = counts.scheme(names)
    return found, counts.malformed(found)


@pytest.mark.parametrize("name", SEQEVAL)
def test_entities_are_those_that_seqeval_reads(name: str) -> None:
    case = SEQEVAL[name]
    for tags, expected in zip(case["true"], case["entities"], strict=True):
        assert [list(one) for one in entities(tags)] == expected


def test_an_i_that_continues_nothing_begins_an_entity() -> None:
    assert entities(["O", "I-PER", "I-PER", "I-LOC"]) == [("PER", 1, 2), ("LOC", 3, 3)]
    assert entities(["B-PER", "B-PER", "O"]) == [("PER", 0, 0), ("PER", 1, 1)]


def test_tags_of_bilou_are_those_of_bioes() -> None:
    bioes = entities(["B-X", "I-X", "E-X", "S-Y", "O"])
    assert entities(["B-X", "I-X", "L-X", "U-Y", "O"]) == bioes == [("X", 0, 2), ("Y", 3, 3)]


def test_what_is_no_tag_of_an_entity_is_outside() -> None:
    assert entities(["NOUN", "VERB"]) == []
    assert parts_of("NOUN") is None
    assert parts_of("B-A-B") == ("B", "A-B")
    assert parts_of("B") == ("B", "_")


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["O B-PER I-PER O", "B-LOC O"], ("IOB2", 0)),
        (["O B-PER I-PER O", "B-LOC O I-LOC O"], ("IOB2", 1)),
        # The first tag of an entity is I, and B only parts two of one type.
        (["O I-PER I-PER O", "I-LOC B-LOC I-LOC O"], ("IOB1", 0)),
        (["O I-PER I-PER O", "O I-LOC O"], ("IOB1", 0)),
        (["O B-PER E-PER S-LOC"], ("BIOES", 0)),
        (["O B-PER I-PER O S-LOC", "O E-LOC"], ("BIOES", 2)),
        (["O B-PER L-PER U-LOC"], ("BILOU", 0)),
        (["NOUN VERB .", "O B-PER"], (None, 0)),
        (["O O O"], (None, 0)),
    ],
)
def test_the_scheme_follows_from_the_tags(
    sentences: list[str], expected: tuple[str | None, int]
) -> None:
    assert scheme(*sentences) == expected
