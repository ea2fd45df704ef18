"""Rules that a person writes for a copy, one a line.

    layer.{i} -> layer.{2i}            blocks: what the source calls layer 3 becomes layer 6
    encoder.layer.{i} -> h.{2i+1}      tensors, by the beginning of their names
    *.attn.* -> *.attn.*               a star stands for anything, the same on both sides; of
                                       several, all but the last for the least that fits
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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal

from training.backbones.contract import TensorSpec
from training.errors import TrainingError
from training.interop.forms import FORMS

_ARROW = re.compile(r"\s*(?:->|→|=>)\s*")
_TERM = re.compile(r"\{(\d{0,6})\*?([a-z])(?:([+-]\d{1,6})|//(\d{1,6}))?\}")
_PLAIN = re.compile(r"\{([a-z])\}")
_NAME = re.compile(r"[\w.*\-{}+/]+")

MOST_RULES = 200
MOST_CHARACTERS = 200


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
        pieces = result.split("*")
        filled = "".join(a + b for a, b in zip(pieces, (*stars, ""), strict=True))
        return filled + (found["rest"] or "")

    def _match(self, name: str) -> re.Match[str] | None:
        return _expression(self.left).fullmatch(name)


def parse_rules(lines: Iterable[str]) -> list[Rule]:
    """Rules of a text's lines; empty ones and comments are passed over.

    Raises:
        TrainingError: ``rule_unreadable``, with the line.
    """
    rules = []
    for line in lines:
        text = line.split("#", 1)[0].strip()
        if len(text) > MOST_CHARACTERS:
            raise _unreadable(text)
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
        raise _unreadable(text)
    sides = _ARROW.split(text)
    if len(sides) == 2 and all(_NAME.fullmatch(side) for side in sides) and _fits(*sides):
        return Rule(text, "map", *sides)
    raise _unreadable(text)


def _unreadable(text: str) -> TrainingError:
    return TrainingError("rule_unreadable", field="rules", rule=text[:MOST_CHARACTERS])


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


@lru_cache(maxsize=4 * MOST_RULES)
def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression, in which each star and each number is a group.

    Every star but the last takes the least after which what follows it matches, and stays by that
    (an atomic group): where this fails, so would every longer choice, and to try them all takes
    time that multiplies with each star. For the same reason a number is a whole one, no digit
    before or behind it.
    """
    first, *pieces = pattern.split("*")
    found = _without_stars(first)
    for piece in pieces[:-1]:
        found += f"(?>(.*?){_without_stars(piece)})"
    if pieces:
        found += f"(.*){_without_stars(pieces[-1])}"
    # The beginning of a name, up to a dot, stands for all that follows.
    return re.compile(found + r"(?P<rest>(?:\..*)?)", re.DOTALL)


def _without_stars(pattern: str) -> str:
    return "".join(
        rf"(?<!\d)(?P<{part[1]}>\d{{1,18}})(?!\d)" if _PLAIN.fullmatch(part) else re.escape(part)
        for part in re.split(r"(\{[a-z]\})", pattern)
    )


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


#: What the names of tensors begin with that people leave out.
_PREFIXES = tuple(sorted({form.prefix for form in FORMS.values() if form.prefix}))


class Applied:
    """What a person decided about the tensors of two models.

    Args:
        lines: Rules.
        afresh: Names or patterns of tensors of the new model that start afresh; as rules with
            ``skip``, and ``fnmatch``'s whole patterns.
        targets: Tensors of the new model by name.
        sources: The source's.

    Attributes:
        tensors: New tensor → (source's tensor, rule).
        blocks: Block of the new model → (source's block, rule).
        free: Source's tensors that no rule has spoken for, by name.
        free_blocks: Their blocks.
        afresh: Tensor of the new model that starts afresh → the pattern or rule that says so.
        frozen: Tensors of the new model that training is to leave as they are.

    Raises:
        TrainingError: ``pattern_matches_nothing``, ``rule_unreadable``, ``rule_matches_nothing``,
            ``rule_two_sources``.
    """

    def __init__(
        self,
        lines: Iterable[str],
        afresh: Iterable[str],
        targets: Mapping[str, TensorSpec],
        sources: Mapping[str, TensorSpec],
    ) -> None:
        rules = parse_rules(lines)
        self.tensors: dict[str, tuple[TensorSpec, Rule]] = {}
        self.blocks: dict[str, tuple[str, Rule]] = {}
        self.free: dict[str, TensorSpec] = {}
        self.free_blocks: set[str] = set()
        self._map([rule for rule in rules if rule.kind == "map"], targets, sources)
        self.afresh = _match_patterns(afresh, list(targets))
        self.frozen: set[str] = set()
        for rule in rules:
            if rule.kind == "skip":
                for name in _matched(rule, targets):
                    self.afresh.setdefault(name, rule.text)
            elif rule.kind == "freeze":
                self.frozen.update(_matched(rule, targets))

    def _map(
        self,
        rules: Sequence[Rule],
        targets: Mapping[str, TensorSpec],
        sources: Mapping[str, TensorSpec],
    ) -> None:
        spoken_for: set[str] = set()
        blocks = list(dict.fromkeys(spec.block for spec in sources.values()))
        target_blocks = {spec.block for spec in targets.values()}
        by_name = {word: spec.name for spec in targets.values() for word in _names_of(spec.name)}
        for rule in rules:
            matched = False
            for block in blocks:
                wanted = rule.target(block)
                if wanted in target_blocks:
                    matched = True
                    self._say(self.blocks, str(wanted), block, rule)
                if wanted is not None:
                    spoken_for |= {one.name for one in sources.values() if one.block == block}
            for spec in sources.values():
                for word in _names_of(spec.name):
                    wanted = rule.target(word)
                    if wanted is not None:
                        spoken_for.add(spec.name)
                    if wanted in by_name:
                        matched = True
                        self._say(self.tensors, by_name[str(wanted)], spec, rule)
                        break
            if not matched:
                raise TrainingError("rule_matches_nothing", field="rules", rule=rule.text)
        self.free = {name: one for name, one in sources.items() if name not in spoken_for}
        self.free_blocks = {one.block for one in self.free.values()}

    def _say(self, known: dict[str, tuple[Any, Rule]], target: str, one: Any, rule: Rule) -> None:
        before = known.setdefault(target, (one, rule))[0]
        if before != one:
            raise TrainingError(
                "rule_two_sources",
                field="rules",
                target=target,
                one=getattr(before, "name", before),
                other=getattr(one, "name", one),
            )


def _matched(rule: Rule, targets: Mapping[str, TensorSpec]) -> list[str]:
    """Names of the new model's tensors that a rule speaks of, by their own name or their block."""
    found = [
        spec.name
        for spec in targets.values()
        if any(rule.matches(name) for name in (*_names_of(spec.name), spec.block))
    ]
    if not found:
        raise TrainingError("rule_matches_nothing", field="rules", rule=rule.text)
    return found


def _match_patterns(patterns: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Tensor name → the first pattern that matches it; a pattern that matches none is refused."""
    found: dict[str, str] = {}
    for pattern in patterns:
        matching = [
            name for name in names if any(fnmatchcase(word, pattern) for word in _names_of(name))
        ]
        if not matching:
            raise TrainingError(
                "pattern_matches_nothing",
                field="source.reinitialise",
                pattern=pattern,
                examples=", ".join(names[:3]),
            )
        for name in matching:
            found.setdefault(name, pattern)
    return found


def _names_of(name: str) -> list[str]:
    """What a rule may call a tensor: its name, and that without a common prefix."""
    short = [name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)]
    return [name, *short]
