"""Rules that a person writes for a copy, one a line.

    layer.{i} -> layer.{2i}            blocks: what the source calls layer 3 becomes layer 6
    encoder.layer.{i} -> h.{2i+1}      tensors, by the beginning of their names
    *.attn.* -> *.attn.*               a star stands for anything, the same on both sides
    skip h.0.*                         these start afresh, whatever the source has
    freeze embeddings                  these are copied, and training leaves them as they are
    # a comment

Names are those of tensors (a common prefix such as ``transformer.`` may be left out) or of blocks,
and stand for all that begins with them. ``{i}`` is a number; on the right ``{2i}``, ``{i+4}``,
``{2i-1}`` and ``{i//2}`` are computed from it (a quotient must come out even, or the rule does not
match).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from training.errors import TrainingError

_ARROW = re.compile(r"\s*(?:->|→|=>)\s*")
_TERM = re.compile(r"\{(\d*)\*?([a-z])(?:([+-]\d+)|//(\d+))?\}")
_PLAIN = re.compile(r"\{([a-z])\}")
_NAME = re.compile(r"[\w.*\-{}+/]+")

MOST_RULES = 200


@dataclass(frozen=True)
class Rule:
    """One line.

    Attributes:
        text: As written.
        kind: ``map``, ``skip`` or ``freeze``.
        left: Pattern of the source's names (``map``), or of the new model's.
        right: With ``map``, the new model's names.
    """

    text: str
    kind: Literal["map", "skip", "freeze"]
    left: str
    right: str = ""

    def matches(self, name: str) -> bool:
        """Whether the left side stands for a name, or for the beginning of one."""
        return self._match(name) is not None

    def target(self, name: str) -> str | None:
        """The new model's name for a source's name; None where the rule does not match."""
        found = self._match(name)
        if found is None:
            return None
        numbers = {key: int(value) for key, value in found.groupdict().items() if key != "rest"}
        stars = [value for key, value in _groups(found) if key is None]
        result = _computed(self.right, numbers)
        if result is None:
            return None
        for star in stars:
            result = result.replace("*", star, 1)
        return result + (found["rest"] or "")

    def _match(self, name: str) -> re.Match[str] | None:
        return re.fullmatch(_expression(self.left), name)


def parse_rules(lines: Iterable[str]) -> list[Rule]:
    """Rules of a text's lines; empty ones and comments are passed over.

    Raises:
        TrainingError: ``rule_unreadable``, with the line.
    """
    rules = []
    for line in lines:
        text = line.split("#", 1)[0].strip()
        if text:
            rules.append(_rule(text))
    if len(rules) > MOST_RULES:
        raise TrainingError("rules_too_many", field="rules", count=len(rules), limit=MOST_RULES)
    return rules


def _rule(text: str) -> Rule:
    words = text.split()
    if words[0] in ("skip", "freeze") and len(words) == 2 and _NAME.fullmatch(words[1]):
        if not _TERM.search(words[1]):
            return Rule(text, "skip" if words[0] == "skip" else "freeze", words[1])
        raise TrainingError("rule_unreadable", field="rules", rule=text[:200])
    sides = _ARROW.split(text)
    if len(sides) == 2 and all(_NAME.fullmatch(side) for side in sides) and _fits(*sides):
        return Rule(text, "map", *sides)
    raise TrainingError("rule_unreadable", field="rules", rule=text[:200])


def _fits(left: str, right: str) -> bool:
    """Every number on the left is a plain {i}, and the right asks for no other."""
    known = _PLAIN.findall(left)
    braces = len(re.findall(r"[{}]", left)) == 2 * len(known)
    wanted = [term[1] for term in _TERM.findall(right)]
    return (
        braces
        and len(re.findall(r"[{}]", right)) == 2 * len(wanted)
        and len(set(known)) == len(known)
        and set(wanted) <= set(known)
        and left.count("*") == _TERM.sub("", right).count("*")
        and all(int(term[3] or 1) > 0 for term in _TERM.findall(right))
    )


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*|\{[a-z]\})", pattern)
    found = ""
    for part in parts:
        if part == "*":
            found += "(.*)"
        elif _PLAIN.fullmatch(part):
            found += rf"(?P<{part[1]}>\d+)"
        else:
            found += re.escape(part)
    # The beginning of a name, up to a dot, stands for all that follows.
    return found + r"(?P<rest>(?:\..*)?)"


def _groups(found: re.Match[str]) -> list[tuple[str | None, str]]:
    names = {index: name for name, index in found.re.groupindex.items()}
    return [(names.get(index + 1), value) for index, value in enumerate(found.groups())]


def _computed(pattern: str, numbers: dict[str, int]) -> str | None:
    """The pattern with its terms computed; None where one comes out negative or broken."""
    failed = False

    def value(term: re.Match[str]) -> str:
        nonlocal failed
        number = numbers[term[2]] * int(term[1] or 1) + int(term[3] or 0)
        if term[4]:
            number, rest = divmod(number, int(term[4]))
            failed |= rest != 0
        failed |= number < 0
        return str(number)

    result = _TERM.sub(value, pattern)
    return None if failed else result


def names_of(name: str, block: str, prefixes: Sequence[str]) -> list[str]:
    """What a rule may call a tensor: its name, without a common prefix, and its block."""
    short = [name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)]
    return list(dict.fromkeys([name, *short, block]))
