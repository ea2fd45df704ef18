"""The transfer plan: which tensor of a new model comes from where, before anything is copied.

One row per target tensor with the action and the reason, and the source's tensors that stay
behind. Pure Python (shapes come from a header or a card), so that the portal can show a plan
without NumPy; a plan is JSON, and the proof of a copy refers to it.

Tensors are matched by what they are, never by order (models with two layers swapped would load by
order without a word): a person's rules come first, then the exact name, then equal block and role,
whatever the names and layouts of the two architectures. What could be meant is shown as a
suggestion and never copied on a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from training.backbones.contract import BackboneConfig, TensorSpec
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.interop.forms import FORMS, read_config
from training.interop.forms.form import read_config_json
from training.weights.header import read_header, shapes
from training.weights.operators import (
    Interpolate,
    InterpolateGrid,
    Scale,
    Slice,
    Split,
    Step,
    Tile,
    Tokens,
    Transpose,
    shape_after,
    side,
)
from training.weights.plan_settings import PlanSettings
from training.weights.rules import Rule, names_of, parse_rules

PLAN_VERSION = 2

#: ``copy``: every value as it is. ``transpose``, ``split``, ``join``: every value, from another
#: layout. ``slice``: the first ones of more. ``pad``: all of them into a larger tensor, whose rest
#: is initialised. ``tile``, ``interpolate``: positions repeated or stretched. ``map_tokens``: rows
#: by token string. ``grow``: so that a larger model computes the same. ``initialise``: nothing
#: from the source. ``keep``: nothing either, and the new model has values of its own already.
Action = Literal[
    "copy",
    "transpose",
    "split",
    "join",
    "slice",
    "pad",
    "tile",
    "interpolate",
    "map_tokens",
    "grow",
    "initialise",
    "keep",
]

#: code → sentence with %-placeholders, translated where it is shown.
REASONS: dict[str, str] = {
    # of rows
    "same_name": _("The source has it under the same name, in the same shape."),
    "same_role": _("%(source)s does the same work in the source."),
    "head_from_embedding": _("The source's head is its token embedding."),
    "positions": _(
        "The source knows %(source)s positions and this model %(target)s: the first %(rows)s are "
        "copied."
    ),
    "positions_stretched": _("The source's %(source)s positions are stretched to %(target)s."),
    "positions_repeated": _("The source's %(source)s positions are repeated up to %(target)s."),
    "patch": _("Patches of %(source)s pixels are stretched to %(target)s."),
    "vocabulary": _(
        "The source knows %(source)s tokens and this model %(target)s: the first %(rows)s, which "
        "are the same in both, are copied."
    ),
    "tokens": _(
        "Rows by token: %(same)s of %(target)s tokens are in both vocabularies, %(parts)s start "
        "as the mean of their parts, %(new)s are new."
    ),
    "tokenizer_differs": _("The tokenizers differ, so a row would mean another token."),
    "asked": _("You asked that it starts afresh (%(pattern)s)."),
    "rule": _("Your rule: %(rule)s."),
    "layer_added": _("The source has %(layers)s layers; this one is new."),
    "layer_identity": _(
        "A new layer that passes on what it gets: it begins to work only as it learns."
    ),
    "layer_from": _("Taken from layer %(layer)s of the source."),
    "width_differs": _("The source is %(source)s wide and this model %(target)s."),
    "width_cut": _("%(source)s wide in the source, %(target)s here: what both have is copied."),
    "width_grown": _(
        "%(source)s wide in the source, %(target)s here: every value is used %(factor)s times, so "
        "that the larger model computes the same."
    ),
    "width_no_multiple": _(
        "%(target)s is no whole multiple of the source's %(source)s (or the heads have another "
        "size), so it cannot grow without changing what it computes."
    ),
    "inner_width_differs": _(
        "The source's feed-forward layer is %(source)s wide and this model's %(target)s."
    ),
    "labels_differ": _("The source knows %(source)s classes and this model %(target)s."),
    "not_in_source": _("The source has no such tensor."),
    "ambiguous": _("Nothing in the source clearly is this. It could be: %(names)s. Write a rule."),
    "shape_differs": _("The source has it as %(source)s and this model as %(target)s."),
    # of tensors left behind
    "layer_dropped": _("This model has %(layers)s layers only."),
    "head_tied": _("This model's head is its token embedding, so the source's own is not used."),
    "not_in_target": _("This model has no such tensor."),
    "not_used": _("Its place in this model starts afresh."),
    # notes on the whole
    "architecture_differs": _(
        "%(source)s and %(target)s are different architectures: equal weights need not compute "
        "the same."
    ),
    "heads_differ": _(
        "The source splits its attention into %(source)s heads and this model into %(target)s: the "
        "weights are copied, but compute something else."
    ),
    "activation_differs": _(
        "The source's activation is %(source)s and this model's %(target)s: the weights are "
        "copied, but compute something else."
    ),
    "setting_differs": _(
        "%(name)s is %(source)s in the source and %(target)s in this model: the weights are "
        "copied, but compute something else."
    ),
    "layers_moved": _(
        "In this model the same layer computes something else in another place, so that moving "
        "layers changes what it computes."
    ),
    "identity_inexact": _(
        "This architecture normalises after each half layer, so that new layers do not pass on "
        "exactly what they get."
    ),
    "tokens_overlap": _(
        "%(percent)s %% of the new vocabulary's tokens are known to the source by the same string."
    ),
    "nothing_copied": _("Nothing is copied: this is training from scratch."),
}


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(_Frozen):
    """Why: ``gettext(REASONS[code]) % params`` is the sentence."""

    code: str
    params: dict[str, Any] = {}

    @property
    def sentence(self) -> str:
        """In English."""
        return REASONS[self.code] % self.params


class Part(_Frozen):
    """A source tensor, what is done to it, and where in the new tensor the result goes.

    Attributes:
        source: Name in the source.
        source_shape: Its shape there.
        steps: In order; see :mod:`training.weights.operators`.
        at: Index of the result's first value in the new tensor.
        shape: Of the result.
    """

    source: str
    source_shape: tuple[int, ...]
    steps: tuple[Step, ...] = ()
    at: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def place(self) -> tuple[slice, ...]:
        """Where the result goes, as an index into the new tensor."""
        return tuple(
            slice(start, start + size) for start, size in zip(self.at, self.shape, strict=True)
        )


class Row(_Frozen):
    """One tensor of the new model.

    Attributes:
        target: Its name.
        shape: Its shape.
        block: The part of the model it belongs to.
        action: What happens, in a word.
        parts: What comes from the source; what they do not cover is filled.
        fill: ``own``: with the new model's own (random, or kept) values; ``zeros``.
        reason: Why this action.
        frozen: Whether training is to leave it as it is.
    """

    target: str
    shape: tuple[int, ...]
    block: str
    action: Action
    parts: tuple[Part, ...] = ()
    fill: Literal["own", "zeros"] = "own"
    reason: Reason
    frozen: bool = False

    @property
    def parameters(self) -> int:
        return prod(self.shape)

    @property
    def copied(self) -> int:
        """Parameters that come from the source."""
        total = 0
        for part in self.parts:
            values = prod(part.shape)
            for step in part.steps:
                if isinstance(step, Tokens):
                    known = sum(1 for rows in step.rows if rows)
                    values = known * prod(part.shape[1:])
            total += values
        return total

    @property
    def sources(self) -> list[str]:
        """Names of the source's tensors that something comes from."""
        return list(dict.fromkeys(part.source for part in self.parts))

    @property
    def whole(self) -> bool:
        """Whether every value comes from the source."""
        return self.copied == self.parameters


class LeftBehind(_Frozen):
    """One tensor of the source that nothing is taken from."""

    source: str
    shape: tuple[int, ...]
    block: str
    reason: Reason


class Coverage(_Frozen):
    """How much of a block of the new model comes from the source, and from which blocks of it."""

    block: str
    parameters: int
    copied: int
    sources: tuple[str, ...] = ()


class Plan(_Frozen):
    """What a copy will do, or has done."""

    version: Literal[2] = 2
    rows: list[Row]
    left_behind: list[LeftBehind]
    notes: list[Reason] = []
    #: The source's blocks, in its order: name, parameters.
    source_blocks: dict[str, int] = {}

    @property
    def parameters_total(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def parameters_copied(self) -> int:
        return sum(row.copied for row in self.rows)

    @property
    def share(self) -> float:
        """Share of the new model's parameters that come from the source, 0..1."""
        return self.parameters_copied / self.parameters_total

    def coverage(self, source_block: Mapping[str, str] | None = None) -> list[Coverage]:
        """Each block of the new model, in order.

        Args:
            source_block: Block of each source tensor, where it is to be told.
        """
        known = source_block or {}
        totals: dict[str, list[int]] = {}
        sources: dict[str, dict[str, None]] = {}
        for row in self.rows:
            total = totals.setdefault(row.block, [0, 0])
            total[0] += row.parameters
            total[1] += row.copied
            names = sources.setdefault(row.block, {})
            names.update(dict.fromkeys(known[name] for name in row.sources if name in known))
        return [
            Coverage(block=name, parameters=a, copied=b, sources=tuple(sources[name]))
            for name, (a, b) in totals.items()
        ]

    def counts(self) -> dict[str, int]:
        """The ``weights`` event's numbers: tensors copied (wholly or in part) and so on."""
        copied = sum(bool(row.parts) for row in self.rows)
        return {
            "copied": copied,
            "initialised": len(self.rows) - copied,
            "left_behind": len(self.left_behind),
            "parameters_copied": self.parameters_copied,
            "parameters_total": self.parameters_total,
        }

    @property
    def frozen(self) -> list[str]:
        """Names of the tensors that training is to leave as they are."""
        return [row.target for row in self.rows if row.frozen]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, with the sums that a reader would otherwise have to work out."""
        return self.model_dump(mode="json") | {
            "coverage": [block.model_dump(mode="json") for block in self.coverage()],
            "counts": self.counts(),
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Plan:
        return cls.model_validate({key: payload[key] for key in cls.model_fields if key in payload})


#: Row of the new vocabulary → rows of the source's whose mean it starts as; none: it is new.
TokenRows = Sequence[Sequence[int]]


def make_plan(
    target: BackboneConfig,
    source: BackboneConfig,
    source_shapes: Mapping[str, Sequence[int]],
    *,
    same_tokenizer: bool = True,
    token_rows: TokenRows | None = None,
    reinitialise: Sequence[str] = (),
    settings: PlanSettings | None = None,
    kept: bool = False,
) -> Plan:
    """Decide for every tensor of the new model where it comes from.

    Args:
        target: The new model.
        source: The source's configuration.
        source_shapes: Its tensors' shapes by name, from the file's header or the card.
        same_tokenizer: Whether a row of both embeddings means the same token.
        token_rows: Where it does not: how rows correspond.
        reinitialise: Names or patterns (``transformer.h.3.*``, ``*.mlp.*``; the prefix
            ``transformer.`` may be left out) of tensors that start afresh.
        settings: What happens to what does not simply fit, and a person's rules.
        kept: Whether the new model has values of its own, which stay where nothing is copied.

    Raises:
        TrainingError: ``pattern_matches_nothing``, ``rule_unreadable``, ``rule_matches_nothing``,
            ``rule_two_sources``, ``rule_does_not_fit``.
    """
    return _Planner(
        target,
        source,
        {name: tuple(shape) for name, shape in source_shapes.items()},
        same_tokenizer,
        token_rows,
        settings or PlanSettings(),
        kept,
    ).plan(reinitialise)


def plan_from_folder(target: BackboneConfig | None, folder: Path, **options: Any) -> Plan:
    """The plan for a source on disk, of which only ``config.json`` and the header are read.

    Args:
        target: The new model; ``None``: the same as the source.
        folder: A checkpoint.
        options: See :func:`make_plan`.

    Raises:
        TrainingError: See :func:`make_plan`; ``config_*`` and ``weights_*`` for a damaged folder.
    """
    tensors = read_header(folder / "model.safetensors").tensors
    source = read_config(read_config_json(folder / "config.json"), tensors)
    return make_plan(target or source, source, shapes(tensors), **options)


def blocks_of(config: BackboneConfig) -> dict[str, str]:
    """Tensor name → the part of the model that it belongs to."""
    return {spec.name: spec.block for spec in config.tensors()}


def block_by_name(name: str) -> str:
    """The same for a tensor of an unknown model: its name up to the first number, else all but its
    end: ``encoder.layer.3.key.weight`` → ``encoder.layer.3``, ``conv1.weight`` → ``conv1``."""
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1] if numbers else parts[:-1]) or name


def axis_sizes(config: BackboneConfig) -> dict[str, int]:
    """What an axis counts → how many there are, where it is the same all over the model."""
    found: dict[str, set[int]] = {}
    for spec in config.tensors():
        for axis, size in zip(spec.axes, spec.shape, strict=False):
            found.setdefault(axis, set()).add(size)
    return {axis: sizes.pop() for axis, sizes in found.items() if len(sizes) == 1}


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts ``h.2`` before ``h.10``."""
    return [
        (int(part), part) if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


class _CannotFit(Exception):
    """A source that is known and still cannot be used; the row says why."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.reason = Reason(code=code, params=params)


@dataclass
class _Fitted:
    """Parts that fit their target, and what had to be done for it."""

    parts: list[Part]
    reason: Reason | None = None  # None: nothing beyond finding it


@dataclass
class _Planner:
    """One plan in the making; see :func:`make_plan` for the fields."""

    target: BackboneConfig
    source: BackboneConfig
    available: dict[str, tuple[int, ...]]
    same_tokenizer: bool
    token_rows: TokenRows | None
    settings: PlanSettings
    kept: bool
    rules: list[Rule] = dataclass_field(default_factory=list)

    def __post_init__(self) -> None:
        self.rules = parse_rules(self.settings.rules)
        # In the model's order. Tensors that the configuration does not name come last; they have no
        # role, and are matched by name alone.
        known = {spec.name: spec for spec in self.source.tensors() if spec.name in self.available}
        self.sources = known | {
            name: TensorSpec(name, shape, "normal", block=block_by_name(name))
            for name, shape in self.available.items()
            if name not in known
        }
        self.targets = {spec.name: spec for spec in self.target.tensors()}
        self.by_role = {
            (spec.block, spec.role): spec for spec in self.sources.values() if spec.role
        }
        self.before, self.after = axis_sizes(self.source), axis_sizes(self.target)
        self._apply_rules()

    # --- the whole ---------------------------------------------------------------------------

    def plan(self, reinitialise: Sequence[str]) -> Plan:
        afresh = _match_patterns(reinitialise, list(self.targets))
        for rule in self._rules_of("skip"):
            for name in self._named(rule):
                afresh.setdefault(name, rule.text)
        frozen = {name for rule in self._rules_of("freeze") for name in self._named(rule)}
        rows = [
            self._row(spec, afresh.get(spec.name)).model_copy(
                update={"frozen": spec.name in frozen}
            )
            for spec in self.targets.values()
        ]
        used = {name for row in rows for name in row.sources}
        left_behind = [
            LeftBehind(source=name, shape=shape, block=block, reason=self._why_left(name, block))
            for name, shape in self.available.items()
            if name not in used
            for block in [self.sources[name].block]
        ]
        sizes: dict[str, int] = {}
        for spec in self.sources.values():
            sizes[spec.block] = sizes.get(spec.block, 0) + spec.size
        return Plan(
            rows=rows,
            left_behind=sorted(left_behind, key=lambda item: natural_key(item.source)),
            notes=self._notes(rows) if used else [Reason(code="nothing_copied")],
            source_blocks=sizes,
        )

    def _row(self, spec: TensorSpec, pattern: str | None) -> Row:
        def row(reason: Reason, **values: Any) -> Row:
            values.setdefault("action", "keep" if self.kept else "initialise")
            return Row(
                target=spec.name, shape=spec.shape, block=spec.block, reason=reason, **values
            )

        if pattern is not None:
            return row(Reason(code="asked", params={"pattern": pattern}))
        found, reason = self._find(spec)
        if not found:
            if reason.code == "layer_identity" and _writes_residual(spec):
                return row(reason, action="grow", fill="zeros")
            return row(reason)
        try:
            fitted = self._fit(spec, found)
        except _CannotFit as problem:
            if spec.name in self.ruled:
                raise TrainingError(
                    "rule_does_not_fit",
                    field="rules",
                    rule=self.ruled[spec.name][1].text,
                    source=found[0].name,
                    target=spec.name,
                    reason=problem.reason.sentence,
                ) from None
            return row(problem.reason)
        parts = tuple(fitted.parts)
        return row(fitted.reason or reason, action=_action(parts, spec), parts=parts)

    # --- which source ------------------------------------------------------------------------

    def _find(self, spec: TensorSpec) -> tuple[list[TensorSpec], Reason]:
        """The source tensors that a new tensor is made of, and why; none: why not."""
        if spec.name in self.ruled:
            source, rule = self.ruled[spec.name]
            return [source], Reason(code="rule", params={"rule": rule.text})
        if spec.block in self.ruled_blocks:
            block, rule = self.ruled_blocks[spec.block]
            found = self._same_work(block, spec)
            why = Reason(code="rule", params={"rule": rule.text})
            return found, why if found else Reason(code="not_in_source")
        return self._find_unruled(spec)

    def _find_unruled(self, spec: TensorSpec) -> tuple[list[TensorSpec], Reason]:
        block = self._source_block(spec.block)
        if block == spec.block and spec.name in self.free:
            return [self.free[spec.name]], Reason(code="same_name")
        head = self.source.TIED.get(spec.name)
        if head is not None and head in self.free and spec.name not in self.available:
            return [self.free[head]], Reason(code="head_from_embedding")
        if block is None:
            if self.settings.new_layers == "identity":
                return [], Reason(code="layer_identity")
            return [], Reason(code="layer_added", params={"layers": self.source.layers})
        found = [one for one in self._same_work(block, spec) if one.name in self.free]
        if found and block != spec.block:
            return found, Reason(code="layer_from", params={"layer": block.split(".")[-1]})
        if found:
            names = ", ".join(one.name for one in found)
            return found, Reason(code="same_role", params={"source": names})
        if candidates := self._candidates(spec, block):
            return [], Reason(code="ambiguous", params={"names": ", ".join(candidates)})
        return [], Reason(code="not_in_source")

    def _source_block(self, block: str) -> str | None:
        """The source's block for one of the new model's; None: it is a new layer."""
        if not block.startswith("layer."):
            return block
        found = self._source_layer(int(block[6:]))
        # A layer that rules have put elsewhere is not here as well.
        return found if found in self.free_blocks else None

    def _source_layer(self, number: int) -> str | None:
        block, ours, theirs = f"layer.{number}", self.target.layers, self.source.layers
        if self.settings.layers == "first" or not theirs:
            return block if number < theirs else None
        if ours <= theirs:
            return f"layer.{number * theirs // ours}"
        place = -(-number * theirs // ours)
        return f"layer.{place}" if place * ours // theirs == number and place < theirs else None

    def _same_work(self, block: str, spec: TensorSpec) -> list[TensorSpec]:
        """Tensors of a source's block that do the work of a new one, in one matrix or in three."""
        if not spec.role:
            tail = _tail(spec)
            return [
                one for one in self.sources.values() if one.block == block and _tail(one) == tail
            ]

        def at(role: str) -> list[TensorSpec]:
            one = self.by_role.get((block, role))
            return [] if one is None else [one]

        if same := at(spec.role):
            return same
        kind = spec.role.rpartition(".")[2]
        if spec.role.startswith("attention.qkv."):
            three = [one for name in _QKV for one in at(f"attention.{name}.{kind}")]
            return three if len(three) == len(_QKV) else []
        if spec.role.startswith(tuple(f"attention.{name}." for name in _QKV)):
            return at(f"attention.qkv.{kind}")
        return []

    def _candidates(self, spec: TensorSpec, block: str) -> list[str]:
        """Tensors of another architecture's block that have the shape and no role known to us."""
        if spec.role and type(self.source) is type(self.target):
            return []
        return [
            one.name
            for one in self.free.values()
            if one.block == block
            and one.name not in self.targets
            and not (one.role and spec.role)
            and one.shape in (spec.shape, spec.shape[::-1])
        ][:3]

    # --- rules -------------------------------------------------------------------------------

    def _apply_rules(self) -> None:
        """Which source tensor, or block of them, a person wants where.

        Sets ``ruled`` (target name → source, rule), ``ruled_blocks`` (target block → source block,
        rule), and ``free`` and ``free_blocks``: what no rule has spoken for.
        """
        self.ruled: dict[str, tuple[TensorSpec, Rule]] = {}
        self.ruled_blocks: dict[str, tuple[str, Rule]] = {}
        spoken_for: set[str] = set()
        blocks = list(dict.fromkeys(spec.block for spec in self.sources.values()))
        target_blocks = {spec.block for spec in self.targets.values()}
        by_name = {
            word: spec.name
            for spec in self.targets.values()
            for word in names_of(spec.name, "", _PREFIXES)
            if word
        }
        for rule in self._rules_of("map"):
            matched = False
            for block in blocks:
                wanted = rule.target(block)
                if wanted in target_blocks:
                    matched = True
                    self._say(self.ruled_blocks, str(wanted), block, rule)
                if wanted is not None:
                    spoken_for |= {one.name for one in self.sources.values() if one.block == block}
            for spec in self.sources.values():
                for word in names_of(spec.name, "", _PREFIXES):
                    wanted = rule.target(word) if word else None
                    if wanted is not None:
                        spoken_for.add(spec.name)
                    if wanted in by_name:
                        matched = True
                        self._say(self.ruled, by_name[str(wanted)], spec, rule)
                        break
            if not matched:
                raise TrainingError("rule_matches_nothing", field="rules", rule=rule.text)
        self.free = {name: one for name, one in self.sources.items() if name not in spoken_for}
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

    def _rules_of(self, kind: str) -> list[Rule]:
        return [rule for rule in self.rules if rule.kind == kind]

    def _named(self, rule: Rule) -> list[str]:
        found = [
            spec.name
            for spec in self.targets.values()
            if any(rule.matches(name) for name in names_of(spec.name, spec.block, _PREFIXES))
        ]
        if not found:
            raise TrainingError("rule_matches_nothing", field="rules", rule=rule.text)
        return found

    # --- making it fit -----------------------------------------------------------------------

    def _fit(self, spec: TensorSpec, found: list[TensorSpec]) -> _Fitted:
        """Parts that make the new tensor.

        Raises:
            _CannotFit: With the reason.
        """
        if len(found) > 1:
            axis = spec.axes.index("qkv")
            size = spec.shape[axis] // len(found)
            wanted = _resized(spec, axis, size)
            parts, reason = [], None
            for number, one in enumerate(found):
                fitted = self._fit_one(wanted, one, [])
                reason = reason or fitted.reason
                parts += [_moved(part, axis, number * size) for part in fitted.parts]
            return _Fitted(parts, reason)
        (one,) = found
        if "qkv" in spec.axes and self.available[one.name] != spec.shape:
            return self._fit_thirds(spec, one)
        if "qkv" in one.axes and "qkv" not in spec.axes:
            part = _QKV.index(spec.role.split(".")[1])
            return self._fit_one(spec, one, [Split(axis=one.axes.index("qkv"), part=part, parts=3)])
        return self._fit_one(spec, one, [])

    def _fit_thirds(self, spec: TensorSpec, one: TensorSpec) -> _Fitted:
        """Query, key and value in one matrix, each cut or grown on its own."""
        if "qkv" not in one.axes:
            raise self._shape_differs(spec, one)
        axis, theirs = spec.axes.index("qkv"), one.axes.index("qkv")
        size = spec.shape[axis] // 3
        parts, reason = [], None
        for number in range(3):
            split = Split(axis=theirs, part=number, parts=3)
            fitted = self._fit_one(_resized(spec, axis, size), one, [split])
            reason = reason or fitted.reason
            parts += [_moved(part, axis, number * size) for part in fitted.parts]
        return _Fitted(parts, reason)

    def _fit_one(self, spec: TensorSpec, one: TensorSpec, steps: list[Any]) -> _Fitted:
        shape = shape_after(self.available[one.name], steps)
        axes = tuple("heads" if axis == "qkv" and steps else axis for axis in one.axes)
        if spec.inputs and one.inputs and spec.inputs != one.inputs and len(shape) == 2:
            steps = [*steps, Transpose()]
            shape, axes = shape[::-1], axes[::-1]
        if len(shape) != len(spec.shape):
            raise self._shape_differs(spec, one)
        reason = None
        for axis, label in enumerate(spec.axes or [""] * len(shape)):
            if one.axes and shape[axis] != spec.shape[axis] and not _alike(label, axes[axis]):
                raise self._shape_differs(spec, one)
            more, why = self._fit_axis(spec, one, label, axis, shape[axis])
            steps = [*steps, *more]
            shape = shape_after(shape, more)
            reason = reason or why
        if spec.role == "scale" or spec.role == "bias":
            steps = [*steps, *self._final_norm(spec, shape)]
        shifted = self.source.position_offset != self.target.position_offset
        at = tuple(
            self.target.position_offset if shifted and label == "position" else 0
            for label in spec.axes or ("",) * len(shape)
        )
        part = Part(
            source=one.name,
            source_shape=self.available[one.name],
            steps=tuple(steps),
            at=at,
            shape=shape,
        )
        return _Fitted([part], reason)

    def _fit_axis(
        self, spec: TensorSpec, one: TensorSpec, label: str, axis: int, have: int
    ) -> tuple[list[Any], Reason | None]:
        """Steps along one axis, and what to say of them."""
        want = spec.shape[axis]
        if label == "position" and self.source.position_offset != self.target.position_offset:
            return self._fit_shifted(axis, have, want)
        if label == "vocabulary" and not self.same_tokenizer:
            if self.token_rows is None or axis != 0:
                raise _CannotFit("tokenizer_differs")
            return [Tokens(rows=tuple(map(tuple, self.token_rows[:want])))], self._of_tokens(want)
        if have == want:
            return [], None
        sizes = {"source": have, "target": want}
        cut = [Slice(axis=axis, stop=want)] if want < have else []
        match label:
            case "vocabulary":
                return cut, Reason(code="vocabulary", params=sizes | {"rows": min(have, want)})
            case "position":
                return self._fit_positions(spec, axis, have, want, cut)
            case "patch":
                return [Interpolate(axis=axis, to=want)], Reason(code="patch", params=sizes)
            case "label":
                raise _CannotFit("labels_differ", **sizes)
            case "width" | "heads" | "inner":
                return self._fit_width(spec, label, axis, have, want, cut)
        raise self._shape_differs(spec, one)

    def _fit_shifted(self, axis: int, have: int, want: int) -> tuple[list[Any], Reason]:
        """Positions where the two architectures reserve another number of rows at the beginning."""
        start, place = self.source.position_offset, self.target.position_offset
        rows = min(have - start, want - place)
        sizes = {"source": have - start, "target": want - place, "rows": rows}
        cut = Slice(axis=axis, start=start, stop=start + rows)
        return [cut], Reason(code="positions", params=sizes)

    def _fit_positions(
        self, spec: TensorSpec, axis: int, have: int, want: int, cut: list[Any]
    ) -> tuple[list[Any], Reason]:
        sizes = {"source": have, "target": want}
        if spec.axes[0] == "one":  # a vision transformer's: its class token's first, then a square
            step = InterpolateGrid(axis=axis, prefix=1, to=side(want - 1))
            return [step], Reason(code="positions_stretched", params=sizes)
        if self.settings.positions == "interpolate":
            stretch = Interpolate(axis=axis, to=want)
            return [stretch], Reason(code="positions_stretched", params=sizes)
        if self.settings.positions == "tile" and want > have:
            return [Tile(axis=axis, to=want)], Reason(code="positions_repeated", params=sizes)
        return cut, Reason(code="positions", params=sizes | {"rows": min(have, want)})

    def _fit_width(
        self, spec: TensorSpec, label: str, axis: int, have: int, want: int, cut: list[Any]
    ) -> tuple[list[Any], Reason]:
        sizes = {"source": have, "target": want}
        if self.settings.width == "cut":
            return cut, Reason(code="width_cut", params=sizes)
        if self.settings.width == "grow" and want > have:
            exact = label == "inner" or self._grows_whole()
            if not exact:
                raise _CannotFit("width_no_multiple", **sizes)
            step = Tile(axis=axis, to=want, divide=axis in spec.inputs)
            factor = f"{want / have:g}"
            return [step], Reason(code="width_grown", params=sizes | {"factor": factor})
        raise _CannotFit("inner_width_differs" if label == "inner" else "width_differs", **sizes)

    def _grows_whole(self) -> bool:
        """Whether the width grows by a whole factor, and the heads by the same one."""
        have, want = self.before.get("width"), self.after.get("width")
        if not have or not want or want % have:
            return False
        ours, theirs = _heads(self.target), _heads(self.source)
        return ours is not None and theirs is not None and ours * have == theirs * want

    def _final_norm(self, spec: TensorSpec, shape: tuple[int, ...]) -> list[Any]:
        """A grown tied head would sum over every copy: the norm before it is divided instead."""
        have, want = self.before.get("width"), self.after.get("width")
        grown = self.settings.width == "grow" and have and want and want > have
        if not grown or spec.block != "final_norm" or not self._tied():
            return []
        return [Scale(factor=have / want)]  # type: ignore[operator]

    def _tied(self) -> bool:
        names = set(self.targets)
        return any(head not in names for head in self.target.TIED)

    def _of_tokens(self, want: int) -> Reason:
        rows = list(self.token_rows or ())[:want]
        same = sum(len(row) == 1 for row in rows)
        parts = sum(len(row) > 1 for row in rows)
        return Reason(
            code="tokens",
            params={"same": same, "parts": parts, "new": want - same - parts, "target": want},
        )

    def _shape_differs(self, spec: TensorSpec, one: TensorSpec) -> _CannotFit:
        return _CannotFit(
            "shape_differs", source=_text(self.available[one.name]), target=_text(spec.shape)
        )

    # --- what else to say --------------------------------------------------------------------

    def _why_left(self, name: str, block: str) -> Reason:
        if block.startswith("layer.") and int(block[6:]) >= self.target.layers:
            return Reason(code="layer_dropped", params={"layers": self.target.layers})
        if name in self.target.TIED and name not in self.targets:
            return Reason(code="head_tied")
        return Reason(code="not_used" if name in self.targets else "not_in_target")

    def _notes(self, rows: list[Row]) -> list[Reason]:
        """What makes equal weights compute something else, and what one should know."""
        notes = []
        if type(self.source) is not type(self.target):
            names = {"source": self.source.architecture, "target": self.target.architecture}
            notes.append(Reason(code="architecture_differs", params=names))
        else:
            notes += self._settings_that_differ()
        moved = any(row.reason.code in ("layer_from", "rule") for row in rows)
        if moved and self.target.layers_differ:
            notes.append(Reason(code="layers_moved"))
        grown = any(row.reason.code == "layer_identity" for row in rows)
        if grown and not self.target.identity_growth:
            notes.append(Reason(code="identity_inexact"))
        if self.token_rows is not None and not self.same_tokenizer:
            same = sum(len(row) == 1 for row in self.token_rows)
            percent = round(100 * same / max(len(self.token_rows), 1))
            notes.append(Reason(code="tokens_overlap", params={"percent": percent}))
        return notes

    def _settings_that_differ(self) -> list[Reason]:
        notes = []
        for name in self.target.FUNCTION:
            before, after = getattr(self.source, name), getattr(self.target, name)
            if before == after or (name == "n_head" and self._heads_grow()):
                continue
            code = {"n_head": "heads_differ", "activation_function": "activation_differs"}.get(
                name, "setting_differs"
            )
            params = {"source": before, "target": after}
            if code == "setting_differs":
                params["name"] = name
            notes.append(Reason(code=code, params=params))
        return notes

    def _heads_grow(self) -> bool:
        return self.settings.width == "grow" and self._grows_whole()


_QKV = ("query", "key", "value")

#: What the names of tensors begin with that people leave out.
_PREFIXES = tuple(sorted({form.prefix for form in FORMS.values() if form.prefix}))


def _action(parts: Sequence[Part], spec: TensorSpec) -> Action:
    """The word for what happens: the most telling of the steps."""
    steps = [step for part in parts for step in part.steps]
    for kind, action in (
        (Tokens, "map_tokens"),
        (Interpolate, "interpolate"),
        (InterpolateGrid, "interpolate"),
    ):
        if any(isinstance(step, kind) for step in steps):
            return action  # type: ignore[return-value]
    for tile in (step for step in steps if isinstance(step, Tile)):
        return "tile" if spec.axes[tile.axis] == "position" else "grow"
    if sum(prod(part.shape) for part in parts) < spec.size:
        return "pad"
    if any(isinstance(step, Slice) for step in steps):
        return "slice"
    if len({part.source for part in parts}) > 1:
        return "join"
    if len(parts) == 1 and any(isinstance(step, Split) for step in steps):
        return "split"
    return "transpose" if any(isinstance(step, Transpose) for step in steps) else "copy"


def _alike(one: str, other: str) -> bool:
    """Whether two axes count the same kind of thing."""
    return one == other or {one, other} <= {"width", "heads"}


def _writes_residual(spec: TensorSpec) -> bool:
    """Whether it is the last of a half layer, whose zeros make the half layer add nothing."""
    return spec.role.startswith(("attention.output.", "feed_forward.out."))


def _tail(spec: TensorSpec) -> str:
    """A tensor's name within its block, for those without a role."""
    return "." + spec.name.removeprefix(block_by_name(spec.name)).strip(".")


def _heads(config: BackboneConfig) -> int | None:
    for name in ("n_head", "num_attention_heads", "n_heads", "num_heads"):
        if hasattr(config, name):
            return int(getattr(config, name))
    return None


def _resized(spec: TensorSpec, axis: int, size: int) -> TensorSpec:
    """The same tensor with another size along an axis: a third of query, key and value."""
    shape = list(spec.shape)
    shape[axis] = size
    axes = tuple("heads" if label == "qkv" else label for label in spec.axes)
    return TensorSpec(
        spec.name, tuple(shape), spec.init, spec.std, spec.block, spec.role, axes, spec.inputs
    )


def _moved(part: Part, axis: int, offset: int) -> Part:
    at = list(part.at)
    at[axis] += offset
    return part.model_copy(update={"at": tuple(at)})


def _match_patterns(patterns: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Tensor name → the first pattern that matches it; a pattern that matches none is refused."""
    found: dict[str, str] = {}
    for pattern in patterns:
        matching = [
            name
            for name in names
            if any(fnmatchcase(word, pattern) for word in names_of(name, "", _PREFIXES) if word)
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


def _text(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
