"""What written texts are worth beside real ones: how varied, how repetitive, how much copied.

    distinct-n  = different n-grams / all n-grams, over all texts of a side             [0]
    repetition  = share of a text's n-grams that stood in it before
    copied      = share of long n-grams that stand in the training texts                [1]

- [0] Li et al., 2016, "A Diversity-Promoting Objective Function", https://arxiv.org/abs/1510.03055
- [1] Lee et al., 2022, "Deduplicating Training Data Makes Language Models Better",
  https://arxiv.org/abs/2107.06499

Details people get wrong: distinct-n falls with the number of n-grams, so sides compare only over
equally many; what real, unseen texts share with the training texts (idioms, quotations) has to
stand beside what written ones do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")
_HAN = re.compile("[\u3400-\u9fff]")

#: N-grams of which repetition is measured.
REPEATED = 4
#: Training texts that are searched for copies, in characters.
MOST_CHARACTERS = 50_000_000


@dataclass(frozen=True)
class Units:
    """What texts are counted in.

    Attributes:
        name: ``words``, or of Chinese, which has no spaces, ``characters``.
        copied: Of so many in a row, one found elsewhere is copied.
    """

    name: str
    copied: int


WORDS, CHARACTERS = Units("words", 8), Units("characters", 12)


def units_of(texts: Sequence[str]) -> Units:
    """Words, unless most of the texts is Chinese."""
    sample = "".join(text[:200] for text in texts[:500])
    return CHARACTERS if 2 * len(_HAN.findall(sample)) > len(sample.replace(" ", "")) else WORDS


def split(text: str) -> list[str]:
    """Its words, in lower case and without punctuation; a Chinese character is one."""
    return _WORD.findall(text.lower())


def grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """All n-grams, in order."""
    return zip(*(words[start:] for start in range(n)), strict=False)


def distinct(texts: Iterable[Sequence[str]], n: int, most: int) -> float | None:
    """Different n-grams as a share of the first ``most``; None where there are none."""
    found: list[tuple[str, ...]] = []
    for words in texts:
        found.extend(grams(words, n))
        if len(found) >= most:
            break
    found = found[:most]
    return len(set(found)) / len(found) if found else None


def gram_count(texts: Iterable[Sequence[str]], n: int) -> int:
    """How many n-grams there are."""
    return sum(max(0, len(words) - n + 1) for words in texts)


def repetition(texts: Iterable[Sequence[str]], n: int = REPEATED) -> float | None:
    """Share of n-grams that stood in their text before; None where no text has any."""
    every = again = 0
    for words in texts:
        found = list(grams(words, n))
        every += len(found)
        again += len(found) - len(set(found))
    return again / every if every else None


def copied(
    sides: dict[str, list[list[str]]], known: Iterable[str], n: int
) -> dict[str, float | None]:
    """Of each side the share of n-grams that stand in the training texts; None where there are
    none.

    Args:
        sides: Texts of each, as words.
        known: Training texts; looked through once, without being kept.
        n: Length.
    """
    wanted = {
        name: [gram for words in texts for gram in grams(words, n)] for name, texts in sides.items()
    }
    looked_for = {gram for found in wanted.values() for gram in found}
    there: set[tuple[str, ...]] = set()
    characters = 0
    for text in known:
        there.update(gram for gram in grams(split(text), n) if gram in looked_for)
        characters += len(text)
        if characters >= MOST_CHARACTERS:
            break
    return {
        name: sum(gram in there for gram in found) / len(found) if found else None
        for name, found in wanted.items()
    }
